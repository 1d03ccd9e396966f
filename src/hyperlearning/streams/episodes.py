"""Few-shot episodes: a few classes, of each a few labelled images, the support, and others to be told apart, the query.

Which images an episode has is drawn first, as indices: thousands of episodes are drawn up front and take little memory. Classes
stand in a random order, so that a label says nothing of the class: it is the place along the axis of ways.

Shape suffixes: E episodes, W ways, S shots, Q queries of a class, K classes of a pool.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.streams.augmentation import Augmentation
from hyperlearning.streams.image_pool import ImagePool


class EpisodeShape(NamedTuple):
    """What an episode is made of.

    Attributes:
        num_ways: Classes.
        num_shots: Images of a class that are labelled.
        num_queries: Images of a class that are to be told apart.
    """

    num_ways: int
    num_shots: int
    num_queries: int

    @property
    def num_images(self) -> int:
        """Images in all."""
        return self.num_ways * (self.num_shots + self.num_queries)


class Picks(NamedTuple):
    """Which images episodes have.

    Attributes:
        support: Their places in the pool.
        query: Likewise.
        classes: The classes, by their places in the pool.
    """

    support: Int64[Tensor, "E W S"]
    query: Int64[Tensor, "E W Q"]
    classes: Int64[Tensor, "E W"]


class Episodes(NamedTuple):
    """Episodes of one shape; the label of an image is its place along the axis of ways.

    Attributes:
        support: Labelled images, values from 0 to 1.
        query: Images to be told apart.
        classes: The classes, by their places in the pool, for learners that know all of them.
    """

    support: Float[Tensor, "E W S C H H"]
    query: Float[Tensor, "E W Q C H H"]
    classes: Int64[Tensor, "E W"]


def draw_picks(pool: ImagePool, shape: EpisodeShape, source: torch.Generator, *, num_episodes: int) -> Picks:
    """Draws which images episodes have: classes without replacement, and of each class images without replacement.

    >>> from hyperlearning.data.images import load
    >>> from hyperlearning.streams.image_pool import image_pool
    >>> picks = draw_picks(image_pool([load("digits", "train")]), EpisodeShape(5, 1, 15), torch.Generator(), num_episodes=600)
    >>> picks.support.shape, picks.query.shape
    (torch.Size([600, 5, 1]), torch.Size([600, 5, 15]))

    Args:
        pool: Where classes come from.
        shape: What an episode is made of.
        source: Source of random numbers.
        num_episodes: Episodes.

    Raises:
        ValueError: If the pool has too few classes, or a class too few images.
    """
    check_fits(pool, shape)
    draws_EK = torch.rand(num_episodes, pool.num_classes, generator=source, device=source.device)
    classes_EW = draws_EK.topk(shape.num_ways).indices.to(pool.device)
    counts_EW1 = pool.counts[classes_EW][..., None]
    most = int(pool.counts.max())
    draws_EWI = torch.rand(num_episodes, shape.num_ways, most, generator=source, device=source.device).to(pool.device)
    # An image that a class does not have is the last to be taken.
    draws_EWI = draws_EWI - (torch.arange(most, device=pool.device) >= counts_EW1).to(draws_EWI.dtype)
    within = draws_EWI.topk(shape.num_shots + shape.num_queries).indices
    places = pool.first[classes_EW][..., None] + within
    support, query = places.split([shape.num_shots, shape.num_queries], -1)
    return Picks(support, query, classes_EW)


def check_fits(pool: ImagePool, shape: EpisodeShape) -> None:
    """Refuses episodes that a pool has too few classes or images for.

    Raises:
        ValueError: If so, or a number is not positive, or there is but one way.
    """
    if shape.num_ways < 2 or min(shape.num_shots, shape.num_queries) < 1:
        raise ValueError(
            f"Expected two ways or more, and shots and queries of each, but got {shape.num_ways} ways, {shape.num_shots} "
            f"shots and {shape.num_queries} queries."
        )
    where = " and ".join(pool.source_names)
    if shape.num_ways > pool.num_classes:
        raise ValueError(
            f"Expected {shape.num_ways} or more classes in {where}, but got {pool.num_classes}: have fewer ways."
        )
    wanted, least = shape.num_shots + shape.num_queries, int(pool.counts.min())
    if wanted > least:
        raise ValueError(
            f"Expected {wanted} or more images of every class in {where}, {shape.num_shots} shots and {shape.num_queries} "
            f"queries, but class {int(pool.counts.argmin())} has {least}: have fewer shots or queries."
        )


def episodes_of(
    pool: ImagePool, picks: Picks, *, augmentation: Augmentation | None = None, source: torch.Generator | None = None
) -> Episodes:
    """Takes images from a pool.

    Args:
        pool: The pool that the picks are of.
        picks: Which images.
        augmentation: How each image is changed at random; absent: not at all.
        source: Source of the changes; absent without them.
    """
    places = torch.cat([picks.support, picks.query], -1)
    images = pool.images[places.flatten()].float() / 255
    if augmentation is not None:
        assert source is not None
        images = augmentation.apply(images, source)
    split = [picks.support.shape[-1], picks.query.shape[-1]]
    support, query = images.unflatten(0, places.shape).split(split, 2)
    return Episodes(support, query, picks.classes)


def in_parts(pool: ImagePool, picks: Picks, *, most_images: int = 4000) -> Iterator[Episodes]:
    """Takes the images of many episodes in parts of so many images at most, or of one episode."""
    size = max(1, most_images // (picks.support[0].numel() + picks.query[0].numel()))
    for part in zip(*(tensor.split(size) for tensor in picks), strict=True):
        yield episodes_of(pool, Picks(*part))


def labels_of(episodes: Episodes) -> Int64[Tensor, "E WQ"]:
    """Labels of all queries of each episode, way by way."""
    num_episodes, num_ways, num_queries = episodes.query.shape[:3]
    ways = torch.arange(num_ways, device=episodes.query.device)
    return ways.repeat_interleave(num_queries).expand(num_episodes, -1)


Drawer = Callable[[torch.Generator], Episodes]
"""Draws the episodes of a step."""


def drawing(
    pool: ImagePool, shape: EpisodeShape, *, num_episodes: int, augmentation: Augmentation | None = None
) -> Drawer:
    """Makes what draws the episodes of a step.

    Raises:
        ValueError: As for `check_fits`.
    """
    check_fits(pool, shape)

    def draw(source: torch.Generator) -> Episodes:
        picks = draw_picks(pool, shape, source, num_episodes=num_episodes)
        return episodes_of(pool, picks, augmentation=augmentation, source=source)

    return draw
