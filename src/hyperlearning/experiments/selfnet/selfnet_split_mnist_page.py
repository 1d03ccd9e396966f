"""The page of `selfnet-split-mnist`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.selfnet.paging import life_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return life_page(record, title="Ten digits, each against four others", tasks_are="a digit against four others")
