"""What the claims about Barlow Twins beside a classifier declare alike."""

from collections.abc import Mapping

from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.experiments.experiment import Experiment
from hyperlearning.systems.active.settings import RecipeSettings
from hyperlearning.systems.active.twins import TwinsConfig, with_and_without

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
    return asking_experiment(module, claim=claim, presets=presets, conditions=with_and_without)
