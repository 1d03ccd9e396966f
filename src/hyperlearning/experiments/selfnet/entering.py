"""How lives of stores enter a comparison."""

from typing import Any

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.systems.selfnet.comparison import CODED
from hyperlearning.systems.selfnet.lines import StoreLine, TasksLine


def enter_stores(
    record: RunRecord, further: FurtherLives | None, *, code_sizes: tuple[int, ...], **facts: Any
) -> Entry:
    """Every store and every learner on the tasks of the run, a task a life.

    Args:
        record: The run's record.
        further: Lives that it has not met, which are refused.
        code_sizes: Of coded networks; the largest enter where the run alone is named.
        facts: What the tasks follow from, beside their titles.
    """
    refuse_further(record, further)
    tasks, best = record.last(TasksLine).tasks, CODED.format(max(code_sizes))
    systems = tuple(
        Fared(
            system=line.method,
            title=line.title,
            enters=line.method == best,
            scores={"accuracy": line.last.accuracies},
        )
        for line in record.lines(StoreLine)
    )
    met = MetLives(title=f"{len(tasks)} tasks", facts={**facts, "tasks": tasks}, systems=systems)
    return Entry(measures=(Measure(name="accuracy", title="accuracy after the last task", unit="share"),), met=(met,))
