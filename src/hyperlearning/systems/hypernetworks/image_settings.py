"""Images that networks are written for, as settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from hyperlearning.core.expect import AtLeast, Count, Rate, Share, Some, Within, check_ranges

CoderName = Literal["principal", "autoencoder", "written", "residual", "modulated"]


@dataclass(frozen=True, kw_only=True)
class CodedImages:
    """Images that are coded."""

    dataset: Literal["mnist", "fashion_mnist", "omniglot", "digits"] = "mnist"
    """Which; digits are built in."""
    train_images: Annotated[int, AtLeast(2)] = 60_000
    """The most that are learned from."""
    test_images: Count = 1000
    """The most that are tested, none of which was learned from."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class CoderSettings:
    """What codes images, and how it learns to."""

    coders: Annotated[tuple[CoderName, ...], Some(distinct=True)] = (
        "principal",
        "autoencoder",
        "written",
        "residual",
        "modulated",
    )
    """Principal components of pixels; an autoencoder whose decoder gives all pixels at once; a hypernetwork that writes a SIREN,
    one that moves a SIREN that all images share, and one that scales and shifts its units."""
    code_size: Count = 32
    """Numbers of a code."""
    signal_sizes: Annotated[tuple[Count, ...], Some()] = (32, 32)
    """Hidden units of the SIREN that is written or moved; one that is modulated has twice as many, for it has them in common."""
    first_frequency: Rate = 30.0
    """Of its first sine."""
    hidden: tuple[Count, ...] = (256, 256)
    """Hidden units of the hypernetwork."""
    gain: Rate = 0.1
    """How far the shared SIREN is moved at first."""
    updates: Annotated[int, AtLeast(2)] = 10_000
    """Updates; the same for all that descend."""
    batch: Count = 64
    """Images of an update."""
    points: Annotated[float, Within(0.01, 1)] = 0.25
    """Share of an image's pixels, drawn by chance, that an update of a SIREN looks at."""
    coder_lr: Rate = 0.002
    """The rate at its highest; it rises in a straight line, and falls along a cosine."""
    warm_up: Share = 0.02
    """Share of updates in which it rises."""
    looks: Count = 10
    """How often it is tested in the course of training."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.looks > self.updates:
            raise ValueError(f"Expected at most {self.updates} `looks`, one an update, but got {self.looks}.")
