"""Meta-training of OML and ANML with a record, looked at now and then by a short meta-test."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from rich.console import Console

from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.run_record import RunError, RunRecord
from hyperlearning.engine.runner import final_state, train_with_record
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.streams.trajectories import draw_meta_test
from hyperlearning.systems.trajectories.build import ContinualSystem, Embed, embedding_of
from hyperlearning.systems.trajectories.characters import Characters
from hyperlearning.systems.trajectories.meta_test import class_features, meta_test, prototypes
from hyperlearning.systems.trajectories.settings import ContinualTraining

LOOK_LR = 1e-3
"""Rate of Adam in the short meta-tests: fixed, chosen by nothing."""
_LOOK_RUNS = 5
_NUM_LOOKS = 10
_NUM_LINES = 200

Look = Callable[[TrainingState], dict[str, Any]]


def train_in(own: RunRecord, system: ContinualSystem, console: Console, *, look: Look) -> TrainingState:
    """Meta-trains in a record, or goes on doing so.

    The record gets about 200 lines `epoch`, each of the mean losses since the last one, and ten lines `validation`.

    Args:
        own: The record.
        system: The system.
        console: Where progress is shown.
        look: What to record of a state every now and then.
    """
    last = system.phases[0].num_epochs

    def after_epoch(step: int, state: TrainingState) -> None:
        if step % max(1, last // _NUM_LOOKS) == 0 or step == last:
            own.append("validation", step=step, **look(state))

    with own.timed("training_seconds"):
        return train_with_record(
            own,
            system.phases,
            system.initial,
            system.generator,
            console,
            after_epoch=after_epoch,
            record_every=max(1, last // _NUM_LINES),
        )


def train_below(
    record: RunRecord,
    label: str,
    settings: Any,
    go: Callable[[RunRecord], TrainingState],
    *,
    title: str,
    order: str,
) -> TrainingState:
    """Trains one of a run's systems in a record of its own below the run's, or returns what is there.

    Args:
        record: The run's record; it gets a line `system` with the course of training, once.
        label: The system's name.
        settings: What it was built from, a dataclass.
        go: Trains in the system's own record.
        title: What a figure calls it.
        order: The order of the outer gradient, in words.

    Raises:
        RunError: If the folder holds a system of other settings.
    """
    path = record.path / "systems" / label
    if (path / "config.json").is_file():
        own = RunRecord(path)
        if own.config["settings"] != _as_json(settings):
            raise RunError(
                f"Expected the system in {path} to be of this run's settings, but it is of others. Remove it."
            )
    else:
        own = RunRecord.create(record.path, "systems", label, settings, preset="", command="", overwrite=path.exists())
    if own.manifest.get("finished"):
        state = final_state(own)
    else:
        state = go(own)
        own.note(finished=True)
    if all(line["label"] != label for line in record.lines("system")):
        record.append(
            "system", label=label, title=title, order=order, **course_of_training(own), settings=own.config["settings"]
        )
    return state


def course_of_training(own: RunRecord) -> dict[str, Any]:
    """Gathers the course of training from a record's lines: looks, meta-losses, seconds."""
    epochs = own.lines("epoch")
    return {
        "looks": [{k: v for k, v in line.items() if k != "kind"} for line in own.lines("validation")],
        "meta_loss": {"step": [line["epoch"] for line in epochs], "mean": [line["hyper_loss"] for line in epochs]},
        "training_seconds": own.manifest["training_seconds"],
    }


def _as_json(settings: Any) -> Any:
    return json.loads(json.dumps(asdict(settings)))


def short_meta_test(images: Characters, *, num_classes: int, seed: int) -> Callable[[Embed], dict[str, Any]]:
    """Makes a short meta-test on the first classes of a split: memory, held-out accuracy and prototypes, with intervals.

    Nothing is chosen by it: it shows how meta-training goes.

    Args:
        images: Images by class.
        num_classes: Classes that a run learns; the first ones, in a new order every run.
        seed: Of the order and the layers' first weights.
    """
    some = images[:num_classes]
    runs = draw_meta_test(num_classes, num_classes, generator(seed, "short meta-test"), num_runs=_LOOK_RUNS)

    def look(embed: Embed) -> dict[str, Any]:
        features = class_features(embed, some, split="meta-test")
        accuracy = meta_test(features, runs, generator(seed, "short meta-test layers"), lr=LOOK_LR)
        nearest = prototypes(features, runs)
        scores = {"memory": accuracy.memory, "held_out": accuracy.held_out, "prototypes": nearest.held_out}
        return {name: _short(values) for name, values in scores.items()}

    return look


def _short(values: torch.Tensor) -> list[float]:
    point = estimate(values.double().numpy())
    return [round(point.mean, 5), round(point.ci95, 5)]


def continual_look(
    settings: ContinualTraining, system: ContinualSystem, images: Characters, *, num_classes: int
) -> Look:
    """Makes the look of a meta-trained system: a short meta-test on evaluation classes."""
    look = short_meta_test(images, num_classes=num_classes, seed=settings.seed)

    def of_state(state: TrainingState) -> dict[str, Any]:
        return {"classes": num_classes, **look(embedding_of(system.network, state.hyper.start, state.hyper.innate))}

    return of_state
