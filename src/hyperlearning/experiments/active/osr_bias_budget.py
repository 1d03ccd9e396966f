"""A start that lacks classes, and rounds of other sizes: is choosing worth more where the first labels mislead?

Claim (dissertation, section 3.4.3, figure 3.4): on CIFAR-100, with nothing labelled of 10 or 20 classes at the start, or with 5
or 10 % of the images asked for a round, a variational network that asks for what it is least sure of outperforms others.

The page `docs/experiments/osr-bias-budget.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated

from hyperlearning.acquisition.strategies import Compared
from hyperlearning.core.expect import Amount, Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.experiments.active.asking import asking_experiment
from hyperlearning.systems.active.asking import Condition, Conditions
from hyperlearning.systems.active.settings import PHOTO_RECIPES, PoolSettings, QuestionSettings, RecipeSettings


@dataclass(frozen=True, kw_only=True)
class Config:
    """Begin with classes missing, and ask in rounds of other sizes, by several strategies, and compare what choosing wins."""

    data: PoolSettings = field(default_factory=PoolSettings)
    questions: QuestionSettings = field(default_factory=QuestionSettings)
    recipe: RecipeSettings = field(default_factory=RecipeSettings)
    nums_missing: Annotated[tuple[Amount, ...], Some(distinct=True)] = (0, 10, 20)
    """Classes of which nothing is labelled at the start, with rounds of the questions' own size."""
    query_sizes: Annotated[tuple[Count, ...], Some(distinct=True)] = (400, 800)
    """Questions of a round, as many in all, with no class missing."""
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
        total = self.questions.query_size * self.questions.num_rounds
        if wrong := [size for size in self.query_sizes if total % size]:
            raise ValueError(f"Expected `query_sizes` that divide all {total:,} questions, but got {wrong[0]:,}.")


def conditions(config: Config) -> Conditions:
    """Every start with rounds of one size, then rounds of every other size from a whole start."""
    questions = config.questions
    total = questions.query_size * questions.num_rounds
    starts = [replace(questions, num_missing=num) for num in config.nums_missing]
    rounds = [replace(questions, query_size=size, num_rounds=total // size) for size in config.query_sizes]
    return {name_of(one): Condition(config.recipe, one) for one in (*starts, *rounds)}


def name_of(questions: QuestionSettings) -> str:
    """What lives of such questions are called in a record."""
    return f"missing_{questions.num_missing}_query_{questions.query_size}"


_QUICK = Config(
    data=PoolSettings(dataset="mnist", pool_images=3000, test_images=1000),
    questions=QuestionSettings(first_labelled=100, query_size=50, num_rounds=2, num_seeds=3),
    recipe=RecipeSettings(least_updates=200, recipe_lr=0.005),
    nums_missing=(0, 2, 4),
    query_sizes=(50, 100),
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
        nums_missing=(0, 2),
        query_sizes=(5, 10),
        strategies=("random", "margin"),
    ),
    "paper": replace(
        _LAPTOP,
        data=PoolSettings(dataset="cifar100", validation_images=5000),
        questions=QuestionSettings(first_labelled=5000, query_size=2500, num_rounds=6, num_seeds=5),
        recipe=PHOTO_RECIPES["text"],
        strategies=("random", "least_confidence", "margin"),
        query_sizes=(2500, 5000),
    ),
}

EXPERIMENT = asking_experiment(
    __name__,
    claim="Choosing makes up for classes that are missing at the start, and the size of a round hardly matters.",
    presets=PRESETS,
    conditions=conditions,
)
