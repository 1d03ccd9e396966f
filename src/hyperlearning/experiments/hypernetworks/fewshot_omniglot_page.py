"""The page of `fewshot-omniglot`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.hypernetworks.few_shot import episodes_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return episodes_page(record, title="New characters from a few drawings")
