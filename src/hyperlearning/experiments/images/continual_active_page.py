"""The page of `continual-active`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return Page(title="Questions at once", lead="", facts={}, sections=(), command="", footer={})
