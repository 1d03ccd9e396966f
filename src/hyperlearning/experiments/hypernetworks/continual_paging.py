"""The page of a continual life of hypernetworks, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page
from hyperlearning.systems.hypernetworks.continual_lines import TasksLine
from hyperlearning.systems.hypernetworks.continual_page import best_facts, sections_of


def life_page(record: RunRecord, *, title: str, tasks_are: str) -> Page:
    """Makes the page.

    Args:
        record: The run's record.
        title: The page's.
        tasks_are: What a task is, such as "two digits".
    """
    tasks = record.last(TasksLine)
    return Page(
        title=title,
        lead=f"{len(tasks.tasks)} tasks, each {tasks_are}, were met one after another. A hypernetwork of {tasks.num_emitting:,} "
        f"numbers writes a network of {tasks.num_weights:,} weights for each, and keeps what it wrote before; beside it "
        "networks of their own, whole and in the same bytes, one network with a remedy against forgetting, and a readout that is "
        "solved.",
        facts=best_facts(record),
        sections=sections_of(record),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
