"""A claim about Barlow Twins beside a classifier: every strategy with it, and with the very same recipe without it."""

from dataclasses import dataclass, field, replace

from hyperlearning.acquisition.strategies import Compared, StrategyName
from hyperlearning.core.expect import Count, Seed, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.systems.active.asking import Condition, Conditions
from hyperlearning.systems.active.settings import PoolSettings, QuestionSettings, RecipeSettings


@dataclass(frozen=True, kw_only=True)
class TwinsConfig:
    """Ask about images of a pool, train a classifier and Barlow Twins on one encoder, and the classifier alone beside it."""

    data: PoolSettings = field(default_factory=PoolSettings)
    questions: QuestionSettings = field(default_factory=QuestionSettings)
    recipe: RecipeSettings = field(default_factory=lambda: RecipeSettings(model="twins"))
    strategies: Compared = ("random", "weibull_outlier")
    """What chooses; chance, which must be there, is what the others are measured by."""
    strategies_alone: Compared = ("random", "weibull_outlier")
    """What chooses where the same network is trained on classes alone."""
    strategies_first: tuple[StrategyName, ...] = ()
    """What chooses where Barlow Twins learns from the pool first, and classes from there on; empty leaves it out."""
    learns_rejects: bool = False
    """Whether another network, trained likewise, learns our classes and, as a further one, images that are none of ours."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.recipe.model != "twins":
            raise ValueError(f"Expected `model` to be twins, but got {self.recipe.model}.")


def with_and_without(config: TwinsConfig) -> Conditions:
    """Barlow Twins beside the classes, classes alone, and classes from where Barlow Twins left the encoder."""
    alone = replace(config.recipe, model="plain")
    made = {
        "twins": Condition(config.recipe, config.questions, config.strategies),
        "plain": Condition(alone, config.questions, config.strategies_alone),
        "first": Condition(replace(alone, begins_as="pretrained"), config.questions, config.strategies_first),
    }
    return {
        name: condition._replace(learns_rejects=config.learns_rejects)
        for name, condition in made.items()
        if condition.strategies
    }
