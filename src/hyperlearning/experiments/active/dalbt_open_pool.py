"""Deep active learning with Barlow Twins from a pool with images that are none of ours: does it tell them from ours?

Claim (dissertation, section 4.4, figure 4.6): with 10,000 images of another data set among CIFAR-10, asking by a Weibull
distribution of features is significantly ahead of chance.

The page `docs/experiments/dalbt-open-pool.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.active.twins import SMOKE_QUESTIONS, TEXT, quick_recipe, smoke_recipe, twins_experiment
from hyperlearning.systems.active.settings import PoolSettings, QuestionSettings
from hyperlearning.systems.active.twins import TwinsConfig

_QUICK = TwinsConfig(
    data=PoolSettings(dataset="mnist", pool_images=2000, test_images=1000, foreign="kmnist", foreign_share=0.2),
    questions=QuestionSettings(first_labelled=50, query_size=50, num_rounds=3, num_seeds=3),
    recipe=quick_recipe("characters"),
    strategies=("random", "weibull_outlier", "weibull_inlier"),
    strategies_alone=("random", "weibull_outlier", "reject_margin"),
    strategies_first=("random", "weibull_outlier", "reject_margin"),
    learns_rejects=True,
)

_LAPTOP = replace(
    _QUICK,
    data=replace(_QUICK.data, pool_images=10_000, test_images=10_000),
    questions=replace(_QUICK.questions, num_rounds=6, num_seeds=10),
    strategies=("random", "least_confidence", "weibull_outlier", "weibull_inlier", "weibull_boundary", "reject_margin"),
)

PRESETS: dict[str, TwinsConfig] = {
    "quick": _QUICK,
    "quick-50": replace(_QUICK, data=replace(_QUICK.data, foreign_share=0.5)),
    "laptop": _LAPTOP,
    "paper": replace(
        _LAPTOP,
        data=PoolSettings(
            dataset="cifar10", pool_images=40_000, validation_images=5000, foreign="kmnist", foreign_share=0.2
        ),
        questions=QuestionSettings(first_labelled=5000, query_size=2500, num_rounds=6, num_seeds=5, policy="return"),
        recipe=replace(TEXT, encoder="vgg16"),
        strategies_first=(),
    ),
    "smoke": replace(
        _QUICK,
        data=PoolSettings(
            dataset="mnist", pool_images=60, test_images=20, foreign="digits", foreign_split="test", foreign_share=0.2
        ),
        questions=SMOKE_QUESTIONS,
        recipe=smoke_recipe(_QUICK.recipe),
    ),
}

EXPERIMENT = twins_experiment(
    __name__,
    claim="Of a pool with images that are none of ours, Barlow Twins beside a classifier asks for few of those.",
    presets=PRESETS,
)
