"""How long strategies take to choose from a pool that one network has looked at."""

import time
from collections.abc import Callable
from functools import partial

import torch
from rich.console import Console
from threadpoolctl import threadpool_limits
from torch import Tensor

from hyperlearning.acquisition.oracles import first_labelled
from hyperlearning.acquisition.query import Views
from hyperlearning.acquisition.strategies import STRATEGIES, StrategyName
from hyperlearning.core.seeding import generator
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.active.lines import LookLine, TimeLine
from hyperlearning.systems.active.making import make_recipe
from hyperlearning.systems.active.peers import PEERS, peer_choice
from hyperlearning.systems.active.problem import Problem
from hyperlearning.systems.active.recipes import Labelled
from hyperlearning.systems.active.settings import RecipeSettings


def time_strategies(
    problem: Problem,
    recipe: RecipeSettings,
    strategies: tuple[StrategyName, ...],
    record: RunRecord,
    console: Console,
    *,
    num_labelled: int,
    num_wanted: int,
    num_times: int,
    with_peer: bool,
    seed: int,
) -> None:
    """Trains a network, looks at the pool, and times every strategy, or goes on with those that are missing.

    Args:
        problem: What is asked about.
        recipe: What looks at it.
        strategies: What chooses.
        record: The run's record.
        console: Where progress is shown.
        num_labelled: Images that are labelled.
        num_wanted: Questions.
        num_times: How often each is timed, after once for warmth.
        with_peer: Whether scikit-activeml chooses too, right after ours.
        seed: Of labels, training and chance.
    """
    if all(any(line.strategy == name for line in record.lines(TimeLine)) for name in strategies):
        return
    places = (
        torch.tensor(first_labelled(problem.labels_N, num_labelled, generator(seed, "first labelled"))).sort().values
    )
    labelled = Labelled(places, problem.labels_N[places], places[:0])
    fitted = make_recipe(problem, recipe, record, console, seed=seed).fit(labelled, generator(seed, "training"))
    is_free_N = torch.ones(len(problem.images), dtype=torch.bool).index_fill(0, places, value=False)
    pool_P = is_free_N.nonzero()[:, 0]

    def look(_: int) -> Views:
        return fitted.views(pool_P, generator(seed, "views"))

    views = look(0)
    record.once(
        LookLine,
        {},
        lambda: LookLine(
            num_pool=len(pool_P),
            num_labelled=len(places),
            num_features=views.need("features_ND").shape[1],
            seconds=tuple(_seconds(look, at) for at in range(num_times)),
        ),
    )
    for name in strategies:
        console.print(STRATEGIES[name].title, highlight=False)
        record.once(
            TimeLine,
            {"strategy": name},
            partial(_timed, name, views, problem.num_classes, num_wanted, num_times, with_peer=with_peer),
        )


def _timed(
    name: StrategyName, views: Views, num_classes: int, num_wanted: int, num_times: int, *, with_peer: bool
) -> TimeLine:
    strategy = STRATEGIES[name]

    def own(seed: int) -> Tensor:
        return strategy.query(views, num_wanted, generator(seed, "chance")).indices_B

    blocks: list[Callable[[int], Tensor]] = [own]
    if with_peer and name in PEERS:
        blocks.append(partial(peer_choice(name, views, num_classes), num_wanted))
    with threadpool_limits(torch.get_num_threads()):
        for block in blocks:
            block(0)
        times = [[_seconds(block, seed) for block in blocks] for seed in range(num_times)]
    mine, *theirs = zip(*times, strict=True)
    return TimeLine(strategy=name, title=strategy.title, seconds=mine, peer_seconds=theirs[0] if theirs else ())


def _seconds(block: Callable[[int], object], seed: int) -> float:
    began = time.perf_counter()
    block(seed)
    return round(time.perf_counter() - began, 6)
