"""The page of `osr-bias-budget`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.active.conditions_parts import Varied, conditions_page
from hyperlearning.experiments.active.osr_bias_budget import Config, conditions
from hyperlearning.reports import Page


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    questions = {name: one.questions for name, one in conditions(config).items()}
    return conditions_page(
        record,
        title="Classes that are missing at the start",
        lead="A network learns from few labels, and a strategy chooses which images get one next, from starts that lack classes "
        "and in rounds of several sizes.",
        titles={name: f"{one.num_missing} missing, {one.query_size:,} a round" for name, one in questions.items()},
        varied=Varied(
            "classes missing at the start",
            {name: one.num_missing for name, one in questions.items() if one.query_size == config.questions.query_size},
        ),
        what="Accuracy against missing classes",
    )
