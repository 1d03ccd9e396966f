"""A claim about strategies with one recipe: settings, what can be refused, and the run."""

from dataclasses import dataclass, field
from typing import Annotated

from rich.console import Console

from hyperlearning.acquisition.strategies import STRATEGIES, StrategyName
from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.active.comparison import Plan, compare_strategies, superclasses
from hyperlearning.systems.active.problem import draw_problem
from hyperlearning.systems.active.recipes import Recipe, TrainedNetworks
from hyperlearning.systems.active.settings import PoolSettings, QuestionSettings, RecipeSettings


@dataclass(frozen=True, kw_only=True)
class AskConfig:
    """Ask about images of a pool by every strategy, train the same network on the answers, and compare."""

    data: PoolSettings = field(default_factory=PoolSettings)
    questions: QuestionSettings = field(default_factory=QuestionSettings)
    recipe: RecipeSettings = field(default_factory=RecipeSettings)
    strategies: Annotated[tuple[StrategyName, ...], Some(distinct=True)] = ("random", "least_confidence", "margin")
    """What chooses."""
    learns_rejects: bool = False
    """Whether images that are none of ours make a class of their own."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


def check_asking(config: AskConfig) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    recipe, questions, data = config.recipe, config.questions, config.data
    draws = max(recipe.draws, 1) * recipe.members
    for strategy in (STRATEGIES[name] for name in config.strategies):
        if draws < strategy.least_draws:
            raise ValueError(
                f"Expected `draws` or `members` for {strategy.title}, which compares {strategy.least_draws} or more, but got "
                f"{draws}."
            )
    if not questions.first_labelled:
        raise ValueError("Expected `first_labelled` images that a network can begin with, but got 0.")
    if recipe.chosen_on == "validation" and not data.validation_images:
        raise ValueError("Expected `validation_images` for checkpoints that are chosen on validation, but got 0.")
    problem = draw_problem(data, config.seed)
    num_ours = len(problem.images) - problem.num_foreign
    if questions.first_labelled > num_ours:
        raise ValueError(
            f"Expected `first_labelled` up to {num_ours:,} images of the pool, but got {questions.first_labelled:,}."
        )
    if wrong := [label for label in questions.missing if label >= problem.num_classes]:
        raise ValueError(f"Expected `missing` classes below {problem.num_classes}, but got {wrong[0]}.")


def live_asking(config: AskConfig, record: RunRecord, console: Console) -> None:
    """Lives all lives, or goes on doing so."""
    record.note(threads=config.threads)
    compare_strategies(_plan(config), record, console)


def _plan(config: AskConfig) -> Plan:
    problem = draw_problem(config.data, config.seed)

    def recipe() -> Recipe:
        return TrainedNetworks(problem, config.recipe, reject=config.learns_rejects)

    return Plan(
        config=config,
        problem=problem,
        recipes={config.recipe.model: recipe},
        strategies=config.strategies,
        questions=config.questions,
        groups_C=superclasses(config.data.dataset, config.data.data_root),
        seed=config.seed,
    )
