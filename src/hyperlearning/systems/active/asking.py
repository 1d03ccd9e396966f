"""Lives under conditions: settings that a claim varies, what can be refused, and the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, NamedTuple, Protocol, runtime_checkable

from rich.console import Console

from hyperlearning.acquisition.query import OF_REJECTS
from hyperlearning.acquisition.strategies import STRATEGIES, StrategyName
from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.active.comparison import Lived, Plan, compare_strategies, superclasses
from hyperlearning.systems.active.making import check_pretraining, make_recipe
from hyperlearning.systems.active.problem import Problem, draw_problem
from hyperlearning.systems.active.settings import PoolSettings, QuestionSettings, RecipeSettings


@dataclass(frozen=True, kw_only=True)
class AskConfig:
    """Ask about images of a pool by every strategy, train the same network on the answers, and compare."""

    data: PoolSettings = field(default_factory=PoolSettings)
    questions: QuestionSettings = field(default_factory=QuestionSettings)
    recipe: RecipeSettings = field(default_factory=RecipeSettings)
    strategies: Annotated[tuple[StrategyName, ...], Some(distinct=True)] = ("random", "least_confidence", "margin")
    """What chooses."""
    has_ceiling: bool = False
    """Whether also lives are lived that ask for the best of all strategies' batches, by its answers: what is left to win."""
    learns_rejects: bool = False
    """Whether another network learns our classes and, as a further one, images that are none of ours."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


class Condition(NamedTuple):
    """What lives that are compared have alike.

    Attributes:
        recipe: What is trained on answers.
        questions: How many, and who answers.
        strategies: Names of what chooses; those of the claim if empty.
        learns_rejects: Whether another network learns our classes and, as a further one, images that are none of ours.
        has_ceiling: Whether also lives are lived that ask for the best of all strategies' batches.
    """

    recipe: RecipeSettings
    questions: QuestionSettings
    strategies: tuple[StrategyName, ...] = ()
    learns_rejects: bool = False
    has_ceiling: bool = False


Conditions = Mapping[str, Condition]
"""What is varied, by the name that lives bear in a record."""


@runtime_checkable
class Asking(Protocol):
    """What the settings of every claim about questions have."""

    @property
    def data(self) -> PoolSettings:
        """Images."""
        ...

    @property
    def strategies(self) -> tuple[StrategyName, ...]:
        """What chooses."""
        ...

    @property
    def seed(self) -> int:
        """Of the run."""
        ...

    @property
    def threads(self) -> int:
        """Of the computation."""
        ...


def only_condition(config: AskConfig) -> Conditions:
    """The one condition of a claim that varies nothing but strategies, named as the model."""
    return {
        config.recipe.model: Condition(
            config.recipe, config.questions, learns_rejects=config.learns_rejects, has_ceiling=config.has_ceiling
        )
    }


def check_conditions(config: Asking, conditions: Conditions) -> None:
    """Raises if settings contradict one another, or data are absent.

    Raises:
        DataError: If data are absent.
        ValueError: If settings contradict one another, or a strategy cannot choose by what is trained.
    """
    check_ranges(config)
    for condition in conditions.values():
        strategies = condition.strategies or config.strategies
        check_recipe(config.data, condition.recipe, strategies, learns_rejects=condition.learns_rejects)
    problem = draw_problem(config.data, config.seed)
    for condition in conditions.values():
        _check_questions(condition.questions, problem)
        check_pretraining(condition.recipe, problem)


def check_recipe(
    data: PoolSettings, recipe: RecipeSettings, strategies: Sequence[StrategyName], *, learns_rejects: bool = False
) -> None:
    """Raises if a network cannot be trained by a recipe, or a strategy cannot choose by what it says.

    Raises:
        ValueError: If so.
    """
    draws = max(recipe.draws, 1) * recipe.members
    for strategy in (STRATEGIES[name] for name in strategies):
        if draws < strategy.least_draws:
            raise ValueError(
                f"Expected `draws` or `members` for {strategy.title}, which compares {strategy.least_draws} or more, but got "
                f"{draws}."
            )
        if not learns_rejects and (missing := OF_REJECTS.intersection(strategy.needs)):
            raise ValueError(
                f"Expected `learns_rejects` for {strategy.title}, which looks at {', '.join(sorted(missing))}, but got False."
            )
    if recipe.chosen_on == "validation" and not data.validation_images:
        raise ValueError("Expected `validation_images` for checkpoints that are chosen on validation, but got 0.")


def _check_questions(questions: QuestionSettings, problem: Problem) -> None:
    if not questions.first_labelled:
        raise ValueError("Expected `first_labelled` images that a network can begin with, but got 0.")
    num_ours = len(problem.images) - problem.num_foreign
    if questions.first_labelled > num_ours:
        raise ValueError(
            f"Expected `first_labelled` up to {num_ours:,} images of the pool, but got {questions.first_labelled:,}."
        )
    if questions.num_missing >= problem.num_classes:
        raise ValueError(
            f"Expected fewer than {problem.num_classes} classes that are missing, but got {questions.num_missing}."
        )


def live_conditions(config: Asking, conditions: Conditions, record: RunRecord, console: Console) -> None:
    """Lives all lives, or goes on doing so."""
    record.note(threads=config.threads)
    problem = draw_problem(config.data, config.seed)
    plan = Plan(
        config=config,
        problem=problem,
        lived={
            name: Lived(
                partial(
                    make_recipe,
                    problem,
                    condition.recipe,
                    record,
                    console,
                    seed=config.seed,
                    reject=condition.learns_rejects,
                ),
                condition.questions,
                condition.strategies or config.strategies,
                condition.has_ceiling,
            )
            for name, condition in conditions.items()
        },
        groups_C=superclasses(config.data.dataset, config.data.data_root),
        seed=config.seed,
    )
    compare_strategies(plan, record, console)
