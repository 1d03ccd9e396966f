"""Few-shot episodes, learners and their training as settings."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from hyperlearning.core.expect import Amount, AtLeast, Count, Rate, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.streams.augmentation import AugmentationName

LearnerName = Literal[
    "prototypes",
    "cosine_prototypes",
    "matching",
    "ridge",
    "baseline",
    "baseline_plus",
    "anil",
    "maml",
    "maml_first_order",
    "hyper_shot",
    "equivariant_hyper_shot",
    "hyper_maml",
]

Ways = Annotated[int, AtLeast(2)]


@dataclass(frozen=True, kw_only=True)
class EpisodeData:
    """Where the classes of episodes come from."""

    dataset: Literal["omniglot", "mini_imagenet", "digits"] = "omniglot"
    """Omniglot, mini-ImageNet, or scikit-learn's built-in digits, for a machine without data."""
    rotations: bool = True
    """Whether quarter turns of a class that is learned from are further classes."""
    augmentation: AugmentationName = "none"
    """How images that are learned from are changed at random."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""


@dataclass(frozen=True, kw_only=True)
class EpisodeTraining:
    """What every learner is trained on: the same episodes, as far as its number of ways allows."""

    learners: Annotated[tuple[LearnerName, ...], Some(distinct=True)] = get_args(LearnerName)
    """Which."""
    common_images: Amount = 0
    """Images that one embedding meets first, trained for class means by angle; all learners begin with it. None: with first
    weights."""
    common_lr: Rate = 3e-3
    """The rate of its training at first."""
    images: Count = 400_000
    """Images that each learner meets in its own training."""
    width: Count = 64
    """Maps of each convolution."""
    last_relu: bool = True
    """Whether the last convolution ends in ReLU."""
    train_ways: Ways = 20
    """Classes of an episode of learners that take any number of them; others have those of the test."""
    train_shots: Annotated[tuple[Count, ...], Some(distinct=True)] = (1, 5)
    """Labelled images of a class, in turn."""
    train_queries: Count = 5
    """Queries of a class."""
    step_images: Count = 200
    """About how many images an update is of: one episode, or several."""
    lr: Rate = 3e-3
    """Rate of Adam at first; it falls to 0 along a cosine."""
    looks: Count = 10
    """Times that a learner is validated, of which the best is kept."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """What learners do with a support."""

    inner_steps: Count = 5
    """Gradient steps of MAML and ANIL."""
    inner_lr: Rate = 0.1
    """Their rate."""
    tuning_steps: Count = 100
    """Steps of a classifier that is trained on the support alone."""
    tuning_lr: Rate = 0.01
    """Their rate, by Adam."""
    adapting_steps: Amount = 10
    """Gradient steps on the support that written networks take, where they are said to be adapted."""
    adapting_lr: Rate = 0.01
    """Their rate."""
    blend: Literal["none", "published"] = "none"
    """HyperMAML: the hypernetwork alone from the start, or after and beside gradient steps as in the authors' command."""
    whole_ways: Annotated[tuple[Ways, ...], Some(distinct=True)] = (5,)
    """Ways of the tests that learners which adapt whole networks take part in: they take longest."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class EpisodeTests:
    """Episodes that learners are tested on, the same for all."""

    ways: Annotated[tuple[Ways, ...], Some(distinct=True)] = (5, 20)
    """Classes of an episode."""
    shots: Annotated[tuple[Count, ...], Some(distinct=True)] = (1, 5)
    """Labelled images of a class."""
    queries: Count = 15
    """Queries of a class."""
    episodes: Annotated[int, AtLeast(2)] = 600
    """Episodes of every kind."""
    validation_episodes: Annotated[int, AtLeast(2)] = 200
    """Episodes that learners are validated on, of the first number of shots."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class FewShotConfig:
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
