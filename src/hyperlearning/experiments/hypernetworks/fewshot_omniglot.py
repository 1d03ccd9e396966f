"""Few-shot learning on Omniglot: hypernetworks that write classifiers, beside learners that solve, tune or descend them.

Claim (Sendera et al., "HyperShot", 2023): a hypernetwork that reads the kernel of the support, and writes a small network for
it, tells new classes apart better than learners that measure distances or take gradient steps. Here on Omniglot's evaluation
alphabets.

The page `docs/experiments/fewshot-omniglot.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.hypernetworks.few_shot import enter_episodes
from hyperlearning.systems.hypernetworks.few_shot_comparison import check_plan, compare_learners
from hyperlearning.systems.hypernetworks.few_shot_pools import in_domain_pools
from hyperlearning.systems.hypernetworks.few_shot_settings import (
    EpisodeData,
    EpisodeTests,
    EpisodeTraining,
    LearnerSettings,
)
from hyperlearning.systems.hypernetworks.few_shot_training import FewShotPlan


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train few-shot learners on as many images each, and test all on the same episodes of new classes."""

    data: EpisodeData = field(default_factory=EpisodeData)
    training: EpisodeTraining = field(default_factory=EpisodeTraining)
    learners: LearnerSettings = field(default_factory=LearnerSettings)
    tests: EpisodeTests = field(default_factory=EpisodeTests)
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


_QUICK = Config(
    training=EpisodeTraining(
        learners=("prototypes", "ridge", "baseline_plus", "hyper_shot", "equivariant_hyper_shot", "hyper_maml"),
        common_images=70_000,
        images=25_000,
        lr=2e-3,
        step_images=120,
        width=32,
        last_relu=False,
        looks=5,
    ),
    tests=EpisodeTests(ways=(5,), validation_episodes=50),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": Config(
        training=EpisodeTraining(common_images=3_000_000, images=200_000, last_relu=False, lr=1e-3), threads=2
    ),
    "smoke": replace(
        _QUICK,
        training=EpisodeTraining(
            common_images=60,
            images=120,
            width=4,
            train_ways=3,
            train_shots=(1, 2),
            train_queries=2,
            step_images=30,
            looks=2,
        ),
        learners=LearnerSettings(inner_steps=2, tuning_steps=2, adapting_steps=2, blend="published", whole_ways=(3,)),
        tests=EpisodeTests(ways=(3, 4), shots=(1, 2), queries=3, episodes=10, validation_episodes=4),
    ),
    # HyperShot's command for characters: 200,000 episodes of 5 ways with 16 queries, so 17 million images; one shot.
    "paper": Config(
        training=EpisodeTraining(
            images=17_000_000, train_ways=5, train_shots=(1,), train_queries=16, step_images=85, lr=1e-3, looks=100
        ),
        learners=LearnerSettings(blend="published", whole_ways=(5,)),
        tests=EpisodeTests(ways=(5,), shots=(1,)),
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, data are absent, or there are too few classes or images."""
    check_ranges(config)
    check_plan(_plan(config))


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains and tests all learners, or goes on doing so."""
    record.note(threads=config.threads)
    compare_learners(_plan(config), config, record, console)


def _plan(config: Config) -> FewShotPlan:
    pools = in_domain_pools(config.data)
    return FewShotPlan(config.data, config.training, config.learners, config.tests, pools, config.seed)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every learner on the test episodes of the run, an episode a life."""
    config = record.settings(Config)
    return enter_episodes(
        record, further, dataset=config.data.dataset, learners=config.training.learners, seed=config.seed
    )


EXPERIMENT = Experiment(
    claim="A hypernetwork that reads a few images' kernel writes a classifier for classes that are new.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
