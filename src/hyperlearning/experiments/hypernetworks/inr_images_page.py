"""The page of `inr-images`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.hypernetworks.inr_images import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page
from hyperlearning.systems.hypernetworks.image_lines import CoderLine, ShownLine
from hyperlearning.systems.hypernetworks.image_page import decibels, sections_of


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config, lines = record.settings(Config), record.lines(CoderLine)
    best = max(lines, key=lambda line: estimate(line.psnrs).mean)
    return Page(
        title="Images from short codes",
        lead=f"Every image becomes {config.coding.code_size} numbers, and those an image again: by principal components, by a "
        "decoder of pixels, and by networks from points to brightness that a hypernetwork writes.",
        facts={"nearest": f"{best.title}: {decibels(estimate(best.psnrs))} dB"},
        sections=sections_of(lines, record.lines(ShownLine), config.coding.code_size),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
