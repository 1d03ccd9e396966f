"""What the claims about Barlow Twins beside a classifier declare alike."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.experiments.experiment import Experiment
from hyperlearning.systems.active.settings import (
    PoolSettings,
    PretrainingSettings,
    QuestionSettings,
    RecipeSettings,
    ViewsName,
)
from hyperlearning.systems.active.twins import TwinsConfig, with_and_without

TEXT = RecipeSettings(
    model="twins",
    twins_weight=0.001,
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

SMOKE_QUESTIONS = QuestionSettings(first_labelled=10, query_size=5, num_rounds=2, num_seeds=2)


def quick_recipe(views: ViewsName) -> RecipeSettings:
    """LeNet on few labels, after whatever Barlow Twins learns from views of such images first."""
    return RecipeSettings(
        model="twins",
        recipe_batch=32,
        recipe_epochs=10,
        least_updates=200,
        pretraining=PretrainingSettings(pretrained="lenet", views=views, pretrain_epochs=30),
    )


def smoke_recipe(recipe: RecipeSettings) -> RecipeSettings:
    """LeNet, with views as a recipe has them, in seconds."""
    return RecipeSettings(
        model="twins",
        recipe_epochs=1,
        least_updates=2,
        recipe_batch=16,
        pretraining=replace(recipe.pretraining, pretrain_epochs=1, pretrain_batch=32, projections=16),
    )


class GreyPresets(NamedTuple):
    """Settings of one claim about grey images.

    Attributes:
        quick: In three minutes.
        laptop: With 100 questions a round.
        thousand: With 1,000.
        paper: As the text has it.
        smoke: In seconds.
    """

    quick: TwinsConfig
    laptop: TwinsConfig
    thousand: TwinsConfig
    paper: TwinsConfig
    smoke: TwinsConfig


def grey_presets(dataset: Literal["mnist", "fashion_mnist"]) -> GreyPresets:
    """Makes the settings of a claim, by the grey images that it is about."""
    views: ViewsName = "characters" if dataset == "mnist" else "grey_things"
    first = PretrainingSettings(pretrained="lenet", views=views, pretrain_epochs=20)
    hundred = QuestionSettings(first_labelled=100, query_size=100, num_rounds=6, num_seeds=10)
    laptop = TwinsConfig(
        data=PoolSettings(dataset=dataset, validation_images=5000, pool_images=20_000),
        questions=hundred,
        recipe=RecipeSettings(model="twins", pretraining=first),
        strategies=("random", "weibull_outlier", "margin"),
        strategies_first=("random", "weibull_outlier", "margin"),
    )
    quick = replace(
        laptop,
        data=PoolSettings(dataset=dataset, pool_images=3000, test_images=1000),
        questions=QuestionSettings(first_labelled=50, query_size=75, num_rounds=2, num_seeds=3),
        recipe=quick_recipe(views),
        strategies=("random", "weibull_outlier"),
        strategies_first=("random", "weibull_outlier", "margin"),
    )
    return GreyPresets(
        quick=quick,
        laptop=laptop,
        thousand=replace(laptop, questions=replace(hundred, query_size=1000, num_rounds=5, num_seeds=5)),
        paper=replace(
            laptop,
            data=replace(laptop.data, pool_images=45_000),
            questions=replace(hundred, num_rounds=9, num_seeds=5),
            recipe=TEXT,
            strategies=(
                "random",
                "weibull_outlier",
                "weibull_inlier",
                "least_confidence",
                "margin",
                "core_set",
                "badge",
            ),
            strategies_first=(),
        ),
        smoke=replace(
            quick,
            data=PoolSettings(dataset=dataset, pool_images=60, test_images=20),
            questions=SMOKE_QUESTIONS,
            recipe=smoke_recipe(quick.recipe),
        ),
    )


def twins_experiment(module: str, *, claim: str, presets: Mapping[str, TwinsConfig]) -> Experiment:
    """Declares a claim.

    Args:
        module: The claim's `__name__`.
        claim: The claim in one sentence.
        presets: Settings by name, the default first.
    """
    return asking_experiment(module, claim=claim, presets=presets, conditions=with_and_without)
