"""Omniglot by class, as OML and ANML use it: background classes to meta-train on, evaluation classes to test on.

Shape suffixes: K classes, n images of a class.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from hyperlearning.core.expect import AtLeast, Count, check_ranges
from hyperlearning.core.params import on_default_device
from hyperlearning.data.images import load
from hyperlearning.streams.augmentation import AUGMENTATIONS, AugmentationName
from hyperlearning.streams.image_pool import ImagePool, image_pool
from hyperlearning.streams.trajectories import META_TRAIN_CLASSES, stack_classes

META_TEST_CLASSES = 659

Characters = UInt8[Tensor, "classes images 1 side side"]


@dataclass(frozen=True, kw_only=True)
class CharacterSettings:
    """Where characters come from."""

    side: Count = 28
    """Height and width that images are brought to: 28, or 84 for OML."""
    meta_train_classes: Annotated[int, AtLeast(2)] = META_TRAIN_CLASSES
    """Background classes to meta-train on, the first ones; the publications leave the last of 964 out."""
    meta_test_classes: Annotated[int, AtLeast(2)] = META_TEST_CLASSES
    """Evaluation classes that test runs are drawn from, the first ones of 659."""
    rotated_classes: bool = False
    """Whether each class rotated by 90, 180 and 270 degrees is a class of its own in meta-training."""
    augmentation: AugmentationName = "none"
    """How all images of meta-training are changed at random, each time they are met."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(
                f"Expected `augmentation` to be one of {sorted(AUGMENTATIONS)}, but got {self.augmentation!r}."
            )

    @property
    def num_labels(self) -> int:
        """Classes of meta-training, rotated ones included."""
        return self.meta_train_classes * (4 if self.rotated_classes else 1)


class Splits(NamedTuple):
    """Characters, upright.

    Attributes:
        meta_train: Background classes.
        meta_test: Evaluation classes.
    """

    meta_train: Characters
    meta_test: Characters


def load_splits(data: CharacterSettings) -> Splits:
    """Loads both splits, with the errors of `meta_train_characters`."""
    return Splits(meta_train_characters(data, rotated=False), meta_test_characters(data))


def meta_train_characters(data: CharacterSettings, *, rotated: bool) -> Characters:
    """Loads the background classes in sorted file order.

    Args:
        data: Which ones.
        rotated: Whether rotated classes follow: class k by r quarter turns is `r * K + k`.

    Raises:
        AbsentDataError: If Omniglot is not there; the message names the command that fetches it.
        ValueError: If there are fewer classes than asked for.
    """
    upright = _characters(data, "background", data.meta_train_classes)
    if not rotated:
        return upright
    return torch.cat([upright.rot90(turns, (-2, -1)) for turns in range(4)]).contiguous()


def meta_test_characters(data: CharacterSettings) -> Characters:
    """Loads the evaluation classes in sorted file order, with the errors of `meta_train_characters`."""
    return _characters(data, "evaluation", data.meta_test_classes)


def _characters(data: CharacterSettings, split: str, num_classes: int) -> Characters:
    images = load("omniglot", split, root=Path(data.data_root) if data.data_root else None)
    stacked = stack_classes(images, num_classes=num_classes)
    if stacked.shape[-1] != data.side:
        pool = image_pool([images], side=data.side, channels=1)
        stacked = pool.images.unflatten(0, (images.num_classes, -1))[: len(stacked)]
    return on_default_device(stacked)


def pool_of(images: Characters) -> ImagePool:
    """Characters as a pool, for what draws from pools."""
    num_classes, per_class = images.shape[:2]
    return ImagePool(
        images=images.flatten(0, 1),
        first=torch.arange(num_classes) * per_class,
        counts=torch.full((num_classes,), per_class),
        source=torch.zeros(num_classes, dtype=torch.int64),
        source_names=("omniglot/background",),
    )
