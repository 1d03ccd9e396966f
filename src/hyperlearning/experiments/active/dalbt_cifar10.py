"""Deep active learning with Barlow Twins on CIFAR-10, by small and by large budgets.

Claim (dissertation, section 4.4, figures 4.3 and 4.4): with 2,500 questions a round it is on par with chapter 3 and ahead
of all others; with 1,000 it outperforms all by a substantial margin.

The page `docs/experiments/dalbt-cifar10.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.active.twins import SMOKE_QUESTIONS, TEXT, smoke_recipe, twins_experiment
from hyperlearning.systems.active.settings import PoolSettings, PretrainingSettings, QuestionSettings, RecipeSettings
from hyperlearning.systems.active.twins import TwinsConfig

_LAPTOP = TwinsConfig(
    data=PoolSettings(dataset="cifar10"),
    questions=QuestionSettings(first_labelled=2000, query_size=400, num_rounds=6, num_seeds=3),
    recipe=RecipeSettings(
        model="twins",
        encoder="strided",
        flip_prob=0.5,
        shift=4,
        recipe_epochs=30,
        pretraining=PretrainingSettings(pretrain_epochs=30, pretrain_batch=128),
    ),
    strategies=("random", "weibull_outlier", "least_confidence", "margin"),
    strategies_first=("random", "weibull_outlier", "margin"),
)

_QUICK = replace(
    _LAPTOP,
    data=PoolSettings(dataset="cifar10", pool_images=3000, test_images=1000),
    questions=QuestionSettings(first_labelled=200, query_size=100, num_rounds=2, num_seeds=3),
    recipe=RecipeSettings(
        model="twins",
        encoder="lenet",
        flip_prob=0.5,
        recipe_batch=32,
        recipe_epochs=1,
        least_updates=200,
        pretraining=PretrainingSettings(pretrained="lenet", pretrain_epochs=30),
    ),
    strategies=("random", "weibull_outlier"),
)

PRESETS: dict[str, TwinsConfig] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "large-budget": replace(_LAPTOP, questions=replace(_LAPTOP.questions, query_size=1000)),
    "paper": replace(
        _LAPTOP,
        data=PoolSettings(dataset="cifar10", validation_images=5000),
        questions=QuestionSettings(first_labelled=5000, query_size=2500, num_rounds=6, num_seeds=5),
        recipe=replace(TEXT, encoder="vgg16"),
        strategies_first=(),
    ),
    "smoke": replace(
        _QUICK,
        data=PoolSettings(dataset="cifar10", pool_images=60, test_images=20),
        questions=SMOKE_QUESTIONS,
        recipe=smoke_recipe(_QUICK.recipe),
    ),
}


EXPERIMENT = twins_experiment(
    __name__,
    claim="On CIFAR-10, Barlow Twins beside a classifier, and asking for outliers, outperforms other strategies.",
    presets=PRESETS,
)
