"""Several hyper-trained image systems side by side: each trained in a record of its own, all deployed on the same lives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.build import System, build_system, check_lives, check_pools, check_size
from hyperlearning.systems.images.lives import KINDS, deploy, deploy_prototypes, hold_out
from hyperlearning.systems.images.pools import Pools, load_pools
from hyperlearning.systems.images.results import append_method
from hyperlearning.systems.images.settings import ImageSettings, LifeSettings
from hyperlearning.systems.images.training import Trained, images_per_epoch, scores_by_kind, train

OWN_PROTOTYPES = "prototypes of "
"""Begins the name of the method that classifies with class means of a system's own features."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One system of a comparison.

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
    facts: dict[str, Any] = field(default_factory=dict)


def check_comparison(contenders: Sequence[Contender], life: LifeSettings) -> None:
    """Raises if systems cannot be trained, or not deployed on the same lives. Sizes come first: they need no data.

    Raises:
        AbsentDataError: If a data set is not there.
        ValueError: If labels are not distinct, the systems differ in data or outputs, settings contradict one another, the
            data have too little, or a population does not fit into memory.
    """
    labels = [contender.label for contender in contenders]
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"Expected one system or more, each with a label of its own, but got {labels}.")
    shared = {(repr(c.settings.data), c.settings.network.num_outputs) for c in contenders}
    if len(shared) > 1:
        raise ValueError(f"Expected systems with the same data and `num_outputs`, but got {sorted(shared)}.")
    for contender in contenders:
        check_size(contender.settings)
    check_size(replace(contenders[0].settings, life=life))
    pools = load_pools(contenders[0].settings.data)
    for contender in contenders:
        check_pools(contender.settings, pools)
    check_lives(life, pools)


def compare(
    record: RunRecord, contenders: Sequence[Contender], life: LifeSettings, pools: Pools, console: Console
) -> None:
    """Hyper-trains every system, or goes on doing so, and deploys it and its own features' class means on the same lives.

    The record gets, of each, a line `system` and, for every kind of lives, the lines `method` of its label and of
    `OWN_PROTOTYPES` and its label.

    Args:
        record: The run's record.
        contenders: The systems, as `check_comparison` accepts them.
        life: What all of them are deployed on; the lives follow from it, the seed and the number of outputs.
        pools: The classes.
        console: Where progress is shown.
    """
    settings = contenders[0].settings
    lives = {
        kind: hold_out(life, pools, kind, num_outputs=settings.network.num_outputs, seed=settings.seed)
        for kind in KINDS
    }
    for contender in contenders:
        counts = contender.settings.network.count(contender.settings.data)
        console.print(f"{contender.title}: {counts}", highlight=False)
        system, trained = hyper_train(record, contender, life, pools, console)
        _deploy(record, contender, system, trained, lives, steps_per_task=life.steps_per_task)


def hyper_train(
    record: RunRecord, contender: Contender, life: LifeSettings, pools: Pools, console: Console
) -> tuple[System, Trained]:
    """Hyper-trains one system; now and then it is looked at on lives of the kind that it will be deployed on."""
    settings = contender.settings
    system = build_system(settings, pools.meta_train)
    look = scores_by_kind(replace(settings, life=life), system, pools)
    return system, train(record, contender.label, settings, system, console, look=look)


def tuned_rate(
    record: RunRecord,
    contender: Contender,
    rates: Sequence[float],
    *,
    num_epochs: int,
    life: LifeSettings,
    pools: Pools,
    console: Console,
) -> tuple[float, dict[float, float]]:
    """Chooses the inner rate that generalizes best on validation lives of meta-train classes after short trainings.

    Args:
        record: The run's record.
        contender: The system.
        rates: Rates to try, one or more.
        num_epochs: Length of each training.
        life: What lives in deployment are.
        pools: The classes.
        console: Where progress is shown.

    Returns:
        The best rate, and the generalization of each.
    """
    trials = {}
    for rate in rates:
        training = replace(contender.settings.training, inner_lr=rate, num_epochs=num_epochs)
        settings = replace(contender.settings, training=training)
        label = f"{contender.label}, trial of rate {rate:g}"
        trial = replace(contender, label=label, settings=settings)
        _, trained = hyper_train(record, trial, life, pools, console)
        trials[rate] = trained.record.lines("validation")[-1]["meta_train"]["generalization"][0]
    return max(trials, key=lambda rate: trials[rate]), trials


def epochs_for(settings: ImageSettings, images: int) -> int:
    """Counts the epochs, at least 1, in which a system meets about so many images."""
    return max(1, round(images / images_per_epoch(settings)))


def trained_systems(record: RunRecord, contenders: Sequence[str]) -> list[dict[str, Any]]:
    """The lines `system` of these labels, in this order."""
    lines = {line["label"]: line for line in record.lines("system")}
    return [lines[label] for label in contenders]


def _deploy(
    record: RunRecord,
    contender: Contender,
    system: System,
    trained: Trained,
    lives: dict[str, ClassLives],
    *,
    steps_per_task: int,
) -> None:
    settings, hyper = contender.settings, trained.state.hyper
    counts = settings.network.count(settings.data)
    images = settings.training.num_epochs * images_per_epoch(settings)
    facts = {"epochs": settings.training.num_epochs, "images": images, **contender.facts}
    features: Callable[[Any], Any] = lambda met: system.learner.prepared(hyper.innate, met)  # noqa: E731
    for kind in KINDS:
        alive = deploy(system.learner, hyper.start, hyper.innate, lives[kind], steps_per_task=steps_per_task)
        append_method(record, contender.label, contender.title, contender.note, counts, kind, alive, **facts)
        alive = deploy_prototypes(features, lives[kind], num_labels=settings.network.num_outputs)
        name, title = OWN_PROTOTYPES + contender.label, f"class means, {contender.title}"
        append_method(record, name, title, "class means of the system's own features", counts, kind, alive)
