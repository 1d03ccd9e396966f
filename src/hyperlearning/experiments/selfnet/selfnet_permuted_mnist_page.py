"""The page of `selfnet-permuted-mnist`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.selfnet.paging import life_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return life_page(
        record, title="Ten permutations of MNIST", tasks_are="MNIST with its pixels in an order of its own"
    )
