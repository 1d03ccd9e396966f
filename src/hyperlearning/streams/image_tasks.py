"""Streams of classification tasks from one data set: its pixels permuted, one class against some, or classes in groups.

Source: dissertation, sections 2.4.3 to 2.4.6; shares and negatives are those of the authors' code.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.data.images import ImageSet
from hyperlearning.streams.binary_tasks import BinaryTask

HELD_OUT = 6
"""Every how many-th image of a data set is held out for a validation stream."""


def one_against_four(num_classes: int = 10) -> tuple[BinaryTask, ...]:
    """Makes a task of every class: it against the last four, or, where it is near them, against the second to the fifth.

    Raises:
        ValueError: If there are fewer than nine classes.
    """
    if num_classes < 9:
        raise ValueError(f"Expected at least 9 classes, but got {num_classes}.")
    last, early = tuple(range(num_classes - 4, num_classes)), (1, 2, 3, 4)
    return tuple(BinaryTask(positive, early if positive in last else last) for positive in range(num_classes))


def permuted(images: Float[Tensor, "N C H W"], source: torch.Generator) -> Float[Tensor, "N C H W"]:
    """Puts the pixels of all images in one other order."""
    order = torch.randperm(images[0].numel(), generator=source)
    return images.flatten(1)[:, order].reshape(images.shape)


def class_groups(num_classes: int, num_tasks: int, source: torch.Generator) -> tuple[tuple[int, ...], ...]:
    """Deals classes out to tasks, as many to each; some are left over where the numbers do not divide.

    Raises:
        ValueError: If a task would have fewer than two classes.
    """
    size = num_classes // num_tasks
    if size < 2:
        raise ValueError(
            f"Expected at most {num_classes // 2} tasks of two classes or more, of {num_classes} classes, but got {num_tasks}."
        )
    order = torch.randperm(num_classes, generator=source)
    return tuple(tuple(group.tolist()) for group in order[: size * num_tasks].split(size))


def of_classes(images: ImageSet, classes: tuple[int, ...], *, most: int) -> ImageSet:
    """Takes the images of some classes, and makes their places among these the labels.

    Args:
        images: Where they come from.
        classes: Which.
        most: The most images in all, as many of each class.
    """
    each = max(1, most // len(classes))
    places = torch.cat([torch.nonzero(images.labels == label)[:each, 0] for label in classes])
    label_of = torch.zeros(images.num_classes, dtype=torch.int64)
    label_of[list(classes)] = torch.arange(len(classes))
    return _picked(images, places, labels=label_of[images.labels[places]])


def held_out(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Splits images to learn from into some to learn from and some to judge by, every sixth, for a validation stream."""
    places = torch.arange(len(images))
    chosen = places % HELD_OUT == HELD_OUT - 1
    return _picked(images, places[~chosen]), _picked(images, places[chosen])


def _picked(images: ImageSet, places: Tensor, labels: Tensor | None = None) -> ImageSet:
    return replace(images, images=images.images[places], labels=images.labels[places] if labels is None else labels)
