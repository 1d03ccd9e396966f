"""Several hyper-trained image systems side by side: each trained in a record of its own, all deployed on the same lives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from rich.console import Console

from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.engine.sub_records import Trained
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.systems.images.build import build_system, check_lives, check_pools, check_size
from hyperlearning.systems.images.lines import ClassMethod, HeldOut, ValidationLine, record_lives
from hyperlearning.systems.images.lives import hold_out
from hyperlearning.systems.images.methods import Newborn
from hyperlearning.systems.images.pools import SPLITS, Pools, load_pools
from hyperlearning.systems.images.settings import ImageSettings, LifeSettings
from hyperlearning.systems.images.training import images_per_epoch, look_at_lives, train
from hyperlearning.systems.system import Method

OWN_PROTOTYPES = "prototypes of "
"""Begins the name of the method that classifies with class means of a system's own features."""


@dataclass(frozen=True, kw_only=True)
class ComparedSystem:
    """One system of a comparison, before it is trained.

    Attributes:
        label: Names it, its record and its method; distinct among the systems of a run.
        title: What a figure calls it.
        note: What it is, in a sentence.
        settings: What it is hyper-trained with; the life may differ from the one that all are deployed on.
        facts: What its lines say besides.
    """

    label: str
    title: str
    note: str
    settings: ImageSettings
    facts: Mapping[str, Any] = field(default_factory=dict)


def check_comparison(systems: Sequence[ComparedSystem], life: LifeSettings) -> None:
    """Raises if systems cannot be trained, or not deployed on the same lives. Sizes come first: they need no data.

    Raises:
        AbsentDataError: If a data set is not there.
        ValueError: If labels are not distinct, the systems differ in data or outputs, settings contradict one another, the
            data have too little, or a population does not fit into memory.
    """
    labels = [system.label for system in systems]
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"Expected one system or more, each with a label of its own, but got {labels}.")
    shared = {(repr(system.settings.data), system.settings.network.num_outputs) for system in systems}
    if len(shared) > 1:
        raise ValueError(f"Expected systems with the same data and `num_outputs`, but got {sorted(shared)}.")
    for system in systems:
        check_size(system.settings)
    check_size(replace(systems[0].settings, life=life))
    pools = load_pools(systems[0].settings.data)
    for system in systems:
        check_pools(system.settings, pools)
    check_lives(life, pools)


def compare(
    record: RunRecord, systems: Sequence[ComparedSystem], life: LifeSettings, pools: Pools, console: Console
) -> None:
    """Hyper-trains every system, or goes on doing so, and deploys it and its own features' class means on the same lives.

    The record gets, of each, a `SystemLine` and, for every split, a `MethodLine` of its label and one of `OWN_PROTOTYPES` and
    its label. The lives follow from `life`, the seed and the number of outputs.
    """
    first = systems[0].settings
    draw = partial(hold_out, life, pools, num_outputs=first.network.num_outputs, seed=first.seed)
    held_out = [HeldOut(split, draw(split)) for split in SPLITS]
    for system in systems:
        settings = system.settings
        console.print(f"{system.title}: {settings.network.count(settings.data)}", highlight=False)
        learner, trained = hyper_train(record, system, life, pools, console)
        hyper = trained.state.hyper
        save_model(trained.record, hyper.innate, hyper.start)
        record_lives(record, methods_of(system, Newborn(learner, hyper.start, hyper.innate), life), held_out)


def hyper_train(
    record: RunRecord, system: ComparedSystem, life: LifeSettings, pools: Pools, console: Console
) -> tuple[Learner, Trained[TrainingState]]:
    """Hyper-trains one system; now and then it is looked at on lives of the kind that it will be deployed on.

    Returns:
        Its inner loop in deployment, and what was trained.
    """
    settings = system.settings
    built = build_system(settings, pools.meta_train)
    look = look_at_lives(replace(settings, life=life), built.learner, pools)
    per_epoch = images_per_epoch(settings)
    trained = train(record, system.label, settings, built.job, console, look=look, images_per_epoch=per_epoch)
    return built.learner, trained


def methods_of(system: ComparedSystem, born: Newborn, life: LifeSettings) -> tuple[ClassMethod, ClassMethod]:
    """The system, class after class, and class means of its own features."""
    settings = system.settings
    counts, epochs = settings.network.count(settings.data), settings.training.num_epochs
    facts = {"parameters": counts, "epochs": epochs, "images": epochs * images_per_epoch(settings), **system.facts}
    return (
        Method(system.label, system.title, system.note, partial(born.live, steps_per_task=life.steps_per_task), facts),
        Method(
            OWN_PROTOTYPES + system.label,
            f"class means, {system.title}",
            "class means of the system's own features",
            partial(born.live_with_means, num_labels=settings.network.num_outputs),
            {"parameters": counts},
        ),
    )


def best_inner_rate(
    record: RunRecord,
    system: ComparedSystem,
    rates: Sequence[float],
    *,
    num_epochs: int,
    life: LifeSettings,
    pools: Pools,
    console: Console,
) -> tuple[float, dict[str, float]]:
    """Chooses the inner rate that generalizes best on validation lives of meta-train classes after short trainings.

    Returns:
        The best rate, and the generalization by what was tried; a single rate is taken as it is.
    """
    trials = {}
    for rate in rates if len(rates) > 1 else ():
        training = replace(system.settings.training, inner_lr=rate, num_epochs=num_epochs)
        label = f"{system.label}, trial of rate {rate:g}"
        trial = replace(system, label=label, settings=replace(system.settings, training=training))
        _, trained = hyper_train(record, trial, life, pools, console)
        trials[rate] = trained.record.last(ValidationLine).meta_train.generalization[0]
    return max(trials, key=lambda rate: trials[rate], default=rates[0]), {f"{k:g}": v for k, v in trials.items()}


def epochs_for(settings: ImageSettings, images: int) -> int:
    """Counts the epochs, at least 1, in which a system meets about so many images."""
    return max(1, round(images / images_per_epoch(settings)))
