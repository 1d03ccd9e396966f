"""Small budgets: which ten, fifty or a thousand images of a pool to have labelled, when nothing is, on features without labels.

Claim (Hacohen et al., "Active learning on a budget", 2022, and the dissertation's outlook on self-supervision, section 4.5): with
few labels, asking for typical images beats chance, and asking for what is uncertain does not.

The page `docs/experiments/small-budgets.md` lists every deviation from the sources.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Annotated

from rich.console import Console

from hyperlearning.acquisition.strategies import NEED_NO_LABEL, Compared, StrategyName
from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.active.entering import enter_lives
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.systems.active.comparison import Lived, Plan, compare_strategies
from hyperlearning.systems.active.features import pixel_features
from hyperlearning.systems.active.learned import learned_features
from hyperlearning.systems.active.problem import Problem, draw_problem
from hyperlearning.systems.active.recipes import FrozenFeatures, Recipe
from hyperlearning.systems.active.settings import PoolSettings, PretrainingSettings, QuestionSettings


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn features from a pool without labels, ask about a few images by every strategy, and solve a head on the answers."""

    data: PoolSettings = field(default_factory=PoolSettings)
    pretraining: PretrainingSettings = field(default_factory=PretrainingSettings)
    components: Count = 64
    """Principal components of pixels: what else a head is solved on, to see what learned features are worth."""
    budgets: Annotated[tuple[Count, ...], Some(distinct=True)] = (10, 20, 50, 100, 200, 500, 1000)
    """Answers after each round, from none before the first."""
    strategies: Compared = ("random", "typi_clust", "margin")
    """What chooses; chance, which must be there, is what the others are measured by."""
    on_pixels: Compared = ("random", "typi_clust")
    """What chooses where components of pixels are the features."""
    first: StrategyName = "random"
    """What chooses the first images in place of strategies that cannot while nothing is labelled."""
    num_seeds: Count = 10
    """Lives of every strategy."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.first not in NEED_NO_LABEL:
            raise ValueError(f"Expected `first` among {', '.join(sorted(NEED_NO_LABEL))}, but got {self.first}.")
        if any(before >= after for before, after in pairwise(self.budgets)):
            raise ValueError(f"Expected `budgets` that rise, but got {self.budgets}.")


_ALL: tuple[StrategyName, ...] = (
    "random",
    "typi_clust",
    "prob_cover",
    "max_herding",
    "u_herding",
    "core_set",
    "badge",
    "drop_query",
    "margin",
)

_LAPTOP = Config(
    data=PoolSettings(dataset="cifar10"),
    pretraining=PretrainingSettings(pretrain_epochs=50, pretrain_batch=128),
    strategies=_ALL,
)

_CLOTHES = replace(
    _LAPTOP,
    data=PoolSettings(dataset="fashion_mnist", pool_images=20_000),
    pretraining=PretrainingSettings(views="grey_things", width=16, pretrain_epochs=30, pretrain_batch=128),
)

_QUICK = replace(
    _CLOTHES,
    data=PoolSettings(dataset="fashion_mnist", pool_images=5000, test_images=2000),
    pretraining=replace(_CLOTHES.pretraining, pretrain_epochs=15),
    budgets=(10, 20, 50, 100, 200),
    strategies=("random", "typi_clust", "prob_cover", "max_herding", "core_set", "margin"),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "clothes": _CLOTHES,
    "paper": replace(
        _LAPTOP,
        pretraining=PretrainingSettings(
            pretrained="small_resnet", width=64, pretrain_epochs=500, projections=2048, bfloat16=False
        ),
    ),
    "smoke": replace(
        _QUICK,
        data=PoolSettings(dataset="fashion_mnist", pool_images=60, test_images=20),
        pretraining=replace(_CLOTHES.pretraining, width=4, projections=16, pretrain_epochs=2, pretrain_batch=20),
        components=5,
        budgets=(3, 6),
        strategies=_ALL,
        num_seeds=2,
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    problem = draw_problem(config.data, config.seed)
    if config.budgets[-1] > len(problem.images):
        raise ValueError(f"Expected `budgets` up to {len(problem.images):,} images, but got {config.budgets[-1]:,}.")


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Learns features and lives all lives, or goes on doing so."""
    record.note(threads=config.threads)
    problem = draw_problem(config.data, config.seed)
    questions = QuestionSettings(first_labelled=0, num_seeds=config.num_seeds)
    plan = Plan(
        config=config,
        problem=problem,
        lived={
            "learned": Lived(partial(_on_learned, config, problem, record, console), questions, config.strategies),
            "pixels": Lived(partial(_on_pixels, config, problem), questions, config.on_pixels),
        },
        seed=config.seed,
        sizes=tuple(after - before for before, after in pairwise((0, *config.budgets))),
        first=config.first,
    )
    compare_strategies(plan, record, console)


def _on_learned(config: Config, problem: Problem, record: RunRecord, console: Console) -> Recipe:
    pool_ND, test_TD = learned_features(problem, config.pretraining, record, console, seed=config.seed)
    return FrozenFeatures(pool_ND, test_TD, problem.num_classes, balanced=True)


def _on_pixels(config: Config, problem: Problem) -> Recipe:
    pool_ND, test_TD = pixel_features(problem, config.components)
    return FrozenFeatures(pool_ND, test_TD, problem.num_classes, balanced=True)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """All features with every strategy on the lives of the run."""
    config = record.settings(Config)
    return enter_lives(record, further, config)


EXPERIMENT = Experiment(
    claim="With ten to fifty labels and features that needed none, typical images teach more than images of chance.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
