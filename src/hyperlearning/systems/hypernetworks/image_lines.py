"""What records of coded images say."""

from dataclasses import dataclass
from typing import ClassVar

from hyperlearning.systems.hypernetworks.image_settings import CoderName
from hyperlearning.systems.packed_images import PackedImages


@dataclass(frozen=True, kw_only=True)
class CoderLook:
    """A coder in the course of training.

    Attributes:
        updates: Updates made.
        loss: Mean squared error of a pixel since the look before.
        psnr: Mean over tests, in decibels.
    """

    kind: ClassVar[str] = "coder_look"

    updates: int
    loss: float
    psnr: float


@dataclass(frozen=True, kw_only=True)
class CoderLine:
    """A coder on test images.

    Attributes:
        coder: Its name.
        title: What tables call it.
        psnrs: Of every test image, peak signal to noise, in decibels, where 1 is the peak.
        num_numbers: Numbers that are stored or trained.
        num_emitted: Numbers that are emitted for an image, if any.
        seconds: What training took.
        looks: How it stood.
    """

    kind: ClassVar[str] = "coder"

    coder: CoderName
    title: str
    psnrs: tuple[float, ...]
    num_numbers: int
    num_emitted: int | None
    seconds: float
    looks: tuple[CoderLook, ...]


@dataclass(frozen=True, kw_only=True)
class ShownLine:
    """Some test images as a coder gives them back.

    Attributes:
        coder: Its name; "truth" for the images themselves.
        title: What a figure calls it.
        side: Of the images, as they are given back.
        images: (images, pixels).
    """

    kind: ClassVar[str] = "shown"

    coder: str
    title: str
    side: int
    images: PackedImages
