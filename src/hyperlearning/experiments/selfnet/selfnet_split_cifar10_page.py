"""The page of `selfnet-split-cifar10`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.selfnet.paging import life_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return life_page(
        record,
        title="Ten classes of CIFAR-10",
        tasks_are="a class of CIFAR-10 against four others",
    )
