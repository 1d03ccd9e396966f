"""Tasks, task networks and codes as settings."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from hyperlearning.core.expect import AtLeast, Count, Distinct, Rate, Share, Some, Within, check_ranges

LearnerName = Literal[
    "sgd",
    "l2",
    "online_l2",
    "ewc",
    "online_ewc",
    "synaptic_intelligence",
    "distillation",
    "progress_and_compress",
    "replay",
    "joint",
]


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Where tasks come from."""

    dataset: Literal["mnist", "digits"] = "mnist"
    """MNIST, or scikit-learn's built-in digits, for a machine without data."""
    num_tasks: Count = 50
    """Tasks of a life, each one digit against a few others."""
    num_negatives: Count = 2
    """Digits that the one is told from (text: about four; authors' code: 2)."""
    negative_share: Share = 0.4
    """How much of a digit's images stands for it as one of those (authors' code: .4)."""
    most_images: Count = 100_000
    """The most images of a digit, to learn from and to test on each."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """A stream of tasks."""

    stream: Literal["permuted", "one_against_four", "class_groups"]
    """What tasks are: all classes, the pixels in an order of the task's own; a class against four; classes of its own."""
    dataset: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "digits"]
    """Where images come from; digits are built in."""
    network: Literal["convolutional", "patches"] = "convolutional"
    """Networks of tasks: the text's, for grey or colour images, or a small transformer for grey ones, as a user may have."""
    num_tasks: Count = 10
    """Tasks of a life."""
    negative_share: Share = 0.2
    """How much of a class's images stands for it among the four (authors' code: .2)."""
    most_images: Count = 100_000
    """The most images that a task is learned from."""
    test_images: Count = 100_000
    """The most that it is tested on."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class ContinualSettings:
    """One network that learns all tasks one after another, with every remedy against forgetting."""

    learners: Annotated[tuple[LearnerName, ...], Distinct()] = get_args(LearnerName)
    """Which; joint is no learner of a stream, and sees all tasks at once."""
    own_heads: bool = True
    """Whether every task has a last layer of its own: which task an image is of is known, as it is to the stores."""
    trials: Count = 6
    """Strengths that each of them is tried with, on tasks of the same kind that are none of the life's."""
    tuning_tasks: Annotated[int, Within(2, 100)] = 5
    """Tasks of a trial."""
    tuning_images: Count = 2000
    """The most images that a task of a trial is learned from."""
    replay_shares: Annotated[tuple[Annotated[float, Within(0.001, 10)], ...], Some(distinct=True)] = (0.25, 1.0)
    """Bytes of replay, network and images, as shares of those of separate networks."""
    fisher_images: Count = 500
    """Images of a task that Fisher information is taken of."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How the task of an image is inferred after the last task."""

    density_components: Count = 8
    """Directions of a task's density."""
    density_pool: Count = 2
    """Side of the squares of pixels that it averages first."""
    embedding_features: Count = 200
    """Random projections of the innate embedding."""
    inference_images: Count = 1000
    """The most images of a task that densities and the embedding learn from."""
    inferred_images: Count = 500
    """The most images of a task that are inferred."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class TaskTraining:
    """How a task network is trained (dissertation, section 2.3; numbers of the authors' code)."""

    task_epochs: Count = 2
    """Passes over a task's images."""
    task_batch: Count = 32
    """Images of an update."""
    task_lr: Rate = 0.01
    """Rate of SGD."""
    task_momentum: Annotated[float, Within(0, 0.999)] = 0.5
    """Its momentum."""
    adam_lr: Rate = 0.002
    """Rate at first of Adam, which falls to 0, for separate networks that are trained as coded ones are."""
    pull: Annotated[float, AtLeast(0)] = 0.001
    """Strength of the squared distance to the source, a mean over weights, after the first stage (equation 2.5)."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class MaskSettings:
    """Masked networks: what is learned of a task is which weights of one random network are kept."""

    masks: bool = True
    """Whether they stand beside the other stores."""
    mask_share: Annotated[float, Within(0.01, 0.99)] = 0.5
    """The share of each tensor's weights that is kept."""
    mask_epochs: Count = 2
    """Passes over a task's images."""
    mask_lr: Rate = 0.002
    """Rate of Adam at first; it falls to 0."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class CodeSettings:
    """Coded networks: what is learned of a task is a code of a few numbers."""

    code_sizes: Annotated[tuple[Count, ...], Some(distinct=True)] = (32, 64, 128, 256, 1024, 4096, 16_384)
    """Numbers of a code, a method each."""
    code_step: Rate = 1.0
    """What numbers are rounded to multiples of, while they are learned, in standard deviations of a tensor's first weights."""
    code_epochs: Count = 2
    """Passes over a task's images."""
    code_lr: Rate = 0.1
    """Rate of Adam at first, in the same unit; it falls to 0."""

    def __post_init__(self) -> None:
        check_ranges(self)
