"""Pools with images that are none of ours: whose questions are not wasted, and do they teach more than chance's?

Claim (dissertation, section 3.4.4, figure 3.6): with 20 % of the pool from another data set, asking by a Weibull distribution of
latents rejects what is none of ours, significantly ahead of chance and hardly behind a pool without such images.

The page `docs/experiments/osr-open-pool.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.systems.active.asking import AskConfig, only_condition
from hyperlearning.systems.active.settings import PHOTO_RECIPES, PoolSettings, QuestionSettings, RecipeSettings

_QUICK = AskConfig(
    data=PoolSettings(dataset="mnist", pool_images=2000, test_images=1000, foreign="kmnist", foreign_share=0.5),
    questions=QuestionSettings(first_labelled=50, query_size=50, num_rounds=3, num_seeds=3),
    recipe=RecipeSettings(recipe_batch=64, least_updates=200),
    strategies=(
        "random",
        "least_confidence",
        "weibull_outlier",
        "weibull_inlier",
        "weibull_boundary",
        "reject_margin",
        "lfosa",
        "eoal",
    ),
    learns_rejects=True,
)

_LAPTOP = replace(
    _QUICK,
    data=replace(_QUICK.data, pool_images=10_000, test_images=10_000),
    questions=QuestionSettings(first_labelled=50, query_size=50, num_rounds=6, num_seeds=10),
    strategies=(
        "random",
        "least_confidence",
        "margin",
        "weibull_outlier",
        "weibull_inlier",
        "weibull_boundary",
        "reject_margin",
        "reject_least_confidence",
        "lfosa",
        "eoal",
        "core_set",
        "badge",
    ),
)

_PHOTOS = replace(
    _LAPTOP,
    data=PoolSettings(dataset="cifar10", pool_images=8000, test_images=2000, foreign="cifar100", foreign_share=0.5),
    questions=QuestionSettings(first_labelled=1000, query_size=500, num_rounds=4, num_seeds=3),
    recipe=PHOTO_RECIPES["small"],
)

_PAPER = AskConfig(
    data=PoolSettings(
        dataset="cifar10", pool_images=40_000, validation_images=5000, foreign="kmnist", foreign_share=0.2
    ),
    questions=QuestionSettings(first_labelled=5000, query_size=2500, num_rounds=6, num_seeds=5, policy="return"),
    recipe=PHOTO_RECIPES["text"],
    strategies=("random", "least_confidence", "weibull_outlier", "weibull_inlier"),
)

PRESETS: dict[str, AskConfig] = {
    "quick": _QUICK,
    "quick-20": replace(_QUICK, data=replace(_QUICK.data, foreign_share=0.2)),
    "quick-60": replace(_QUICK, data=replace(_QUICK.data, foreign_share=0.6)),
    "laptop": _LAPTOP,
    "laptop-20": replace(_LAPTOP, data=replace(_LAPTOP.data, foreign_share=0.2)),
    "laptop-60": replace(_LAPTOP, data=replace(_LAPTOP.data, foreign_share=0.6, pool_images=6600)),
    "clothes": replace(_LAPTOP, data=replace(_LAPTOP.data, foreign="fashion_mnist")),
    "photos": _PHOTOS,
    "paper": _PAPER,
    "code": replace(_PAPER, questions=replace(_PAPER.questions, policy="remove last"), recipe=PHOTO_RECIPES["code"]),
    "smoke": replace(
        _LAPTOP,
        data=PoolSettings(
            dataset="mnist", pool_images=60, test_images=20, foreign="digits", foreign_split="test", foreign_share=0.5
        ),
        questions=QuestionSettings(first_labelled=10, query_size=5, num_rounds=2, num_seeds=2),
        recipe=RecipeSettings(recipe_epochs=1, least_updates=2),
    ),
}

EXPERIMENT = asking_experiment(
    __name__,
    claim="Of a pool half of which is none of ours, a network that learns from rejected images asks for few of those.",
    presets=PRESETS,
    conditions=only_condition,
)
