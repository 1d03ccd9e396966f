"""Deep active learning with Barlow Twins on Fashion-MNIST: what does it add to a classifier, and what does asking by it?

Claim (dissertation, section 4.4, figure 4.5): it outperforms all other methods but chapter 3's, which it is on par with.

The page `docs/experiments/dalbt-fashion.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.active.twins import TEXT, twins_experiment
from hyperlearning.systems.active.settings import PoolSettings, QuestionSettings, RecipeSettings
from hyperlearning.systems.active.twins import TwinsConfig

_LAPTOP = TwinsConfig(
    data=PoolSettings(dataset="fashion_mnist", validation_images=5000, pool_images=45_000),
    questions=QuestionSettings(first_labelled=100, query_size=100, num_rounds=9, num_seeds=10),
    recipe=RecipeSettings(model="twins"),
    strategies=("random", "weibull_outlier", "weibull_inlier", "least_confidence", "margin", "core_set", "badge"),
)

_QUICK = replace(
    _LAPTOP,
    data=PoolSettings(dataset="fashion_mnist", pool_images=5000, test_images=2000),
    questions=QuestionSettings(first_labelled=50, query_size=75, num_rounds=2, num_seeds=3),
    recipe=RecipeSettings(model="twins", recipe_batch=32, recipe_epochs=10, least_updates=200),
    strategies=("random", "weibull_outlier", "margin"),
)

PRESETS: dict[str, TwinsConfig] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "thousand": replace(_LAPTOP, questions=replace(_LAPTOP.questions, query_size=1000, num_rounds=5)),
    "paper": replace(_LAPTOP, questions=replace(_LAPTOP.questions, num_seeds=5), recipe=TEXT),
    "smoke": replace(
        _QUICK,
        data=PoolSettings(dataset="fashion_mnist", pool_images=60, test_images=20),
        questions=QuestionSettings(first_labelled=10, query_size=5, num_rounds=2, num_seeds=2),
        recipe=RecipeSettings(model="twins", recipe_epochs=1, least_updates=2, recipe_batch=16),
    ),
}


EXPERIMENT = twins_experiment(
    __name__,
    claim="On Fashion-MNIST, Barlow Twins beside a classifier, and asking for outliers, outperforms other strategies.",
    presets=PRESETS,
)
