"""Training of embeddings with a record, looked at now and then by a short meta-test."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from rich.console import Console

from hyperlearning.core.seeding import generator
from hyperlearning.engine.lines import EpochLine
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import NUM_LOOKS
from hyperlearning.engine.sub_records import train_below
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.evaluation.recognition import prototypes
from hyperlearning.streams.trajectories import draw_meta_test
from hyperlearning.systems.trajectories.build import Embedding, EmbeddingTraining
from hyperlearning.systems.trajectories.characters import Characters
from hyperlearning.systems.trajectories.lines import LookLine, MeanAndInterval, MetaLosses, SystemLine
from hyperlearning.systems.trajectories.meta_test import class_features, meta_test

LOOK_LR = 1e-3
"""Rate of Adam in the short meta-tests: fixed, chosen by nothing."""
LOOK_CLASSES = 50
_LOOK_RUNS = 5

S = TypeVar("S")


def short_meta_test(
    training: EmbeddingTraining[S], images: Characters, *, num_classes: int = LOOK_CLASSES, seed: int
) -> Callable[[int, S], LookLine]:
    """Makes a short meta-test on the first classes of a split: memory, held-out accuracy and class means, with intervals.

    Nothing is chosen by it: it shows how training goes. A last layer learns the classes, or what was trained reads them itself.

    Args:
        training: Says what a state's embedding is.
        images: Images by class.
        num_classes: Classes that a run learns, if there are so many; the first ones, in a new order every run.
        seed: Of the order and the layers' first weights.
    """
    some = images[:num_classes]
    runs = draw_meta_test(len(some), len(some), generator(seed, "short meta-test"), num_runs=_LOOK_RUNS)

    def look(step: int, state: S) -> LookLine:
        features = class_features(training.embed(state), some, split="meta-test")
        source = generator(seed, "short meta-test layers")
        if training.read is not None:
            accuracy = training.read(state)(features, runs, source)
        else:
            accuracy = meta_test(features, runs, source, lr=LOOK_LR)
        return LookLine(
            step=step,
            classes=len(some),
            memory=_short(accuracy.memory),
            held_out=_short(accuracy.held_out),
            prototypes=_short(prototypes(features, runs).held_out),
        )

    return look


def _short(values: torch.Tensor) -> MeanAndInterval:
    point = estimate(values.tolist())
    return round(point.mean, 5), round(point.ci95, 5)


def train_embedding(
    record: RunRecord,
    settings: Any,
    training: EmbeddingTraining[S],
    images: Characters,
    console: Console,
    *,
    seed: int,
    num_looks: int = NUM_LOOKS,
    look_classes: int = LOOK_CLASSES,
) -> Embedding:
    """Trains one of a run's embeddings in a record below the run's, or goes on doing so, or returns what is there.

    Args:
        record: The run's record; it gets a line `system` with the course of training, once.
        settings: What it follows from, a dataclass.
        training: Its training.
        images: Evaluation classes to look at it by.
        console: Where progress is shown.
        seed: Of the looks.
        num_looks: Looks in the course of training.
        look_classes: Classes that a look learns.
    """
    look = short_meta_test(training, images, num_classes=look_classes, seed=seed)
    made = train_below(record, training.label, settings, training.job, console, look=look, num_looks=num_looks)
    label, title, order = training.label, training.title, training.order
    record.once(
        SystemLine, {"label": label}, lambda: course_of_training(made.record, label=label, title=title, order=order)
    )
    return training.embedding(made.state)


def course_of_training(own: RunRecord, *, label: str, title: str, order: str) -> SystemLine:
    """Gathers the course of an embedding's training from the lines of its record."""
    epochs = own.lines(EpochLine)
    return SystemLine(
        label=label,
        title=title,
        order=order,
        looks=tuple(own.lines(LookLine)),
        meta_loss=MetaLosses(step=tuple(line.epoch for line in epochs), mean=tuple(line.hyper_loss for line in epochs)),
        training_seconds=own.manifest["training_seconds"],
        settings=own.config["settings"],
    )
