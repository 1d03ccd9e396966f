"""Streams of tasks, a hypernetwork that learns them, and what stands beside it, as settings."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from hyperlearning.core.expect import AtLeast, Count, Distinct, Rate, Some, Within, check_ranges

Variant = Literal["outputs", "lookahead", "subset", "unkept", "masks", "intervals", "nested"]
RivalName = Literal["sgd", "ewc", "online_ewc", "synaptic_intelligence", "distillation", "replay", "joint"]


@dataclass(frozen=True, kw_only=True)
class ContinualTaskSettings:
    """A stream of tasks, and the network that learns one of them."""

    stream: Literal["split", "permuted"]
    """What tasks are: classes of their own, in order; or all classes, the pixels in an order of the task's own."""
    dataset: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "digits"]
    """Where images come from; digits are built in."""
    num_tasks: Annotated[int, Within(2, 1000)] = 5
    """Tasks of a life."""
    target: Literal["dense", "convolutional"] = "dense"
    """The target network: dense layers, or two convolutions of 5 x 5 with pooling before them."""
    units: Annotated[tuple[Count, ...], Some()] = (400, 400)
    """Units of its hidden dense layers."""
    most_images: Count = 100_000
    """The most images that a task is learned from."""
    test_images: Count = 100_000
    """The most that it is tested on."""
    shifted: bool = False
    """Whether every method learns from images shifted by a pixel in four directions, too."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class HypernetSettings:
    """A hypernetwork that learns a stream (von Oswald et al., appendix C)."""

    variants: Annotated[tuple[Variant, ...], Some(distinct=True)] = get_args(Variant)
    """Which: outputs kept; with a lookahead; a drawn old task a step; nothing kept; masks; intervals; nested ones."""
    embedding_size: Count = 96
    """Numbers of a task's embedding."""
    hidden: tuple[Count, ...] = (24,)
    """Units of hidden layers."""
    chunk_size: Count = 18_000
    """Numbers of a chunk."""
    chunk_embedding_size: Count = 96
    """Numbers of a chunk's embedding."""
    strength: Annotated[float, AtLeast(0)] = 0.01
    """Of the penalty on what is emitted for old tasks, beta."""
    num_steps: Count = 2000
    """Updates a task."""
    batch: Count = 128
    """Images of an update."""
    lr: Rate = 0.001
    """Rate of Adam at first; it falls to 0 with every task."""
    doubt: Annotated[float, AtLeast(0)] = 0.0
    """What a network's doubt of its own images turned by quarters counts for, and that of separate networks."""
    mask_strength: Annotated[float, AtLeast(0)] = 0.1
    """Of the penalty on what masks are made of (HyperMask)."""
    mask_hold: Annotated[float, AtLeast(0)] = 0.1
    """Of the penalty on the masked network's way, lambda."""
    mask_zeros: Annotated[float, Within(0, 0.99)] = 0.3
    """Share of zeros in a mask."""
    interval_strength: Annotated[float, AtLeast(0)] = 0.1
    """Of the penalty on bounds of what is emitted (HINT)."""
    interval_radius: Rate = 1.0
    """Sum of the radii of a task's box of embeddings."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class RivalSettings:
    """What stands beside the hypernetwork, on the same target network."""

    rivals: Annotated[tuple[RivalName, ...], Distinct()] = get_args(RivalName)
    """One network for all tasks; joint is no stream, and sees all tasks at once."""
    rival_lr: Rate = 0.02
    """Rate of their SGD."""
    rival_momentum: Annotated[float, Within(0, 0.999)] = 0.9
    """Its momentum."""
    class_incremental: bool = True
    """Whether one network learns all classes of all tasks at one layer, too; a layer for each task, and one that tasks share, it
    has anyway."""
    trials: Count = 4
    """Strengths that each of them is tried with, on the first images, none of which are tested on."""
    tuning_tasks: Annotated[int, Within(2, 100)] = 5
    """Tasks of a trial."""
    tuning_images: Count = 2000
    """The most images that a task of a trial is learned from."""
    replay_images: Count = 500
    """Images that replay keeps, a byte a pixel."""
    fisher_images: Count = 300
    """Images of a task that Fisher information is taken of."""
    features: Count = 600
    """Random features of the closed-form life."""
    feature_images: Count = 10_000
    """The most images of a task that it learns from."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How the task of an image is inferred after the last task."""

    replay: bool = True
    """Whether a second hypernetwork emits decoders, whose images teach a classifier of tasks."""
    latent: Count = 50
    """Latent numbers of a decoder."""
    decoder_units: Count = 150
    """Units of its hidden layer, and of the encoder's."""
    decoder_chunk_size: Count = 8000
    """Numbers of a chunk of a decoder."""
    decoder_strength: Annotated[float, AtLeast(0)] = 0.1
    """Of the penalty on what is emitted for old decoders."""
    decoder_steps: Count = 1500
    """Updates a task."""
    classifier_steps: Count = 1500
    """Updates of the classifier of tasks."""

    def __post_init__(self) -> None:
        check_ranges(self)
