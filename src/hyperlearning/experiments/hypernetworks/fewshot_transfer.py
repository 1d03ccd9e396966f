"""Few-shot learning across data sets: learned from Omniglot without Latin, tested on EMNIST, MNIST, KMNIST and Fashion-MNIST.

Claim (Sendera et al., "HyperShot", 2023, table 2): a hypernetwork that reads the kernel of the support carries over to other
glyphs better than other learners do: 80.65 percent of queries right of EMNIST's odd classes from one image of each of five,
90.81 from five.

The page `docs/experiments/fewshot-transfer.md` lists every deviation from the source.
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
from hyperlearning.systems.hypernetworks.few_shot_pools import transfer_pools
from hyperlearning.systems.hypernetworks.few_shot_settings import (
    EpisodeData,
    EpisodeTests,
    EpisodeTraining,
    LearnerName,
    LearnerSettings,
)
from hyperlearning.systems.hypernetworks.few_shot_training import FewShotPlan

_LEARNERS: tuple[LearnerName, ...] = (
    "prototypes",
    "cosine_prototypes",
    "matching",
    "ridge",
    "baseline_plus",
    "anil",
    "hyper_shot",
    "equivariant_hyper_shot",
    "hyper_maml",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train few-shot learners on as many images each, and test all on the same episodes of other data sets."""

    data: EpisodeData = field(default_factory=lambda: EpisodeData(augmentation="elastic"))
    training: EpisodeTraining = field(default_factory=lambda: EpisodeTraining(learners=_LEARNERS, last_relu=False))
    learners: LearnerSettings = field(default_factory=LearnerSettings)
    tests: EpisodeTests = field(default_factory=lambda: EpisodeTests(ways=(5,)))
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
        learners=("cosine_prototypes", "ridge", "baseline_plus", "hyper_shot", "equivariant_hyper_shot", "hyper_maml"),
        common_images=70_000,
        images=25_000,
        lr=2e-3,
        step_images=120,
        width=32,
        last_relu=False,
        looks=5,
    ),
    tests=EpisodeTests(ways=(5,), validation_episodes=100),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": Config(
        training=EpisodeTraining(learners=_LEARNERS, common_images=4_000_000, images=250_000, last_relu=False, lr=1e-3),
        threads=2,
    ),
    "smoke": replace(
        _QUICK,
        training=EpisodeTraining(
            learners=("cosine_prototypes", "hyper_shot"),
            images=120,
            width=4,
            train_ways=3,
            train_shots=(1, 2),
            train_queries=2,
            step_images=30,
            looks=2,
        ),
        learners=LearnerSettings(adapting_steps=2, whole_ways=(3,)),
        tests=EpisodeTests(ways=(3,), shots=(1, 2), queries=3, episodes=10, validation_episodes=4),
    ),
    # HyperShot's command for characters: 200,000 episodes of 5 ways with 16 queries, so 17 million images; one shot.
    "paper": Config(
        data=EpisodeData(),
        training=EpisodeTraining(
            learners=_LEARNERS,
            images=17_000_000,
            train_ways=5,
            train_shots=(1,),
            train_queries=16,
            step_images=85,
            lr=1e-3,
            looks=100,
        ),
        learners=LearnerSettings(blend="published"),
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
    pools = transfer_pools(config.data)
    return FewShotPlan(config.data, config.training, config.learners, config.tests, pools, config.seed)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every learner on the test episodes of the run, an episode a life."""
    config = record.settings(Config)
    return enter_episodes(
        record, further, dataset=config.data.dataset, learners=config.training.learners, seed=config.seed
    )


EXPERIMENT = Experiment(
    claim="A hypernetwork trained on Omniglot without Latin writes classifiers for other letters, digits and clothes.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
