"""The page of a life of stores, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page
from hyperlearning.systems.selfnet.comparison import SEPARATE
from hyperlearning.systems.selfnet.lines import CodersLine, InferenceLine, StoreLine, TasksLine, TunedLine
from hyperlearning.systems.selfnet.page_parts import best_facts, sections_of


def life_page(record: RunRecord, *, title: str, tasks_are: str) -> Page:
    """Makes the page.

    Args:
        record: The run's record.
        title: The page's.
        tasks_are: What a task is, such as "a digit against two others".
    """
    lines, tasks = record.lines(StoreLine), record.last(TasksLine)
    (separate,) = (line for line in lines if line.method == SEPARATE)
    return Page(
        title=title,
        lead=f"{len(tasks.tasks)} tasks, each {tasks_are}, were met one after another. Each is learned by a network of "
        f"{separate.num_weights:,} weights, and every store keeps what it can of these in few bytes; or one network learns all "
        "of them, with a remedy against forgetting. After every stage all tasks are tested.",
        facts=best_facts(lines),
        sections=sections_of(
            lines, tasks, record.lines(TunedLine), record.lines(InferenceLine), record.lines(CodersLine)
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
