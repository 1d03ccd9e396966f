"""Settings of the claims about small photographs, which differ in data and in how many questions are asked."""

from dataclasses import replace
from typing import Literal, NamedTuple

from hyperlearning.acquisition.strategies import StrategyName
from hyperlearning.systems.active.asking import AskConfig
from hyperlearning.systems.active.settings import PHOTO_RECIPES, PoolSettings, QuestionSettings


class PhotoPresets(NamedTuple):
    """Settings of one claim.

    Attributes:
        quick: In three minutes.
        laptop: In two hours.
        features: As many questions of every strategy, on features that stay as they are: in less than an hour.
        paper: As the text has it.
        code: As its code has it.
        smoke: In seconds.
    """

    quick: AskConfig
    laptop: AskConfig
    features: AskConfig
    paper: AskConfig
    code: AskConfig
    smoke: AskConfig


def photo_presets(
    dataset: Literal["cifar10", "cifar100"], *, quick: QuestionSettings, laptop: QuestionSettings
) -> PhotoPresets:
    """Makes the settings of a claim.

    Args:
        dataset: Of photographs.
        quick: Questions in three minutes, of 3,000 images.
        laptop: Questions in two hours, of 10,000 images at most.
    """
    small, whole = PHOTO_RECIPES["small"], PoolSettings(dataset=dataset, validation_images=5000)
    long = QuestionSettings(first_labelled=5000, query_size=2500, num_rounds=6, num_seeds=5)
    first = AskConfig(
        data=PoolSettings(dataset=dataset, pool_images=3000, test_images=1000),
        questions=quick,
        recipe=replace(small, encoder="lenet", draws=10),
        strategies=("random", "least_confidence", "margin", "weibull_inlier"),
    )
    many = AskConfig(
        data=PoolSettings(dataset=dataset, pool_images=10_000, test_images=2000),
        questions=laptop,
        recipe=replace(small, draws=10),
        strategies=("random", "least_confidence", "margin", "weibull_outlier", "weibull_inlier"),
    )
    every: tuple[StrategyName, ...] = (
        "random",
        "least_confidence",
        "margin",
        "bald",
        "weibull_outlier",
        "weibull_inlier",
        "weibull_boundary",
        "core_set",
        "badge",
        "typi_clust",
    )
    return PhotoPresets(
        quick=first,
        laptop=many,
        features=replace(many, recipe=PHOTO_RECIPES["features"], strategies=every),
        paper=replace(
            many, data=whole, questions=long, recipe=replace(PHOTO_RECIPES["text"], draws=10), strategies=every
        ),
        code=replace(
            many,
            data=whole,
            questions=long,
            recipe=PHOTO_RECIPES["code"],
            strategies=("random", "least_confidence", "weibull_inlier"),
        ),
        smoke=replace(
            first,
            data=PoolSettings(dataset=dataset, pool_images=60, test_images=20),
            questions=QuestionSettings(first_labelled=10, query_size=5, num_rounds=2, num_seeds=2),
            recipe=replace(first.recipe, draws=2, recipe_epochs=1, least_updates=2),
        ),
    )
