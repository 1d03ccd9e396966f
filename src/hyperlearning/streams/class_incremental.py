"""Class-incremental lives: one class after another, each from a few images met once, and never a class twice.

A batch holds all images of the class in hand (dissertation, section 6.4); with augmentation, the images as they are first and
then `copies` changed versions of them all, one round after another.

Shape suffixes: L lives (M members of a population), T tasks, R batches of a task, B images of a batch, i images learned and n
held out of a class, C channels, S side; U outer updates at a step.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.image_pool import ImagePool, check_class_ids

LabelOrder = Literal["random", "in_order"]
ClassScope = Literal["stream", "met"]
ClassBalance = Literal["classes", "sources"]

HyperMix = tuple[float, float, float]
"""Shares of a hyper-batch, which sum to 1: images learned, held-out images of the tasks, images of held-out classes."""

Augment = Callable[[Float[Tensor, "images C S S"], torch.Generator], Float[Tensor, "images C S S"]]
"""Changes each image, values from 0 to 1, in its own way."""


class ClassLives(NamedTuple):
    """Lives of one class after another, and what their scores are measured on. Image values are from 0 to 1.

    Attributes:
        inputs: (T * R, L, B, C, S, S), what is met, in order.
        targets: (T * R, L, B), labels; or (T * R, L, B, C * S * S), the images to reconstruct.
        learned: (L, T, i, C, S, S), the very images learned, unchanged: scores on them are memory.
        held_out: (L, T, n, C, S, S), other images of the same classes: scores on them are generalization.
        labels: (L, T), each task's label.
    """

    inputs: Float[Tensor, "batches lives batch C S S"]
    targets: Int64[Tensor, "batches lives batch"] | Float[Tensor, "batches lives batch pixels"]
    learned: Float[Tensor, "lives tasks learned C S S"]
    held_out: Float[Tensor, "lives tasks held_out C S S"]
    labels: Int64[Tensor, "lives tasks"]


def draw_lives(
    pool: ImagePool,
    generator: torch.Generator,
    *,
    num_lives: int,
    num_tasks: int,
    num_instances: int,
    num_held_out: int,
    num_labels: int | None = None,
    label_order: LabelOrder = "random",
    batches_per_task: int = 1,
    copies: int = 0,
    augment: Augment | None = None,
    class_ids: Int64[Tensor, " tasks"] | None = None,
    balance: ClassBalance = "classes",
) -> ClassLives:
    """Draws lives: classes distinct within a life, images distinct between what is learned and what is held out.

    Args:
        pool: Where classes come from.
        generator: Source of every choice, on the pool's device.
        num_lives: Lives side by side, L.
        num_tasks: Classes of a life, T.
        num_instances: Images learned of each class, the papers' i.
        num_held_out: Other images of each class, n, from 0.
        num_labels: Labels are from 0 to this; `num_tasks` if absent.
        label_order: "random" (distinct labels at random, for each life its own) or "in_order" (task t has label t).
        batches_per_task: Batches of a task, R; without augmentation they are all the same.
        copies: Augmented versions of each image in a batch, fresh in each batch.
        augment: What changes them; just where there are copies.
        class_ids: The classes of every life in order; at random if absent.
        balance: Whether all "classes" are as likely, or all "sources": then each class's data set is drawn first, uniformly
            among those with classes left, so that a small one is met as often as a large one. Has no effect on given
            `class_ids`.

    Returns:
        The lives, on the pool's device.

    Raises:
        ValueError: If the pool has fewer classes or a class fewer images than needed, or settings are out of range or
            contradict one another.

    Source: dissertation, section 6.4.
    """
    num_labels = num_tasks if num_labels is None else num_labels
    _check_sizes(num_lives=num_lives, num_tasks=num_tasks, num_instances=num_instances)
    _check_labels(num_labels, num_tasks)
    if class_ids is None:
        classes = _draw_classes(pool, generator, num_lives=num_lives, num_classes=num_tasks, balance=balance)
    else:
        classes = _given_classes(pool, class_ids, num_lives=num_lives, num_tasks=num_tasks)
    picks = _draw_images(pool, classes, generator, num_instances=num_instances, num_held_out=num_held_out)
    if label_order == "in_order":
        labels = torch.arange(num_tasks, device=pool.device).repeat(num_lives, 1)
    else:
        labels = distinct_picks(_full(num_labels, num_lives, pool), num_tasks, generator)
    learned = _images(pool, picks[..., :num_instances].transpose(0, 1))
    inputs = _batches(learned, generator, batches_per_task=batches_per_task, copies=copies, augment=augment)
    return ClassLives(
        inputs=inputs,
        targets=_batch_labels(labels, batches_per_task, inputs.shape[2]),
        learned=learned.transpose(0, 1),
        held_out=_images(pool, picks[..., num_instances:]),
        labels=labels,
    )


def draw_class_hyper_stream(
    pool: ImagePool,
    generator: torch.Generator,
    *,
    population: int,
    num_tasks: int,
    num_classes: int,
    num_instances: int,
    num_held_out: int,
    batches_per_task: int,
    outer_steps: int,
    hyper_batch_size: int,
    hyper_mix: HyperMix,
    num_outer_updates: int = 1,
    scope: ClassScope = "stream",
    num_labels: int | None = None,
    copies: int = 0,
    augment: Augment | None = None,
    balance: ClassBalance = "classes",
) -> HyperStream:
    """Draws lives and the images that every hyper-loss is measured on: learned ones, others of their classes, held-out classes.

    No image of a hyper-batch but the learned ones is in a life, nor is a version of it, unless the pool holds it twice.
    Held-out classes have labels of their own. A hyper-batch has the number of images that `hyper_mix` says of each kind
    (largest remainders), each number the same for all classes as far as it goes and, of a class, for all its images.

    Args:
        pool: Where classes come from.
        generator: Source of every choice, on the pool's device.
        population: Lives side by side, M.
        num_tasks: Classes learned in a life, one after another, the papers' h_CL.
        num_classes: Classes of a life in all, the papers' h_H: the last `num_classes - num_tasks` are held out.
        num_instances: Images learned of each class, the papers' i.
        num_held_out: Other images of each class, from 0.
        batches_per_task: Batches of a task; without augmentation they are all the same.
        outer_steps: Outer steps of a life, spread evenly over it.
        hyper_batch_size: Images of a hyper-batch.
        hyper_mix: Shares of learned images, held-out images of the tasks, and images of held-out classes; they sum to 1.
        num_outer_updates: Outer updates in a row, U, each on a hyper-batch of its own.
        scope: Whether hyper-batches have classes of all the life's tasks ("stream", the papers' practice) or just of those
            met by that outer step ("met"), besides the held-out ones.
        num_labels: Labels are distinct and at random from 0 to this; `num_classes` if absent.
        copies: Augmented versions of each image in a life's batch, fresh in each batch.
        augment: What changes them; just where there are copies. Hyper-batches are never augmented.
        balance: As for `draw_lives`.

    Returns:
        The hyper-stream, (T * R, M, B, C, S, S) and (outer_steps, U, M, hyper_batch, C, S, S), values from 0 to 1.

    Raises:
        ValueError: If the pool has fewer classes or a class fewer images than needed, or settings are out of range or
            contradict one another.

    Source: dissertation, section 6.3, algorithm "Hyper-Learning", line 14.
    """
    _check_sizes(population=population, num_tasks=num_tasks, num_instances=num_instances)
    _check_sizes(outer_steps=outer_steps, num_outer_updates=num_outer_updates, hyper_batch_size=hyper_batch_size)
    num_labels = num_classes if num_labels is None else num_labels
    _check_labels(num_labels, num_classes)
    _check_mix(hyper_mix, num_held_out=num_held_out, num_held_out_classes=num_classes - num_tasks)
    classes = _draw_classes(pool, generator, num_lives=population, num_classes=num_classes, balance=balance)
    picks = _draw_images(pool, classes, generator, num_instances=num_instances, num_held_out=num_held_out)
    labels = distinct_picks(_full(num_labels, population, pool), num_classes, generator)
    met = _tasks_met(num_tasks, outer_steps, scope, pool.device)
    shape = (outer_steps, num_outer_updates, population)
    counts = split_by_share(hyper_batch_size, hyper_mix)
    task, image = _draw_hyper_places(
        generator, met, shape, counts, _Places(num_tasks, num_classes, num_instances, num_held_out)
    )
    learned = _images(pool, picks[:, :num_tasks, :num_instances].transpose(0, 1))
    inputs = _batches(learned, generator, batches_per_task=batches_per_task, copies=copies, augment=augment)
    member = torch.arange(population, device=pool.device)[:, None]
    return HyperStream(
        inputs=inputs,
        targets=_batch_labels(labels[:, :num_tasks], batches_per_task, inputs.shape[2]),
        hyper_inputs=_images(pool, picks[member, task, image]),
        hyper_targets=labels[member, task],
    )


def as_reconstruction(stream: HyperStream, *, copies: int = 0) -> HyperStream:
    """Makes an autoencoder's stream of a classifier's: each target is the image itself, as it was before augmentation.

    Args:
        stream: From `draw_class_hyper_stream`.
        copies: Its `copies`.

    Returns:
        The stream with targets of (..., C * S * S).
    """
    return stream._replace(
        targets=_originals(stream.inputs, stream.inputs.shape[2] // (1 + copies)),
        hyper_targets=stream.hyper_inputs.flatten(-3),
    )


def augmented(stream: HyperStream, augment: Augment, generator: torch.Generator) -> HyperStream:
    """Changes every image of a stream in its own way, those of hyper-batches too: more kinds of classes than there are.

    Args:
        stream: From `draw_class_hyper_stream`.
        augment: What changes images.
        generator: Source of the changes.
    """

    def changed(images: Tensor) -> Tensor:
        num_axes = images.ndim - 3
        return augment(images.flatten(0, num_axes - 1), generator).unflatten(0, images.shape[:num_axes])

    return stream._replace(inputs=changed(stream.inputs), hyper_inputs=changed(stream.hyper_inputs))


def lives_as_reconstruction(lives: ClassLives) -> ClassLives:
    """Makes an autoencoder's lives of a classifier's: each target is the image itself, as it was before augmentation."""
    return lives._replace(targets=_originals(lives.inputs, lives.learned.shape[2]))


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


class _Places(NamedTuple):
    """How many classes and images of each a life has."""

    num_tasks: int
    num_classes: int
    num_instances: int
    num_held_out: int


def _draw_classes(
    pool: ImagePool, generator: torch.Generator, *, num_lives: int, num_classes: int, balance: ClassBalance
) -> Int64[Tensor, "lives classes"]:
    if num_classes > pool.num_classes:
        raise ValueError(f"Expected at least {num_classes} classes for a life, but got {pool.num_classes}.")
    _check_device(pool, generator)
    sources = [torch.nonzero(pool.source == source)[:, 0] for source in pool.source.unique().tolist()]
    if balance == "classes" or len(sources) == 1:
        return distinct_picks(_full(pool.num_classes, num_lives, pool), num_classes, generator)
    return _draw_balanced(sources, generator, num_lives=num_lives, num_classes=num_classes)


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


def _given_classes(pool: ImagePool, class_ids: Tensor, *, num_lives: int, num_tasks: int) -> Tensor:
    check_class_ids(pool, class_ids)
    if len(class_ids) != num_tasks:
        raise ValueError(f"Expected `class_ids` for {num_tasks} tasks, but got {len(class_ids)}.")
    return class_ids.to(pool.device).expand(num_lives, -1)


def _draw_images(
    pool: ImagePool, classes: Tensor, generator: torch.Generator, *, num_instances: int, num_held_out: int
) -> Int64[Tensor, "lives classes images"]:
    """Draws, of each class, indices of the images learned and then of those held out."""
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


def _images(pool: ImagePool, index: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape C S S"]:
    # In place: drawing spends its time on memory.
    return pool.images[index.flatten()].float().div_(255).unflatten(0, index.shape)


def _batches(
    learned: Float[Tensor, "tasks lives learned C S S"],
    generator: torch.Generator,
    *,
    batches_per_task: int,
    copies: int,
    augment: Augment | None,
) -> Float[Tensor, "batches lives batch C S S"]:
    _check_sizes(batches_per_task=batches_per_task)
    if copies < 0 or (copies > 0) is (augment is None):
        raise ValueError(f"Expected `augment` and a positive `copies`, or neither, but got {augment} and {copies}.")
    repeated = learned.repeat_interleave(batches_per_task, 0) if batches_per_task > 1 else learned
    if augment is None:
        return repeated
    rounds = repeated.repeat(1, 1, copies, 1, 1, 1)
    changed = augment(rounds.flatten(0, 2), generator).unflatten(0, rounds.shape[:3])
    return torch.cat([repeated, changed], dim=2)


def _batch_labels(labels: Int64[Tensor, "lives tasks"], batches_per_task: int, batch_size: int) -> Tensor:
    return labels.T.repeat_interleave(batches_per_task, 0).unsqueeze(-1).repeat(1, 1, batch_size)


def _originals(inputs: Tensor, num_instances: int) -> Float[Tensor, "batches lives batch pixels"]:
    flat = inputs.flatten(-3)
    if inputs.shape[2] == num_instances:
        return flat
    return flat[:, :, :num_instances].repeat(1, 1, inputs.shape[2] // num_instances, 1)


def _tasks_met(
    num_tasks: int, outer_steps: int, scope: ClassScope, device: torch.device
) -> Int64[Tensor, " outer_steps"]:
    """How many tasks hyper-batches may have at each outer step: all, or those begun by its last inner update."""
    if scope == "stream":
        return torch.full((outer_steps,), num_tasks, device=device)
    done = torch.arange(1, outer_steps + 1, device=device)
    return (done * num_tasks + outer_steps - 1) // outer_steps


def _draw_hyper_places(
    generator: torch.Generator,
    met: Int64[Tensor, " outer_steps"],
    shape: tuple[int, int, int],
    counts: tuple[int, ...],
    life: _Places,
) -> tuple[Int64[Tensor, "*shape batch"], Int64[Tensor, "*shape batch"]]:
    """Draws the class, as a place in the life, and the image, as a place in the class, of all hyper-batches."""
    num_learned, num_held_out, num_apart = counts
    # One round through the tasks serves learned and held-out images, so that together they are spread evenly too.
    task, turn = _draw_turns(generator, met, shape, life.num_tasks, num_learned + num_held_out)
    num_others = life.num_classes - life.num_tasks
    other, other_turn = _draw_turns(generator, torch.full_like(met, num_others), shape, num_others, num_apart)
    image = [
        _wrapped(turn[..., :num_learned], life.num_instances),
        life.num_instances + _wrapped(turn[..., num_learned:], life.num_held_out),
        _wrapped(other_turn, life.num_instances + life.num_held_out),
    ]
    return torch.cat([task, life.num_tasks + other], -1), torch.cat(image, -1)


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


def _full(value: int, num_lives: int, pool: ImagePool) -> Int64[Tensor, " lives"]:
    return torch.full((num_lives,), value, device=pool.device)


def _check_device(pool: ImagePool, generator: torch.Generator) -> None:
    if generator.device.type != pool.device.type:
        raise ValueError(f"Expected a generator on {pool.device}, where the pool is, but got {generator.device}.")


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"Expected `{name}` to be positive, but got {size}.")


def _check_labels(num_labels: int, num_classes: int) -> None:
    if num_labels < num_classes:
        raise ValueError(
            f"Expected `num_labels` to be at least {num_classes}, one for each class, but got {num_labels}."
        )


def _check_mix(hyper_mix: HyperMix, *, num_held_out: int, num_held_out_classes: int) -> None:
    if num_held_out_classes < 0:
        raise ValueError(f"Expected `num_classes` to be at least `num_tasks`, but got {-num_held_out_classes} fewer.")
    if min(hyper_mix) < 0 or abs(sum(hyper_mix) - 1) > 1e-6:
        raise ValueError(f"Expected `hyper_mix` to be non-negative shares that sum to 1, but got {hyper_mix}.")
    _, held_out, apart = hyper_mix
    if (held_out and not num_held_out) or (apart and not num_held_out_classes):
        raise ValueError(
            f"Expected `hyper_mix` to have shares of what there is, but got {hyper_mix} for {num_held_out} held-out images "
            f"of a class and {num_held_out_classes} held-out classes."
        )
