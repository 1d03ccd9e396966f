"""The page of `selfnet-cifar100`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.selfnet.paging import life_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return life_page(record, title="CIFAR-100 in ten groups", tasks_are="some classes of CIFAR-100")
