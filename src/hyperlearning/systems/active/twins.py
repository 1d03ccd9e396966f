"""A claim about Barlow Twins beside a classifier: every strategy with it, and with the very same recipe without it."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated

from rich.console import Console

from hyperlearning.acquisition.strategies import StrategyName
from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.active.asking import check_questions
from hyperlearning.systems.active.comparison import Plan, compare_strategies
from hyperlearning.systems.active.problem import Problem, draw_problem
from hyperlearning.systems.active.recipes import Recipe, TrainedNetworks
from hyperlearning.systems.active.settings import PoolSettings, QuestionSettings, RecipeSettings


@dataclass(frozen=True, kw_only=True)
class TwinsConfig:
    """Ask about images of a pool, train a classifier and Barlow Twins on one encoder, and the classifier alone beside it."""

    data: PoolSettings = field(default_factory=PoolSettings)
    questions: QuestionSettings = field(default_factory=QuestionSettings)
    recipe: RecipeSettings = field(default_factory=lambda: RecipeSettings(model="twins"))
    strategies: Annotated[tuple[StrategyName, ...], Some(distinct=True)] = ("random", "weibull_outlier")
    """What chooses; chance, which must be there, is what the others are measured by."""
    strategies_alone: Annotated[tuple[StrategyName, ...], Some(distinct=True)] = ("random", "weibull_outlier")
    """What chooses where the same network is trained on classes alone."""
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
        if not {"random"} <= {*self.strategies} & {*self.strategies_alone}:
            raise ValueError(
                f"Expected random among `strategies` and `strategies_alone`, but got {', '.join(self.strategies)} and "
                f"{', '.join(self.strategies_alone)}."
            )


def check_twins(config: TwinsConfig) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    for names in (config.strategies, config.strategies_alone):
        check_questions(config.data, config.questions, config.recipe, names, seed=config.seed)


def live_twins(config: TwinsConfig, record: RunRecord, console: Console) -> None:
    """Lives all lives, or goes on doing so."""
    record.note(threads=config.threads)
    problem = draw_problem(config.data, config.seed)
    plan = Plan(
        config=config,
        problem=problem,
        recipes={"twins": partial(_networks, problem, config.recipe)},
        strategies=config.strategies,
        questions=config.questions,
        seed=config.seed,
    )
    compare_strategies(plan, record, console)
    alone = {"plain": partial(_networks, problem, replace(config.recipe, model="plain"))}
    compare_strategies(plan._replace(recipes=alone, strategies=config.strategies_alone), record, console)


def _networks(problem: Problem, recipe: RecipeSettings) -> Recipe:
    return TrainedNetworks(problem, recipe)
