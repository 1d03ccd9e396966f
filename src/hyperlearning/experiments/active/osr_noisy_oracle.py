"""An oracle that errs: what is choosing worth when a tenth to three tenths of the answers are wrong?

Claim (dissertation, section 3.4.3, figure 3.5): on CIFAR-100, with labels mistaken for others of the same superclass, a
variational network that asks for what it is least sure of is more accurate at 30 % noise than other methods at 10 %.

The page `docs/experiments/osr-noisy-oracle.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated

from hyperlearning.acquisition.strategies import Compared
from hyperlearning.core.expect import Count, Seed, Share, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.systems.active.asking import Condition, Conditions
from hyperlearning.systems.active.settings import PHOTO_RECIPES, PoolSettings, QuestionSettings, RecipeSettings


@dataclass(frozen=True, kw_only=True)
class Config:
    """Ask oracles that mislabel more and more, by several strategies, and compare what choosing wins."""

    data: PoolSettings = field(default_factory=PoolSettings)
    questions: QuestionSettings = field(default_factory=QuestionSettings)
    recipe: RecipeSettings = field(default_factory=RecipeSettings)
    noises: Annotated[tuple[Share, ...], Some(distinct=True)] = (0.0, 0.1, 0.2, 0.3)
    """Shares of images that the oracle mislabels, each within its superclass where there are any."""
    strategies: Compared = ("random", "least_confidence", "margin")
    """What chooses; chance must be there."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


def conditions(config: Config) -> Conditions:
    """Every oracle with the same recipe."""
    return {name_of(noise): Condition(config.recipe, replace(config.questions, noise=noise)) for noise in config.noises}


def name_of(noise: float) -> str:
    """What the lives of an oracle are called in a record."""
    return f"noise_{100 * noise:g}"


_QUICK = Config(
    data=PoolSettings(dataset="mnist", pool_images=3000, test_images=1000),
    questions=QuestionSettings(first_labelled=100, query_size=100, num_rounds=2, num_seeds=3),
    recipe=RecipeSettings(least_updates=200, recipe_lr=0.005),
    noises=(0.0, 0.1, 0.3),
)

_LAPTOP = Config(
    data=PoolSettings(dataset="cifar100", pool_images=10_000, test_images=2000),
    questions=QuestionSettings(first_labelled=800, query_size=400, num_rounds=6, num_seeds=10),
    recipe=PHOTO_RECIPES["features"],
    strategies=("random", "least_confidence", "margin", "weibull_outlier", "weibull_inlier", "badge", "typi_clust"),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "smoke": replace(
        _QUICK,
        data=PoolSettings(dataset="mnist", pool_images=60, test_images=20),
        questions=QuestionSettings(first_labelled=10, query_size=5, num_rounds=2, num_seeds=2),
        recipe=RecipeSettings(recipe_epochs=1, least_updates=2),
        noises=(0.0, 0.3),
        strategies=("random", "margin"),
    ),
    "paper": replace(
        _LAPTOP,
        data=PoolSettings(dataset="cifar100", validation_images=5000),
        questions=QuestionSettings(
            first_labelled=5000, query_size=2500, num_rounds=6, num_seeds=5, noise_is_redrawn=True
        ),
        recipe=PHOTO_RECIPES["text"],
        strategies=("random", "least_confidence", "margin"),
    ),
}

EXPERIMENT = asking_experiment(
    __name__,
    claim="Answers that are wrong within a superclass cost accuracy, and choosing wins no more than chance does.",
    presets=PRESETS,
    conditions=conditions,
)
