"""Lines that the records of OML, ANML and the embeddings beside them hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from hyperlearning.core.settings import absent

HeadName = Literal[
    "last_layer",
    "joint",
    "unit_layer",
    "euclidean",
    "cosine",
    "whitened",
    "discriminant",
    "streaming_discriminant",
    "ridge",
    "projected_ridge",
    "conjugate_bayes",
    "sequence",
]
"""What learns on an embedding (`HEADS`)."""
MeanAndInterval = tuple[float, float]
"""A mean, of 1, and half its 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class LookLine:
    """A short meta-test in the course of training.

    Attributes:
        step: Outer steps taken.
        classes: Classes learned.
        memory: Share of the images learned that are recognised.
        held_out: Likewise of held-out images.
        prototypes: Likewise of held-out images by class means.
    """

    kind: ClassVar[str] = "validation"

    step: int
    classes: int
    memory: MeanAndInterval
    held_out: MeanAndInterval
    prototypes: MeanAndInterval


@dataclass(frozen=True, kw_only=True)
class MetaLosses:
    """Mean meta-losses since the point before.

    Attributes:
        step: Outer steps taken.
        mean: The means.
    """

    step: tuple[int, ...]
    mean: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SystemLine:
    """The course of an embedding's training.

    Attributes:
        label: Its short name.
        title: What a figure calls it.
        order: The order of its outer gradient in words.
        looks: Short meta-tests.
        meta_loss: The losses.
        training_seconds: How long it took.
        settings: What it followed from.
    """

    kind: ClassVar[str] = "system"

    label: str
    title: str
    order: str
    looks: tuple[LookLine, ...]
    meta_loss: MetaLosses
    training_seconds: float
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """Shares of images recognised, of 1, one for each run: the fields of `Accuracy`."""

    memory: tuple[float, ...]
    held_out: tuple[float, ...]
    memory_in_run: tuple[float, ...]
    held_out_in_run: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LongTestLine:
    """How one head did on one embedding at one number of classes.

    Attributes:
        embedding: The embedding's short name.
        title: What a figure calls it.
        order: The order of the gradient that it was trained with, in words.
        head: What learned on it.
        num_classes: Classes of a run.
        num_runs: Runs.
        num_features: Features of an image.
        scores: How well each run ended.
        lr: The head's rate; nothing for class means.
        optimizer: Its optimizer.
        lr_rule: How the rate was chosen, in words.
        lr_scores: What each candidate scored.
        shrinkage: How far whitening left directions as they are.
        chosen: What was chosen for a head that is solved.
    """

    kind: ClassVar[str] = "test"

    embedding: str
    title: str
    order: str
    head: HeadName
    num_classes: int
    num_runs: int
    num_features: int
    scores: RunScores
    lr: float | None
    optimizer: str | None = absent()
    lr_rule: str
    lr_scores: tuple[float, ...] | None = absent()
    shrinkage: float | None = absent()
    chosen: Mapping[str, float] | None = absent()
