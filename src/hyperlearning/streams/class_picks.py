"""Which classes a life has, which images of them it learns, and which of its classes and images every hyper-loss sees.

Shape suffixes: L lives (M members of a population), T tasks, U outer updates at a step.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.streams.image_pool import ImagePool, check_class_ids

ClassScope = Literal["stream", "met"]

HyperMix = tuple[float, float, float]
"""Shares of a hyper-batch, which sum to 1: images learned, held-out images of the tasks, images of held-out classes."""


class LifeSizes(NamedTuple):
    """How many classes, and images of each, a life has.

    Attributes:
        num_tasks: Classes learned.
        num_classes: Classes in all: those learned, then those held out.
        num_instances: Images learned of each class.
        num_held_out: Other images of each class.
    """

    num_tasks: int
    num_classes: int
    num_instances: int
    num_held_out: int


class Places(NamedTuple):
    """Where in a life the images of hyper-batches are, (outer_steps, U, M, hyper_batch) each.

    Attributes:
        task: Its class, counted in the life.
        image: The image, counted in the class.
    """

    task: Int64[Tensor, "*shape batch"]
    image: Int64[Tensor, "*shape batch"]


def split_by_share(total: int, shares: tuple[float, ...]) -> tuple[int, ...]:
    """Splits a number by shares that sum to 1: rounded down, and what is left to the largest remainders.

    >>> split_by_share(20, (0.35, 0.35, 0.3))
    (7, 7, 6)
    """
    # Rounded first: .35 * 20 is just below 7.
    exact = [round(total * share, 9) for share in shares]
    counts = [int(number) for number in exact]
    by_remainder = sorted(range(len(shares)), key=lambda part: counts[part] - exact[part])
    for part in by_remainder[: total - sum(counts)]:
        counts[part] += 1
    return tuple(counts)


def distinct_picks(
    counts: Int64[Tensor, "*shape"], num: int, generator: torch.Generator
) -> Int64[Tensor, "*shape num"]:
    """Draws distinct numbers from 0 to each count, every ordered choice with equal probability.

    Floyd's algorithm, then a shuffle: its cost does not depend on the counts, of which some are thousands.

    Args:
        counts: How many numbers there are to draw from, each at least `num`.
        num: How many to draw.
        generator: Source of the choices, on the device of the counts.

    Source: Bentley and Floyd, "Programming Pearls: A Sample of Brilliance", Communications of the ACM 30(9), 1987.
    """
    unit = torch.rand(*counts.shape, 2 * num, generator=generator, device=counts.device)
    picks = torch.full((*counts.shape, num), -1, device=counts.device)
    for drawn in range(num):
        highest = counts - num + drawn
        pick = (unit[..., drawn] * (highest + 1)).long().minimum(highest)
        taken = (picks == pick[..., None]).any(-1)
        picks[..., drawn] = torch.where(taken, highest, pick)
    return picks.gather(-1, unit[..., num:].argsort(-1))


def draw_classes(
    pool: ImagePool, generator: torch.Generator, *, num_lives: int, num_classes: int
) -> Int64[Tensor, "lives classes"]:
    """Draws the classes of each life, distinct within it.

    All data sets are as likely: each class's data set is drawn first, uniformly among those with classes left, so that a small
    one is met as often as a large one.

    Args:
        pool: Where classes come from.
        generator: Source of every choice, on the pool's device.
        num_lives: Lives side by side, L.
        num_classes: Classes of a life.

    Raises:
        ValueError: If the pool has fewer classes, or is elsewhere than the generator.
    """
    if num_classes > pool.num_classes:
        raise ValueError(f"Expected at least {num_classes} classes for a life, but got {pool.num_classes}.")
    _check_device(pool, generator)
    sources = [torch.nonzero(pool.source == source)[:, 0] for source in pool.source.unique().tolist()]
    if len(sources) == 1:
        return distinct_picks(full(pool.num_classes, num_lives, pool), num_classes, generator)
    return _draw_balanced(sources, generator, num_lives=num_lives, num_classes=num_classes)


def given_classes(
    pool: ImagePool, class_ids: Int64[Tensor, " given"], *, num_lives: int, num_tasks: int
) -> Int64[Tensor, "lives classes"]:
    """Gives every life the same classes, in the order given.

    Raises:
        ValueError: If they are not distinct classes of the pool, or not one for each task.
    """
    check_class_ids(pool, class_ids)
    if len(class_ids) != num_tasks:
        raise ValueError(f"Expected `class_ids` for {num_tasks} tasks, but got {len(class_ids)}.")
    return class_ids.to(pool.device).expand(num_lives, -1)


def draw_images(
    pool: ImagePool,
    classes: Int64[Tensor, "lives classes"],
    generator: torch.Generator,
    *,
    num_instances: int,
    num_held_out: int,
) -> Int64[Tensor, "lives classes images"]:
    """Draws, of each class, the images learned and then those held out, all different, as places in the pool.

    Raises:
        ValueError: If a class has fewer images, or the pool is elsewhere than the generator.
    """
    _check_device(pool, generator)
    if num_held_out < 0:
        raise ValueError(f"Expected `num_held_out` to be non-negative, but got {num_held_out}.")
    needed, fewest = num_instances + num_held_out, int(pool.counts.min())
    if fewest < needed and int(pool.counts[classes].min()) < needed:
        raise ValueError(
            f"Expected at least {needed} images of every class ({num_instances} to learn and {num_held_out} held out), "
            f"but got {int(pool.counts[classes].min())} of one."
        )
    return pool.first[classes].unsqueeze(-1) + distinct_picks(pool.counts[classes], needed, generator)


def full(value: int, num_lives: int, pool: ImagePool) -> Int64[Tensor, " lives"]:
    """The same number for every life, where the pool is."""
    return torch.full((num_lives,), value, device=pool.device)


def draw_hyper_places(
    generator: torch.Generator,
    life: LifeSizes,
    *,
    outer_steps: int,
    population: int,
    hyper_batch_size: int,
    hyper_mix: HyperMix,
    scope: ClassScope,
) -> Places:
    """Draws the class and the image of everything in all hyper-batches, as places in a life; one outer update at a step.

    A hyper-batch has the number of images that `hyper_mix` says of each kind (largest remainders), each number the same for
    all classes as far as it goes and, of a class, for all its images.

    Args:
        generator: Source of every choice, on the device of the result.
        life: What there is to draw from.
        outer_steps: Outer steps of a life, spread evenly over it.
        population: Lives side by side, M.
        hyper_batch_size: Images of a hyper-batch.
        hyper_mix: Shares of learned images, held-out images of the tasks, and images of held-out classes.
        scope: Whether classes are of all the life's tasks ("stream") or just of those met by that outer step ("met").

    Raises:
        ValueError: If `hyper_mix` is not of shares of what there is.
    """
    _check_mix(hyper_mix, num_held_out=life.num_held_out, num_held_out_classes=life.num_classes - life.num_tasks)
    shape = (outer_steps, 1, population)
    met = _tasks_met(life.num_tasks, outer_steps, scope, generator.device)
    num_learned, num_held_out, num_apart = split_by_share(hyper_batch_size, hyper_mix)
    # One round through the tasks serves learned and held-out images, so that together they are spread evenly too.
    task, turn = _draw_turns(generator, met, shape, life.num_tasks, num_learned + num_held_out)
    num_others = life.num_classes - life.num_tasks
    other, other_turn = _draw_turns(generator, torch.full_like(met, num_others), shape, num_others, num_apart)
    image = [
        _wrapped(turn[..., :num_learned], life.num_instances),
        life.num_instances + _wrapped(turn[..., num_learned:], life.num_held_out),
        _wrapped(other_turn, life.num_instances + life.num_held_out),
    ]
    return Places(torch.cat([task, life.num_tasks + other], -1), torch.cat(image, -1))


def _draw_balanced(
    sources: list[Int64[Tensor, " _"]], generator: torch.Generator, *, num_lives: int, num_classes: int
) -> Int64[Tensor, "lives classes"]:
    """Draws each class's source among those with classes left, then the class among those left of the source."""
    sizes = torch.tensor([len(source) for source in sources], device=sources[0].device)
    # Of every source as many as a life could need: which are taken is seen when the sources are drawn.
    order = torch.zeros(num_lives, len(sources), num_classes, dtype=torch.long, device=sizes.device)
    for index, classes in enumerate(sources):
        most = min(num_classes, len(classes))
        picks = distinct_picks(torch.full((num_lives,), len(classes), device=sizes.device), most, generator)
        order[:, index, :most] = classes[picks]
    taken = torch.zeros_like(order[..., 0])
    drawn = []
    for _ in range(num_classes):
        source = torch.multinomial((taken < sizes).float(), 1, generator=generator)
        drawn.append(
            order.gather(1, source[..., None].expand(-1, -1, num_classes))[:, 0].gather(1, taken.gather(1, source))
        )
        taken.scatter_add_(1, source, torch.ones_like(source))
    return torch.cat(drawn, dim=1)


