"""The page of `selfnet-compression`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.selfnet.paging import life_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return life_page(record, title="Many networks in few bytes", tasks_are="one digit against others")
