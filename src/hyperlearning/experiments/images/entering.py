"""How runs of this family enter a comparison."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hyperlearning.core.settings import rest
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives
from hyperlearning.systems.images.autoencoder_lines import ReconstructionLine
from hyperlearning.systems.images.lines import MethodLine
from hyperlearning.systems.images.lives import hold_out
from hyperlearning.systems.images.pools import (
    SPLIT_NAMES,
    SPLITS,
    TRANSFER_TITLES,
    Split,
    load_pools,
    per_split,
    split_titles,
)
from hyperlearning.systems.images.settings import DataSettings, LifeSettings
from hyperlearning.systems.images.trained import Deployable

Kind = Literal["images to recognise", "images to reconstruct"]

Opening = Callable[[RunRecord], Mapping[str, Deployable]]
"""Opens what a finished run has trained, by the name of the system."""

_PIXELS = "squared error of a pixel"
_MEASURES: Mapping[Kind, tuple[Measure, ...]] = {
    "images to recognise": (
        Measure(name="generalization", title="generalization", unit="share"),
        Measure(name="memory", title="memory", unit="share"),
        Measure(name="generalization_of_life", title="generalization, classes of the life", unit="share"),
        Measure(name="memory_of_life", title="memory, classes of the life", unit="share"),
        Measure(name="forgetting", title="forgetting", unit="share", lower_is_better=True),
    ),
    "images to reconstruct": (
        Measure(name="generalization", title="generalization", unit=_PIXELS, lower_is_better=True),
        Measure(name="memory", title="memory", unit=_PIXELS, lower_is_better=True),
        Measure(name="forgetting", title="forgetting", unit=_PIXELS, lower_is_better=True),
        Measure(name="unseen", title="classes not met yet", unit=_PIXELS, lower_is_better=True),
        Measure(name="forward_transfer", title="forward transfer", unit=_PIXELS),
    ),
}
_ORDER = ("meta_eval", "meta_test", *TRANSFER_TITLES, "meta_train")
"""Splits, the one that tells most first."""


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """The settings that held-out lives follow from; a claim has others beside them."""

    data: DataSettings
    life: LifeSettings
    seed: int
    others: dict[str, Any] = rest()


def recorded(
    record: RunRecord, *, enters: Callable[[str], bool], lines: type[Any] = MethodLine, first_of_all: bool = False
) -> Entry:
    """What the record of a run says of its own lives.

    Args:
        record: The run.
        enters: Whether a method, by name, is what the claim is about.
        lines: Kind of the lines: of methods that recognise, or that reconstruct.
        first_of_all: Whether methods with fewer lives lived the first of all, and not lives drawn for them.
    """
    settings = record.settings(_Settings)
    kind: Kind = "images to reconstruct" if lines is ReconstructionLine else "images to recognise"
    found: dict[tuple[str, int, int], list[Fared]] = {}
    for line in record.lines(lines):
        scores = line.scores.by_name()
        split = line.split.partition("/")[0]
        num_tasks = getattr(line, "num_tasks", settings.life.num_tasks)
        drawn = settings.life.num_lives if first_of_all else len(scores["memory"])
        system = Fared(system=line.method, title=line.title, enters=enters(line.method), scores=scores)
        found.setdefault((split, num_tasks, drawn), []).append(system)
    ordered = sorted(found, key=lambda key: (_ORDER.index(key[0]), -key[1], -key[2]))
    met = [
        _met(
            kind, settings.data, replace(settings.life, num_tasks=tasks, num_lives=drawn), split, settings.seed, systems
        )
        for split, tasks, drawn in ordered
        for systems in [found[split, tasks, drawn]]
    ]
    return Entry(measures=_MEASURES[kind], met=tuple(met))


def lived(record: RunRecord, further: FurtherLives, opening: Opening, *, kind: Kind = "images to recognise") -> Entry:
    """Lets what a run has trained live further lives."""
    systems: dict[Split, list[Fared]] = per_split(lambda split: [])
    trained = opening(record)
    for name, system in trained.items():
        for split, scores in further_scores(system, num_lives=further.num_lives, seed=further.seed):
            systems[split].append(Fared(system=name, title=name, enters=True, scores=scores))
    settings = next(iter(trained.values())).settings
    life = replace(settings.life, num_lives=further.num_lives)
    ordered = sorted(SPLITS, key=_ORDER.index)
    met = [_met(kind, settings.data, life, split, further.seed, systems[split], "evaluate") for split in ordered]
    return Entry(measures=_MEASURES[kind], met=tuple(met))


def further_scores(
    trained: Deployable, *, num_lives: int, seed: int
) -> Iterator[tuple[Split, Mapping[str, Sequence[float]]]]:
    """Lives further lives, and yields every score of every split."""
    settings = trained.settings
    pools, life = load_pools(settings.data), replace(settings.life, num_lives=num_lives)
    for split in SPLITS:
        num_outputs = settings.network.num_outputs
        yield (
            split,
            trained.scores(hold_out(life, pools, split, num_outputs=num_outputs, seed=seed, purpose="evaluate")),
        )


def _met(
    kind: Kind,
    data: DataSettings,
    life: LifeSettings,
    split: str,
    seed: int,
    systems: Iterable[Fared],
    purpose: str = "held-out",
) -> MetLives:
    """Lives of a split. Labels are no fact: they are drawn after classes and images, and are names."""
    titles = {SPLIT_NAMES[own]: title for own, title in split_titles(data).items()}
    classes = titles.get(split.replace("_", "-")) or TRANSFER_TITLES[split]
    # Rotated classes are in hyper-training alone, but for digits, all of which were split by class.
    turned = data.rotated_classes if split == "meta_train" or data.dataset == "digits" else False
    facts = {
        "kind": kind,
        "classes": classes,
        "rotated_classes": turned,
        "side": data.side,
        "num_tasks": life.num_tasks,
        "num_instances": life.num_instances,
        "num_held_out": life.num_held_out,
        "num_lives": life.num_lives,
        "seed": seed,
        "purpose": purpose,
    }
    title = f"{classes}, {life.num_lives} lives of {life.num_tasks} classes"
    return MetLives(title=title, facts=facts, systems=tuple(systems))
