"""Every strategy with the same recipe, pool, start and oracle: lives of several seeds, a record below the run's each."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64
from rich.console import Console
from torch import Tensor

from hyperlearning.acquisition.query import beginning_with
from hyperlearning.acquisition.strategies import NEED_NO_LABEL, STRATEGIES, StrategyName
from hyperlearning.data.images import load
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import Trained, train_below
from hyperlearning.systems.active.lines import AskedLine, LifeLine, ProblemLine, RoundLine
from hyperlearning.systems.active.lives import asking_job
from hyperlearning.systems.active.problem import Problem
from hyperlearning.systems.active.recipes import Recipe
from hyperlearning.systems.active.settings import QuestionSettings
from hyperlearning.systems.packed_images import pack_images

_SHOWN = 20


class Plan(NamedTuple):
    """What is compared.

    Attributes:
        config: The run's settings, which all parts of its record carry.
        problem: What is asked about, the same for all lives.
        recipes: What is trained, by name; made when it is first needed.
        strategies: Names of what chooses, of every recipe.
        questions: How many, and who answers.
        groups_C: Groups of classes that noise stays in, if it does.
        sizes: Questions of each round, where they differ.
        first: What chooses while nothing is labelled, in place of strategies that cannot.
        seed: Of the run; lives have seeds of their own that follow from it.
    """

    config: Any
    problem: Problem
    recipes: Mapping[str, Callable[[], Recipe]]
    strategies: tuple[StrategyName, ...]
    questions: QuestionSettings
    seed: int
    groups_C: Int64[Tensor, " classes"] | None = None
    sizes: tuple[int, ...] = ()
    first: StrategyName | None = None

    @property
    def seeds(self) -> range:
        """Of the lives; no two runs of different seeds share any."""
        return range(self.seed * self.questions.num_seeds, (self.seed + 1) * self.questions.num_seeds)


def compare_strategies(plan: Plan, record: RunRecord, console: Console) -> None:
    """Lives every life, or goes on doing so."""
    problem = plan.problem
    record.once(
        ProblemLine,
        {},
        lambda: ProblemLine(
            num_images=len(problem.images),
            num_foreign=problem.num_foreign,
            num_tests=len(problem.test_labels),
            num_classes=problem.num_classes,
        ),
    )
    for recipe_name, make in plan.recipes.items():
        lives: list[tuple[StrategyName, int]] = [
            (strategy, seed) for strategy in plan.strategies for seed in plan.seeds
        ]
        if all(_is_there(record, recipe_name, *life) for life in lives):
            continue
        recipe = make()
        for strategy, seed in lives:
            _live(plan, record, (recipe_name, recipe), strategy, seed, console)


def _is_there(record: RunRecord, recipe: str, strategy: str, seed: int) -> bool:
    return any((line.recipe, line.strategy, line.seed) == (recipe, strategy, seed) for line in record.lines(LifeLine))


def _live(
    plan: Plan, record: RunRecord, recipe: tuple[str, Recipe], strategy: StrategyName, seed: int, console: Console
) -> None:
    name, own = recipe
    chooses, title = STRATEGIES[strategy], STRATEGIES[strategy].title
    if plan.first is not None and strategy not in NEED_NO_LABEL:
        chooses = beginning_with(STRATEGIES[plan.first], chooses)
    console.print(f"{title}, seed {seed}", style="bold", highlight=False)
    job = asking_job(plan.problem, own, chooses, plan.questions, seed=seed, groups_C=plan.groups_C, sizes=plan.sizes)
    made = train_below(record, f"{name}_{strategy}_{seed}", plan.config, job, console)
    key = {"strategy": strategy, "recipe": name, "seed": seed}
    record.once(LifeLine, key, lambda: LifeLine(**key, title=title, rounds=tuple(made.record.lines(RoundLine))))
    if seed == plan.seeds[0]:
        asked = {"strategy": strategy, "recipe": name}
        record.once(AskedLine, asked, partial(_asked, plan.problem, made, strategy, name))


def _asked(problem: Problem, made: Trained[Any], strategy: str, recipe: str) -> AskedLine:
    """Pictures of what was asked for first and last."""
    rounds = [line for line in made.record.lines(RoundLine) if line.asked]
    first, last = (list(line.asked[:_SHOWN]) if line else [] for line in _ends(rounds))
    return AskedLine(
        strategy=strategy,
        recipe=recipe,
        first=pack_images(problem.images[first]),
        last=pack_images(problem.images[last]),
    )


def _ends(rounds: list[RoundLine]) -> Iterator[RoundLine | None]:
    yield rounds[0] if rounds else None
    yield rounds[-1] if rounds else None


def superclasses(dataset: str, data_root: str) -> Int64[Tensor, " classes"] | None:
    """The group of every class, of data sets that have any: an expert's mistakes stay within one."""
    if dataset != "cifar100":
        return None
    images = load(dataset, "train", root=data_root or None)
    coarse_N = images.ids["coarse"]
    return torch.tensor([int(coarse_N[images.labels == label][0]) for label in range(images.num_classes)])
