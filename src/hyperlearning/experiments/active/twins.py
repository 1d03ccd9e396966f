"""What the claims about Barlow Twins beside a classifier declare alike."""

from collections.abc import Mapping

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.active.entering import enter_lives
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.systems.active.settings import RecipeSettings
from hyperlearning.systems.active.twins import TwinsConfig, check_twins, live_twins

TEXT = RecipeSettings(
    model="twins",
    twins_on="labelled",
    recipe_lr=0.001,
    rate_falls=False,
    weight_decay=1e-5,
    recipe_batch=64,
    recipe_epochs=150,
    least_updates=0,
    shift=0,
)
"""Of section 4.4.1, with LeNet."""


def twins_experiment(module: str, *, claim: str, presets: Mapping[str, TwinsConfig]) -> Experiment:
    """Declares a claim.

    Args:
        module: The claim's `__name__`.
        claim: The claim in one sentence.
        presets: Settings by name, the default first.
    """
    return Experiment(
        claim=claim, presets=presets, check=check_twins, run=live_twins, report=page_of(module), enter=_enter
    )


def _enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every strategy, with Barlow Twins and without, on the lives of the run."""
    config = record.settings(TwinsConfig)
    facts = {"data": config.data, "questions": config.questions, "recipe": config.recipe, "seed": config.seed}
    return enter_lives(record, further, **facts)
