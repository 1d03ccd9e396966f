"""Streams of images, each met once and unlabelled: mixed or class after class, all classes alike or most of them rare.

Shape suffixes: N images, T tests, K classes, C channels, S side.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.streams.image_pool import ImagePool

StreamName = Literal["shuffled", "classes", "shuffled_tail", "classes_tail"]
"""Mixed, or one class after another; all classes with as many images, or with a geometric tail of fewer and fewer."""


class ImageStream(NamedTuple):
    """A stream, and what is tested in the end. Image values are from 0 to 1.

    Attributes:
        images: (N, C, S, S), in the order in which they come.
        labels: (N,). Classes are numbered as they come, where they come one after another, or else from the most frequent on.
        test_images: (T, C, S, S), of all classes as many.
        test_labels: (T,).
        counts: (K,), images of each class in the stream.
    """

    images: Float[Tensor, "N C S S"]
    labels: Int64[Tensor, " N"]
    test_images: Float[Tensor, "T C S S"]
    test_labels: Int64[Tensor, " T"]
    counts: Int64[Tensor, " K"]


def tail_counts(num_images: int, num_classes: int, ratio: float) -> Int64[Tensor, " classes"]:
    """Splits images among classes of which each has a smaller share than the one before, by one factor.

    Every class has one at least; what rounding leaves goes to the first.

    >>> tail_counts(100, 4, 27.0).tolist()
    [69, 22, 7, 2]

    Args:
        num_images: In all, no fewer than classes.
        num_classes: Classes.
        ratio: Share of the first class over that of the last, from 1.

    Raises:
        ValueError: If there are fewer images than classes, or the ratio is below 1.
    """
    if num_images < num_classes or ratio < 1:
        raise ValueError(
            f"Expected at least {num_classes} images, one for each class, and a ratio from 1, "
            f"but got {num_images} and {ratio:g}."
        )
    shares = ratio ** -(torch.arange(num_classes, dtype=torch.float64) / max(1, num_classes - 1))
    counts = (num_images * shares / shares.sum()).long().clamp(min=1)
    counts[0] += num_images - counts.sum()
    return counts


def draw_image_stream(
    pool: ImagePool,
    tests: ImagePool,
    source: torch.Generator,
    *,
    name: StreamName,
    num_images: int,
    num_tests: int,
    tail_ratio: float,
) -> ImageStream:
    """Draws a stream: which class is which number, which images, and their order.

    Args:
        pool: Images of the stream.
        tests: Other images of the same classes.
        source: Source of every choice, where new tensors are made.
        name: Kind of the stream.
        num_images: N.
        num_tests: Tests of each class.
        tail_ratio: Images of the most frequent class over those of the rarest, in streams with a tail.

    Raises:
        ValueError: If the pools differ in their number of classes, or a class has fewer images than are wanted.
    """
    if pool.num_classes != tests.num_classes:
        raise ValueError(f"Expected tests of {pool.num_classes} classes, but got {tests.num_classes}.")
    class_after_class, has_tail = name.startswith("classes"), name.endswith("tail")
    counts = tail_counts(num_images, pool.num_classes, tail_ratio if has_tail else 1.0)
    if class_after_class:  # The most frequent class may come at any time.
        counts = counts[torch.randperm(len(counts), generator=source)]
    classes = torch.randperm(pool.num_classes, generator=source)
    met = _drawn(pool, classes, counts, source)
    labels = torch.arange(len(classes)).repeat_interleave(counts)
    if not class_after_class:
        order = torch.randperm(num_images, generator=source)
        met, labels = met[order], labels[order]
    tested = _drawn(tests, classes, torch.full_like(counts, num_tests), source)
    return ImageStream(
        images=_values(pool, met),
        labels=labels.to(pool.device),
        test_images=_values(tests, tested),
        test_labels=torch.arange(len(classes)).repeat_interleave(num_tests).to(pool.device),
        counts=counts,
    )


def _drawn(pool: ImagePool, classes: Tensor, counts: Tensor, source: torch.Generator) -> Int64[Tensor, " images"]:
    """Places of images in a pool, class after class."""
    places = []
    for own, count in zip(classes.tolist(), counts.tolist(), strict=True):
        there = int(pool.counts[own])
        if there < count:
            raise ValueError(
                f"Expected {count:,} images of a class for the stream or its tests, but got {there:,} of one."
            )
        places.append(int(pool.first[own]) + torch.randperm(there, generator=source)[:count])
    return torch.cat(places)


def _values(pool: ImagePool, places: Tensor) -> Float[Tensor, "images C S S"]:
    return pool.images[places.to(pool.device)].float() / 255
