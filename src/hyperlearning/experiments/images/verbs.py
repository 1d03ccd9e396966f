"""What can be done with finished runs of this family: live lives anew, compare two runs on the same ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from hyperlearning.core.expect import AtLeast, Seed, check_ranges
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import opened_below
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.experiment import Answer, Verb
from hyperlearning.experiments.paired import check_shared, opened_other, paired, pairs_table, values_of
from hyperlearning.reports.page import Table
from hyperlearning.systems.images.comparison import ComparedSystem
from hyperlearning.systems.images.lives import hold_out
from hyperlearning.systems.images.pools import SPLIT_NAMES, SPLITS, load_pools
from hyperlearning.systems.images.settings import ImageSettings, LifeSettings
from hyperlearning.systems.images.trained import Deployable, TrainedClassifier, open_classifier

Opening = Callable[[RunRecord], Mapping[str, Deployable]]
"""Opens what a finished run has trained, by name; the name is empty where there is one thing only."""


@dataclass(frozen=True, kw_only=True)
class FurtherLives:
    """Lives that neither training nor the run's own evaluation has met."""

    num_lives: Annotated[int, AtLeast(2), tyro.conf.arg(aliases=["--num-functions"])] = 20
    """Lives of each split."""
    seed: Seed = 7000
    """What they are drawn from; take another than the run's."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Two runs on the same further lives, paired."""

    other: tyro.conf.Positional[Path]
    """The run to compare with."""
    lives: tyro.conf.OmitArgPrefixes[FurtherLives] = field(default_factory=FurtherLives)
    """The lives."""


def verbs_of(opening: Opening) -> dict[str, Verb]:
    """Makes the verbs of a claim.

    Args:
        opening: Opens its runs.
    """
    return {
        "evaluate": Verb(
            "Deploy a finished run on lives that it has not met.",
            FurtherLives,
            lambda record, lives: evaluated(opening(record), lives),
        ),
        "compare": Verb(
            "Compare two runs on the same further lives, life by life.",
            CompareOptions,
            lambda record, options: _compared(record, options, opening),
        ),
    }


def evaluated(systems: Mapping[str, Deployable], lives: FurtherLives) -> Answer:
    """Lives lives anew."""
    estimates = {
        score: estimate(values)
        for name, trained in systems.items()
        for score, values in _scores(name, trained, lives).items()
    }
    rows = tuple((score.replace("_", " "), str(value)) for score, value in estimates.items())
    return Answer(
        table=Table(title=f"{lives.num_lives} lives of seed {lives.seed}", header=("score", "mean ± 95 %"), rows=rows),
        values={score: values_of(value) for score, value in estimates.items()},
    )


def _compared(record: RunRecord, options: CompareOptions, opening: Opening) -> Answer:
    other = opened_other(record, options.other)
    first, second = opening(record), opening(other)
    pairs = {}
    for name in (name for name in first if name in second):
        _check_same_lives(first[name].settings, second[name].settings)
        ours, theirs = (_scores(name, systems[name], options.lives) for systems in (first, second))
        for score, numbers in ours.items():
            pairs[score] = paired(numbers, theirs[score])
    return Answer(
        table=pairs_table({(score.replace("_", " "),): pair for score, pair in pairs.items()}, (record, other)),
        values={score: pair.values() for score, pair in pairs.items()},
    )


def _check_same_lives(first: ImageSettings, second: ImageSettings) -> None:
    """Raises if lives drawn for one run are not those drawn for another."""
    check_shared(first.data, second.data, ("dataset", "rotated_classes", "side"))
    check_shared(first.life, second.life, ("num_tasks", "num_instances", "num_held_out"))


def _scores(name: str, trained: Deployable, lives: FurtherLives) -> dict[str, list[float]]:
    """Every score of every split, by name."""
    settings, scores = trained.settings, {}
    pools, life = load_pools(settings.data), replace(settings.life, num_lives=lives.num_lives)
    num_outputs = settings.network.num_outputs
    for split in SPLITS:
        drawn = hold_out(life, pools, split, num_outputs=num_outputs, seed=lives.seed, purpose="evaluate")
        for score, values in trained.scores(drawn).items():
            scores[f"{name} {SPLIT_NAMES[split]} {score}".strip()] = values
    return scores


def compared_classifiers(
    record: RunRecord, systems: Sequence[ComparedSystem], life: LifeSettings
) -> dict[str, TrainedClassifier]:
    """Opens the systems of a comparison, by label.

    Args:
        record: The run's record.
        systems: What was compared.
        life: What they are deployed on.

    Raises:
        RunError: If one of them has not finished training.
    """
    opened = {}
    for system in systems:
        own = opened_below(record, system.label)
        opened[system.label] = open_classifier(own, replace(own.settings(ImageSettings), life=life))
    return opened
