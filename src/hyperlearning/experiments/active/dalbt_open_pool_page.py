"""The page of `dalbt-open-pool`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.active.twins_parts import twins_page
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    return twins_page(
        record,
        title="Barlow Twins beside a classifier: a pool that is not all ours",
        lead="A classifier learns from few labels, and Barlow Twins on the same encoder from all images, some of which are none "
        "of ours.",
    )
