"""What can be done with finished runs of this family: live lives anew, learn a folder."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Protocol

import tyro

from hyperlearning.core.errors import RunError
from hyperlearning.core.expect import AtLeast, Seed, check_ranges
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import opened_below
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.deploying_folders import HELP, DeployOnFolder, Opened, deployed, deploying
from hyperlearning.experiments.entry import Entry
from hyperlearning.experiments.entry import FurtherLives as FurtherOnes
from hyperlearning.experiments.experiment import Answer, Verb, values_of
from hyperlearning.experiments.images.entering import Opening, further_scores, lived, recorded
from hyperlearning.reports.page import Table
from hyperlearning.systems.folder_lives import FolderRun
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES, ComparedSystem
from hyperlearning.systems.images.innate_file import Featured, innate_statistics
from hyperlearning.systems.images.lines import MethodLine
from hyperlearning.systems.images.pools import SPLIT_NAMES, Split
from hyperlearning.systems.images.settings import ImageSettings, LifeSettings
from hyperlearning.systems.images.trained import Deployable, TrainedClassifier, open_classifier

_JUDGED_BY: Split = "meta_test"
"""Lives that the best of several systems is chosen by."""


@dataclass(frozen=True, kw_only=True)
class FurtherLives:
    """Lives that neither training nor the run's own evaluation has met."""

    num_lives: Annotated[int, AtLeast(2), tyro.conf.arg(aliases=["--num-functions"])] = 20
    """Lives of each split."""
    seed: Seed = 7000
    """What they are drawn from; take another than the run's."""

    def __post_init__(self) -> None:
        check_ranges(self)


class FolderClassifier(FolderRun, Featured, Protocol):
    """What of this family can live a folder of images."""


@dataclass(frozen=True, kw_only=True)
class DeploySystem:
    """Which of a run's systems learns a folder, and how."""

    system: str | None = None
    """Label of the system; the one that recognised most held-out images of meta-test classes in the run, if absent."""
    deploy: tyro.conf.OmitArgPrefixes[DeployOnFolder]


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


def deploying_classifier(load: Callable[[RunRecord], TrainedClassifier]) -> Verb:
    """Makes the verb that learns a folder of images, of a claim whose runs hold one classifier.

    Args:
        load: Opens a run.
    """
    return deploying(lambda record: opened(record, load(record)))


def deploying_systems(load: Callable[[RunRecord], Mapping[str, TrainedClassifier]]) -> Verb:
    """Likewise of a claim that compares classifiers: one of them is named, or the best by the record is taken.

    Args:
        load: Opens a run's systems, by label.
    """

    def act(record: RunRecord, options: DeploySystem) -> Answer:
        systems = load(record)
        label = options.system or best_system(record, systems)
        if label not in systems:
            raise ValueError(f"Expected `system` among {', '.join(systems)}, but got {label}.")
        said = ()
        if not options.system and len(systems) > 1:
            said = (
                f"Of {', '.join(systems)}, {label} was taken, which recognised most held-out images on the run's "
                f"{SPLIT_NAMES[_JUDGED_BY]} lives; `--system` takes another.",
            )
        chosen = opened(opened_below(record, label), systems[label], said=said)
        return deployed(record, chosen._replace(flags=("--system", label)), options.deploy)

    return Verb(HELP, DeploySystem, act)


def best_system(record: RunRecord, labels: Iterable[str]) -> str:
    """The system that generalizes best on the record's lives of held-out classes; of equal ones the first.

    Raises:
        RunError: If the record has not got so far.
    """
    lines = [line for line in record.lines(MethodLine) if line.split == _JUDGED_BY]
    found = {line.method: line.estimate("generalization").mean for line in lines}
    if missing := [label for label in labels if label not in found]:
        raise RunError(
            f"Expected a run that has deployed all its systems, but {record.path} lacks {', '.join(missing)}. Go on with "
            f"`hyperlearning resume {record.path}`, or name a `--system`."
        )
    return max(labels, key=lambda label: found[label])


def opened(record: RunRecord, run: FolderClassifier, *, said: tuple[str, ...] = ()) -> Opened:
    """Makes what learns a folder of images.

    Args:
        record: The record of the run, or of the system below one.
        run: What it has trained.
        said: What a reader should know of it.
    """
    return Opened(run, lambda: innate_statistics(record, run), said)
