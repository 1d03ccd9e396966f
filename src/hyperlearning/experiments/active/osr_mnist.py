"""Asking about MNIST by open-set recognition: does choosing win anything over chance with the same network and training?

Claim (dissertation, section 3.4.2, figure 3.2): on MNIST, with 100 and with 1,000 questions a round, asking for what a
variational network is least sure of is comparable with the state of the art; random queries leave little to win.

The page `docs/experiments/osr-mnist.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.systems.active.asking import AskConfig, only_condition
from hyperlearning.systems.active.settings import RECIPES, PoolSettings, QuestionSettings, RecipeSettings

_LAPTOP = AskConfig(
    data=PoolSettings(dataset="mnist", validation_images=5000, pool_images=10_000),
    questions=QuestionSettings(first_labelled=100, query_size=100, num_rounds=9, num_seeds=10),
    recipe=RecipeSettings(draws=10),
    strategies=(
        "random",
        "least_confidence",
        "margin",
        "bald",
        "weibull_outlier",
        "weibull_inlier",
        "core_set",
        "badge",
        "typi_clust",
    ),
)

_QUICK = replace(
    _LAPTOP,
    data=PoolSettings(dataset="mnist", pool_images=5000, test_images=2000),
    questions=QuestionSettings(first_labelled=50, query_size=50, num_rounds=3, num_seeds=3),
    recipe=RecipeSettings(draws=10, recipe_lr=0.005, least_updates=170),
    strategies=("random", "least_confidence", "margin", "bald", "weibull_outlier", "weibull_inlier"),
    has_ceiling=True,
)

_PAPER = replace(
    _LAPTOP,
    data=replace(_LAPTOP.data, pool_images=45_000),
    questions=replace(_LAPTOP.questions, num_seeds=5),
    recipe=replace(RECIPES["text"], draws=10),
)

PRESETS: dict[str, AskConfig] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "thousand": replace(
        _LAPTOP,
        data=replace(_LAPTOP.data, pool_images=20_000),
        questions=replace(_LAPTOP.questions, query_size=1000, num_rounds=5, num_seeds=5),
    ),
    "paper": _PAPER,
    "smoke": replace(
        _QUICK,
        data=PoolSettings(dataset="mnist", pool_images=60, test_images=20),
        questions=QuestionSettings(first_labelled=10, query_size=5, num_rounds=2, num_seeds=2),
        recipe=RecipeSettings(draws=2, recipe_epochs=1, least_updates=2),
        strategies=_LAPTOP.strategies,
    ),
}


EXPERIMENT = asking_experiment(
    __name__,
    claim="Asking for what a variational network is least sure of wins little over chance on MNIST.",
    presets=PRESETS,
    conditions=only_condition,
)
