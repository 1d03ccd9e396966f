"""What the claims about few-shot learners declare alike, how learners enter a comparison, and the page that claims share."""

from collections.abc import Callable, Mapping

from rich.console import Console

from hyperlearning.core.expect import check_ranges
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page
from hyperlearning.systems.hypernetworks.few_shot_comparison import check_plan, compare_learners
from hyperlearning.systems.hypernetworks.few_shot_lines import ClassesLine, CourseLine, ScoreLine
from hyperlearning.systems.hypernetworks.few_shot_methods import HYPERNETWORKS, METHODS
from hyperlearning.systems.hypernetworks.few_shot_page import (
    best_facts,
    by_system,
    kinds_of,
    lead_of,
    sections_of,
    title_of,
)
from hyperlearning.systems.hypernetworks.few_shot_pools import FewShotPools
from hyperlearning.systems.hypernetworks.few_shot_settings import EpisodeData, FewShotConfig, LearnerName
from hyperlearning.systems.hypernetworks.few_shot_training import FewShotPlan

COMPARED: tuple[LearnerName, ...] = (
    "prototypes",
    "cosine_prototypes",
    "matching",
    "ridge",
    "baseline_plus",
    "anil",
    "hyper_shot",
    "equivariant_hyper_shot",
    "hyper_maml",
)
"""Learners where those that adapt whole networks, or tune a plain linear head, are left out."""


def few_shot_experiment(
    module: str, *, claim: str, presets: Mapping[str, FewShotConfig], pools: Callable[[EpisodeData], FewShotPools]
) -> Experiment:
    """Declares a claim.

    Args:
        module: The claim's `__name__`.
        claim: The claim in one sentence.
        presets: Settings by name, the default first.
        pools: Finds the classes to learn from, to validate and to test on.
    """

    def plan(config: FewShotConfig) -> FewShotPlan:
        return FewShotPlan(config.data, config.training, config.learners, config.tests, pools(config.data), config.seed)

    def check(config: FewShotConfig) -> None:
        check_ranges(config)
        check_plan(plan(config))

    def run(config: FewShotConfig, record: RunRecord, console: Console) -> None:
        record.note(threads=config.threads)
        compare_learners(plan(config), config, record, console)

    def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
        config = record.settings(FewShotConfig)
        return enter_episodes(
            record, further, dataset=config.data.dataset, learners=config.training.learners, seed=config.seed
        )

    return Experiment(claim=claim, presets=presets, check=check, run=run, report=page_of(module), enter=enter)


def enter_episodes(
    record: RunRecord, further: FurtherLives | None, *, dataset: str, learners: tuple[LearnerName, ...], seed: int
) -> Entry:
    """Every learner on the test episodes of the run, an episode a life.

    Args:
        record: The run's record.
        further: Episodes that it has not met, which are refused.
        dataset: What was learned from.
        learners: All of the run; those with a hypernetwork enter where the run alone is named, or the first if there is none.
        seed: Of the run.
    """
    refuse_further(record, further)
    lines = record.lines(ScoreLine)
    named = [name for name in learners if name in HYPERNETWORKS] or list(learners[:1])
    met = []
    for kind in kinds_of(lines):
        own = [row[kind] for row in by_system(lines).values() if kind in row]
        test, ways, shots = kind
        systems = tuple(
            Fared(
                system=line.system,
                title=title_of(line),
                enters=line.method == named[0] and line.readout == "own",
                scores={"accuracy": line.accuracies},
            )
            for line in own
        )
        facts = {
            "dataset": dataset,
            "test": test,
            "ways": ways,
            "shots": shots,
            "queries": own[0].queries,
            "seed": seed,
        }
        met.append(MetLives(title=f"episodes of {test}, {ways}-way {shots}-shot", facts=facts, systems=systems))
    return Entry(measures=(Measure(name="accuracy", title="queries that are right", unit="share"),), met=tuple(met))


def episodes_page(record: RunRecord, *, title: str) -> Page:
    """Makes the page from the record.

    Args:
        record: The run's record.
        title: The page's.
    """
    lines = record.lines(ScoreLine)
    notes = {METHODS[name].title: METHODS[name].note for name in record.settings(FewShotConfig).training.learners}
    return Page(
        title=title,
        lead=lead_of(lines, record.last(ClassesLine)),
        facts=best_facts(lines),
        sections=sections_of(lines, record.lines(CourseLine), notes),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
