"""What can be done with finished runs of this family: live lives anew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import tyro

from hyperlearning.core.expect import AtLeast, Seed, check_ranges
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import opened_below
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.entry import Entry
from hyperlearning.experiments.entry import FurtherLives as FurtherOnes
from hyperlearning.experiments.experiment import Answer, Verb, values_of
from hyperlearning.experiments.images.entering import Opening, further_scores, lived, recorded
from hyperlearning.reports.page import Table
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES, ComparedSystem
from hyperlearning.systems.images.pools import SPLIT_NAMES
from hyperlearning.systems.images.settings import ImageSettings, LifeSettings
from hyperlearning.systems.images.trained import Deployable, TrainedClassifier, open_classifier


@dataclass(frozen=True, kw_only=True)
class FurtherLives:
    """Lives that neither training nor the run's own evaluation has met."""

    num_lives: Annotated[int, AtLeast(2), tyro.conf.arg(aliases=["--num-functions"])] = 20
    """Lives of each split."""
    seed: Seed = 7000
    """What they are drawn from; take another than the run's."""

    def __post_init__(self) -> None:
        check_ranges(self)


def evaluating(opening: Opening) -> Verb:
    """Makes the verb that lives lives anew.

    Args:
        opening: Opens a claim's runs.
    """
    return Verb(
        "Deploy a finished run on lives that it has not met.",
        FurtherLives,
        lambda record, lives: evaluated(opening(record), lives),
    )


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


def _scores(name: str, trained: Deployable, lives: FurtherLives) -> dict[str, Sequence[float]]:
    """Every score of every split, by name."""
    return {
        f"{name} {SPLIT_NAMES[split]} {score}".strip(): values
        for split, scores in further_scores(trained, num_lives=lives.num_lives, seed=lives.seed)
        for score, values in scores.items()
    }


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


def entering(
    load: Callable[[RunRecord], Mapping[str, TrainedClassifier]],
) -> Callable[[RunRecord, FurtherOnes | None], Entry]:
    """Makes what lets runs of a comparison, whose systems have labels of their own, enter another.

    Args:
        load: Opens a run's systems.
    """

    def enter(record: RunRecord, further: FurtherOnes | None) -> Entry:
        if further is not None:
            return lived(record, further, load)
        return recorded(record, enters=lambda name: not name.startswith(OWN_PROTOTYPES))

    return enter
