"""The page of `hnet-permuted-mnist`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.hypernetworks.continual_paging import life_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return life_page(
        record, title="Orders of MNIST's pixels, one hypernetwork", tasks_are="all digits in another order"
    )
