"""The page of `osr-cifar100`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.active.asking_parts import asking_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return asking_page(
        record,
        title="Which of a hundred kinds to ask about",
        lead="A variational network learns photographs of a hundred kinds from few labels, and a strategy chooses the next ones.",
    )
