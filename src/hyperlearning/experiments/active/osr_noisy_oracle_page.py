"""The page of `osr-noisy-oracle`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.active.conditions_parts import Varied, conditions_page
from hyperlearning.experiments.active.osr_noisy_oracle import Config, name_of
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    noises = record.settings(Config).noises
    return conditions_page(
        record,
        title="An oracle that errs",
        lead="A network learns from few labels, a share of which is wrong, and a strategy chooses which images get one next.",
        titles={name_of(noise): f"{100 * noise:g} % wrong" for noise in noises},
        varied=Varied("labels that are wrong, percent", {name_of(noise): 100 * noise for noise in noises}),
        what="Accuracy against wrong answers",
    )
