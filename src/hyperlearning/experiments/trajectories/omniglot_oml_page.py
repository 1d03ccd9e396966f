"""The page of `omniglot-oml`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page
from hyperlearning.systems.trajectories.single_network_page import single_network_page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    found = single_network_page(record, "OML")
    return Page(
        title="OML: learning classes in a row",
        lead="A representation was meta-trained along trajectories of single images of background classes. Then a new last layer "
        "learned evaluation classes on it, 15 images each, one image at a time, in one pass and without replay. "
        f"{found.verdict}",
        facts=found.facts,
        sections=found.sections,
        command=record.manifest["command"],
        footer=footer_of(record),
    )
