"""Few-shot learning on natural images: hypernetworks that write classifiers, on mini-ImageNet.

Claim (Sendera et al., "HyperShot", 2023, table 1): a hypernetwork that reads the kernel of the support tells new classes of
mini-ImageNet apart at 53.18 percent from one image of each of five and 69.62 from five, beside 44 to 50 and 63 to 66 of others.

The page `docs/experiments/fewshot-mini-imagenet.md` lists every deviation from the source.
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
    """Train few-shot learners on as many images each, and test all on the same episodes of new classes."""

    data: EpisodeData = field(default_factory=lambda: EpisodeData(dataset="mini_imagenet", rotations=False))
    training: EpisodeTraining = field(default_factory=lambda: EpisodeTraining(learners=_LEARNERS, train_queries=5))
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
        learners=("prototypes", "baseline_plus", "hyper_shot", "equivariant_hyper_shot", "hyper_maml"),
        common_images=9_000,
        images=1_500,
        lr=2e-3,
        last_relu=False,
        step_images=120,
        width=32,
        looks=3,
    ),
    tests=EpisodeTests(ways=(5,), validation_episodes=100),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": Config(
        training=EpisodeTraining(
            learners=_LEARNERS, common_images=300_000, images=60_000, last_relu=False, lr=1e-3, train_queries=5
        ),
        threads=2,
    ),
    "smoke": replace(
        _QUICK,
        training=EpisodeTraining(
            learners=("prototypes", "hyper_shot"),
            images=60,
            width=4,
            train_ways=3,
            train_shots=(1, 2),
            train_queries=2,
            step_images=15,
            looks=2,
        ),
        learners=LearnerSettings(adapting_steps=2, whole_ways=(3,)),
        tests=EpisodeTests(ways=(3,), shots=(1, 2), queries=3, episodes=10, validation_episodes=4),
    ),
    # HyperShot's command: 10,000 epochs of 100 episodes of 5 ways with 16 queries; one shot.
    "paper": Config(
        training=EpisodeTraining(
            learners=_LEARNERS,
            images=85_000_000,
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
    pools = in_domain_pools(config.data)
    return FewShotPlan(config.data, config.training, config.learners, config.tests, pools, config.seed)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every learner on the test episodes of the run, an episode a life."""
    config = record.settings(Config)
    return enter_episodes(
        record, further, dataset=config.data.dataset, learners=config.training.learners, seed=config.seed
    )


EXPERIMENT = Experiment(
    claim="On mini-ImageNet, a hypernetwork that reads a few photographs' kernel writes a classifier for new classes.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