def _tasks_met(
    num_tasks: int, outer_steps: int, scope: ClassScope, device: torch.device
) -> Int64[Tensor, " outer_steps"]:
    """How many tasks hyper-batches may have at each outer step: all, or those begun by its last inner update."""
    if scope == "stream":
        return torch.full((outer_steps,), num_tasks, device=device)
    done = torch.arange(1, outer_steps + 1, device=device)
    return (done * num_tasks + outer_steps - 1) // outer_steps


def _draw_turns(
    generator: torch.Generator,
    available: Int64[Tensor, " outer_steps"],
    shape: tuple[int, int, int],
    num_places: int,
    num_slots: int,
) -> tuple[Int64[Tensor, "*shape slots"], Float[Tensor, "*shape slots"]]:
    """Goes through the first `available` places in random order, again and again, until every slot has one.

    Returns:
        Each slot's place, and its turn there: how often the place was had before, plus a share of 1 that is the place's own
        in this hyper-batch, from which it is seen where its images begin.
    """
    limit = available[:, None, None, None]
    order = torch.rand(*shape, num_places, generator=generator, device=available.device)
    begin = torch.rand(*shape, num_places, generator=generator, device=available.device)
    absent = torch.arange(num_places, device=available.device) >= limit
    slot = torch.arange(num_slots, device=available.device).expand(*shape, -1)
    place = order.masked_fill(absent, torch.inf).argsort(-1).gather(-1, slot % limit)
    return place, begin.gather(-1, place) + slot // limit


def _wrapped(turn: Tensor, num_images: int) -> Int64[Tensor, "*shape slots"]:
    num_images = max(num_images, 1)
    return ((turn.frac() * num_images).long() + turn.long()) % num_images


def _check_device(pool: ImagePool, generator: torch.Generator) -> None:
    if generator.device.type != pool.device.type:
        raise ValueError(f"Expected a generator on {pool.device}, where the pool is, but got {generator.device}.")


def _check_mix(hyper_mix: HyperMix, *, num_held_out: int, num_held_out_classes: int) -> None:
    if min(hyper_mix) < 0 or abs(sum(hyper_mix) - 1) > 1e-6:
        raise ValueError(f"Expected `hyper_mix` to be non-negative shares that sum to 1, but got {hyper_mix}.")
    _, held_out, apart = hyper_mix
    if (held_out and not num_held_out) or (apart and not num_held_out_classes):
        raise ValueError(
            f"Expected `hyper_mix` to have shares of what there is, but got {hyper_mix} for {num_held_out} held-out images "
            f"of a class and {num_held_out_classes} held-out classes."
        )
