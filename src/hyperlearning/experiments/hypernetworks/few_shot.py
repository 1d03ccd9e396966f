"""How few-shot learners enter a comparison, and the page that claims about them share."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page
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
from hyperlearning.systems.hypernetworks.few_shot_settings import LearnerName


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


def episodes_page(record: RunRecord, *, title: str, learners: tuple[LearnerName, ...]) -> Page:
    """Makes the page from the record.

    Args:
        record: The run's record.
        title: The page's.
        learners: All of the run.
    """
    lines = record.lines(ScoreLine)
    notes = {METHODS[name].title: METHODS[name].note for name in learners}
    return Page(
        title=title,
        lead=lead_of(lines, record.last(ClassesLine)),
        facts=best_facts(lines),
        sections=sections_of(lines, record.lines(CourseLine), notes),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
