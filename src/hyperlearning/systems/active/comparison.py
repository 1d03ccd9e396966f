"""Every strategy with the same recipe, pool, start and oracle: lives of several seeds, a record below the run's each."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64
from rich.console import Console
from torch import Tensor

from hyperlearning.acquisition.query import Strategy, beginning_with
from hyperlearning.acquisition.strategies import NEED_NO_LABEL, STRATEGIES, StrategyName
from hyperlearning.data.images import load
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import Trained, train_below
from hyperlearning.systems.active.choosers import BestBatch, ByStrategy, Chooser
from hyperlearning.systems.active.lines import CEILING, AskedLine, LifeLine, ProblemLine, RoundLine
from hyperlearning.systems.active.lives import answers_of, asking_job
from hyperlearning.systems.active.problem import Problem
from hyperlearning.systems.active.recipes import Recipe
from hyperlearning.systems.active.settings import QuestionSettings
from hyperlearning.systems.packed_images import pack_images

_SHOWN = 20


class Lived(NamedTuple):
    """What lives of one name have alike.

    Attributes:
        recipe: Makes what is trained, when it is first needed.
        questions: How many, and who answers.
        strategies: Names of what chooses.
        has_ceiling: Whether also lives are lived that ask for the best of all strategies' batches.
    """

    recipe: Callable[[], Recipe]
    questions: QuestionSettings
    strategies: tuple[StrategyName, ...]
    has_ceiling: bool = False


class Plan(NamedTuple):
    """What is compared.

    Attributes:
        config: The run's settings, which all parts of its record carry.
        problem: What is asked about, the same for all lives.
        lived: Under what, by name.
        groups_C: Groups of classes that noise stays in, if it does.
        sizes: Questions of each round, where they differ.
        first: What chooses while nothing is labelled, in place of strategies that cannot.
        seed: Of the run; lives have seeds of their own that follow from it.
    """

    config: Any
    problem: Problem
    lived: Mapping[str, Lived]
    seed: int
    groups_C: Int64[Tensor, " classes"] | None = None
    sizes: tuple[int, ...] = ()
    first: StrategyName | None = None

    def lives(self, name: str) -> list[tuple[str, int]]:
        """What chooses and seeds under one name; no two runs of different seeds share a life."""
        lived = self.lived[name]
        num = lived.questions.num_seeds
        choosing = [*lived.strategies, *([CEILING] if lived.has_ceiling else [])]
        return [(one, self.seed * num + life) for one in choosing for life in range(num)]


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
    for name, lived in plan.lived.items():
        missing = [life for life in plan.lives(name) if not _is_there(record, name, *life)]
        if missing:
            recipe = lived.recipe()
            for strategy, seed in missing:
                _live(plan, record, (name, recipe), strategy, seed, console)


def _is_there(record: RunRecord, recipe: str, strategy: str, seed: int) -> bool:
    return any((line.recipe, line.strategy, line.seed) == (recipe, strategy, seed) for line in record.lines(LifeLine))


def _live(
    plan: Plan, record: RunRecord, recipe: tuple[str, Recipe], strategy: str, seed: int, console: Console
) -> None:
    name, own = recipe
    lived = plan.lived[name]
    questions, chooser = lived.questions, _chooser(plan, lived, own, strategy, seed)
    title = chooser.title
    console.print(f"{title}, {name}, seed {seed}", style="bold", highlight=False)
    job = asking_job(plan.problem, own, chooser, questions, seed=seed, groups_C=plan.groups_C, sizes=plan.sizes)
    made = train_below(record, f"{name}_{strategy}_{seed}", plan.config, job, console)
    # Pages show what the first life asked for under what comes first alone.
    if seed == plan.seed * questions.num_seeds and name == next(iter(plan.lived)):
        asked = {"strategy": strategy, "recipe": name}
        record.once(AskedLine, asked, partial(_asked, plan.problem, made, strategy, name))
    key = {"strategy": strategy, "recipe": name, "seed": seed}
    record.once(LifeLine, key, lambda: LifeLine(**key, title=title, rounds=tuple(made.record.lines(RoundLine))))


def _chooser(plan: Plan, lived: Lived, recipe: Recipe, strategy: str, seed: int) -> Chooser:
    strategies = [_strategy(plan, name) for name in lived.strategies]
    for name, own in zip(lived.strategies, strategies, strict=True):
        if name == strategy:
            return ByStrategy(own)
    labels_N = answers_of(plan.problem, lived.questions, seed, plan.groups_C)
    return BestBatch(strategies, recipe, labels_N, plan.problem.test_labels)


def _strategy(plan: Plan, name: StrategyName) -> Strategy:
    own = STRATEGIES[name]
    if plan.first is None or name in NEED_NO_LABEL:
        return own
    return beginning_with(STRATEGIES[plan.first], own)


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
