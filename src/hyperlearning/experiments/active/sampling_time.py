"""How long it takes to choose: every strategy on one pool, beside scikit-activeml on the same features.

Claim (dissertation, section 3.4.3, table 3.1): choosing from the pool of CIFAR-100 by uncertainty takes 10.89 seconds and by a
Weibull distribution 20.41, as long as other methods (core-set 75.33).

The page `docs/experiments/sampling-time.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated

from rich.console import Console

from hyperlearning.acquisition.query import OF_REJECTS
from hyperlearning.acquisition.strategies import STRATEGIES, StrategyName
from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.systems.active.asking import check_recipe
from hyperlearning.systems.active.lines import LookLine, TimeLine
from hyperlearning.systems.active.peers import check_peers
from hyperlearning.systems.active.problem import draw_problem
from hyperlearning.systems.active.settings import PHOTO_RECIPES, PoolSettings, RecipeSettings
from hyperlearning.systems.active.timing import time_strategies

_TIMED: tuple[StrategyName, ...] = tuple(
    name for name, one in STRATEGIES.items() if name != "batch_bald" and not OF_REJECTS.intersection(one.needs)
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train one network, look at a pool, and time every strategy."""

    data: PoolSettings = field(default_factory=PoolSettings)
    recipe: RecipeSettings = field(default_factory=RecipeSettings)
    strategies: Annotated[tuple[StrategyName, ...], Some(distinct=True)] = _TIMED
    """What chooses: none that learns from rejected images, of which there are none, nor BatchBALD, which is for few questions of
    few classes."""
    num_labelled: Count = 100
    """Images that are labelled."""
    num_wanted: Count = 100
    """Questions."""
    num_times: Annotated[int, Count] = 3
    """How often each strategy is timed."""
    with_peer: bool = False
    """Whether scikit-activeml chooses too, which needs the extra `bench`."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


_BRIEF = replace(PHOTO_RECIPES["small"], encoder="lenet", draws=10, recipe_epochs=1, least_updates=100)

_QUICK = Config(
    data=PoolSettings(dataset="cifar100", pool_images=3000, test_images=100), recipe=_BRIEF, num_labelled=400
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": replace(
        _QUICK,
        data=PoolSettings(dataset="cifar100", test_images=100),
        num_labelled=800,
        num_wanted=400,
        num_times=5,
        with_peer=True,
    ),
    "smoke": replace(
        _QUICK,
        data=PoolSettings(dataset="cifar100", pool_images=60, test_images=20),
        recipe=replace(_BRIEF, draws=2, least_updates=2),
        num_labelled=20,
        num_wanted=5,
        num_times=2,
    ),
    "paper": replace(
        _QUICK,
        data=PoolSettings(dataset="cifar100"),
        recipe=replace(PHOTO_RECIPES["text"], draws=10, recipe_epochs=1),
        num_labelled=5000,
        num_wanted=2500,
        num_times=5,
        with_peer=True,
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, or data or the peer are absent."""
    check_ranges(config)
    check_recipe(config.data, config.recipe, config.strategies)
    if config.with_peer:
        check_peers()
    problem = draw_problem(config.data, config.seed)
    num_ours = len(problem.images) - problem.num_foreign
    if config.num_labelled >= num_ours:
        raise ValueError(f"Expected `num_labelled` below {num_ours:,} images, but got {config.num_labelled:,}.")


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Times all strategies, or goes on doing so."""
    record.note(threads=config.threads)
    time_strategies(
        draw_problem(config.data, config.seed),
        config.recipe,
        config.strategies,
        record,
        console,
        num_labelled=config.num_labelled,
        num_wanted=config.num_wanted,
        num_times=config.num_times,
        with_peer=config.with_peer,
        seed=config.seed,
    )


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every strategy, by how long it takes."""
    refuse_further(record, further)
    config, look = record.settings(Config), record.last(LookLine)
    systems = tuple(
        Fared(
            system=line.strategy,
            title=line.title,
            enters=line.strategy == "random",
            scores={"seconds": list(line.seconds)},
        )
        for line in record.lines(TimeLine)
    )
    facts = {"pool": look.num_pool, "labelled": look.num_labelled, "questions": config.num_wanted, "seed": config.seed}
    met = MetLives(title=f"{config.num_times} times", facts=facts, systems=systems)
    return Entry(measures=(Measure(name="seconds", title="time to choose", unit="s"),), met=(met,))


EXPERIMENT = Experiment(
    claim="Choosing takes less than looking at the pool, except where it trains a model of its own.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
