"""Recipe or selection: which of the two made chapter 3's gain? Every recipe with every strategy, from the same starts.

Claim (dissertation, sections 3.4.2 and 3.5): asking for what a variational network is least sure of learns more from fewer labels
than all other methods. Their curves are another paper's, with another recipe, and begin 18 points lower, before any question.

The page `docs/experiments/recipe-or-selection.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from hyperlearning.acquisition.strategies import Compared
from hyperlearning.core.expect import Count, Seed, Some, Within, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.systems.active.asking import Condition, Conditions
from hyperlearning.systems.active.settings import RECIPES, PoolSettings, QuestionSettings, RecipeSettings

RecipeName = Literal["text", "code", "recommended"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train by several recipes on what several strategies ask for, and compare what each of the two is worth."""

    data: PoolSettings = field(default_factory=PoolSettings)
    questions: QuestionSettings = field(default_factory=QuestionSettings)
    recipes: Annotated[tuple[RecipeName, ...], Some(distinct=True)] = ("text", "code", "recommended")
    """How the network is trained and looked at; the first is what the others are measured by."""
    strategies: Compared = ("random", "least_confidence")
    """What chooses; chance, which must be there, is what the others are measured by."""
    share_of_updates: Annotated[float, Within(0.001, 1)] = 1.0
    """How many of a recipe's updates are made; fewer are for trying it out."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


_QUICK = Config(
    data=PoolSettings(dataset="mnist", pool_images=5000, test_images=1000),
    questions=QuestionSettings(first_labelled=50, query_size=50, num_rounds=3, num_seeds=3),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": replace(
        _QUICK,
        data=PoolSettings(dataset="mnist", pool_images=10_000, validation_images=5000),
        questions=QuestionSettings(first_labelled=100, query_size=100, num_rounds=6, num_seeds=10),
        strategies=("random", "least_confidence", "weibull_outlier", "weibull_inlier"),
    ),
    "smoke": replace(
        _QUICK,
        data=PoolSettings(dataset="mnist", pool_images=60, test_images=20),
        questions=QuestionSettings(first_labelled=10, query_size=5, num_rounds=2, num_seeds=2),
        share_of_updates=0.01,
    ),
    "paper": replace(
        _QUICK,
        data=PoolSettings(dataset="mnist", pool_images=45_000, validation_images=5000),
        questions=QuestionSettings(first_labelled=100, query_size=100, num_rounds=9, num_seeds=5),
    ),
}


def conditions(config: Config) -> Conditions:
    """Every recipe with the same questions."""
    return {name: Condition(_recipe(config, name), config.questions) for name in config.recipes}


def _recipe(config: Config, name: RecipeName) -> RecipeSettings:
    whole, share = RECIPES[name], config.share_of_updates
    return replace(
        whole,
        recipe_epochs=max(1, round(share * whole.recipe_epochs)),
        least_updates=round(share * whole.least_updates),
    )


EXPERIMENT = asking_experiment(
    __name__,
    claim="What chapter 3 gains over other methods is made by how networks are trained, not by what is asked.",
    presets=PRESETS,
    conditions=conditions,
)
