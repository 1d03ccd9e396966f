"""Class-incremental lives: one class after another, each from a few images met once, and never a class twice.

A batch holds all images of the class in hand (dissertation, section 6.4).

Shape suffixes: L lives (M members of a population), T tasks, B images of a batch, i images learned and n held out of a class,
C channels, S side; U outer updates at a step.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.streams.class_picks import (
    ClassScope,
    HyperMix,
    LifeSizes,
    distinct_picks,
    draw_classes,
    draw_hyper_places,
    draw_images,
    full,
    given_classes,
)
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.image_pool import ImagePool

LabelOrder = Literal["random", "in_order"]

Augment = Callable[[Float[Tensor, "images C S S"], torch.Generator], Float[Tensor, "images C S S"]]
"""Changes each image, values from 0 to 1, in its own way."""


class ClassLives(NamedTuple):
    """Lives of one class after another, and what their scores are measured on. Image values are from 0 to 1.

    Attributes:
        inputs: (T, L, B, C, S, S), what is met, in order.
        targets: (T, L, B), labels; or (T, L, B, C * S * S), the images to reconstruct.
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
    class_ids: Int64[Tensor, " tasks"] | None = None,
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
        class_ids: The classes of every life in order; at random if absent (`draw_classes`).

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
        classes = draw_classes(pool, generator, num_lives=num_lives, num_classes=num_tasks)
    else:
        classes = given_classes(pool, class_ids, num_lives=num_lives, num_tasks=num_tasks)
    picks = draw_images(pool, classes, generator, num_instances=num_instances, num_held_out=num_held_out)
    if label_order == "in_order":
        labels = torch.arange(num_tasks, device=pool.device).repeat(num_lives, 1)
    else:
        labels = distinct_picks(full(num_labels, num_lives, pool), num_tasks, generator)
    learned = _images(pool, picks[..., :num_instances].transpose(0, 1))
    return ClassLives(
        inputs=learned,
        targets=_batch_labels(labels, num_instances),
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
    outer_steps: int,
    hyper_batch_size: int,
    hyper_mix: HyperMix,
    scope: ClassScope = "stream",
    num_labels: int | None = None,
) -> HyperStream:
    """Draws lives and the images that every hyper-loss is measured on: learned ones, others of their classes, held-out classes.

    No image of a hyper-batch but the learned ones is in a life, unless the pool holds it twice. Held-out classes have labels
    of their own. How hyper-batches are made up, `draw_hyper_places` says.

    Args:
        pool: Where classes come from.
        generator: Source of every choice, on the pool's device.
        population: Lives side by side, M.
        num_tasks: Classes learned in a life, one after another, the papers' h_CL.
        num_classes: Classes of a life in all, the papers' h_H: the last `num_classes - num_tasks` are held out.
        num_instances: Images learned of each class, the papers' i.
        num_held_out: Other images of each class, from 0.
        outer_steps: Outer steps of a life, spread evenly over it.
        hyper_batch_size: Images of a hyper-batch.
        hyper_mix: Shares of learned images, held-out images of the tasks, and images of held-out classes; they sum to 1.
        scope: Whether hyper-batches have classes of all the life's tasks ("stream", the papers' practice) or just of those
            met by that outer step ("met"), besides the held-out ones.
        num_labels: Labels are distinct and at random from 0 to this; `num_classes` if absent.

    Returns:
        The hyper-stream, (T, M, B, C, S, S) and (outer_steps, 1, M, hyper_batch, C, S, S), values from 0 to 1.

    Raises:
        ValueError: If the pool has fewer classes or a class fewer images than needed, or settings are out of range or
            contradict one another.

    Source: dissertation, section 6.3, algorithm "Hyper-Learning", line 14.
    """
    _check_sizes(population=population, num_tasks=num_tasks, num_instances=num_instances)
    _check_sizes(outer_steps=outer_steps, hyper_batch_size=hyper_batch_size)
    num_labels = num_classes if num_labels is None else num_labels
    _check_labels(num_labels, num_classes)
    if num_classes < num_tasks:
        raise ValueError(f"Expected `num_classes` to be at least {num_tasks}, the tasks, but got {num_classes}.")
    life = LifeSizes(num_tasks, num_classes, num_instances, num_held_out)
    classes = draw_classes(pool, generator, num_lives=population, num_classes=num_classes)
    picks = draw_images(pool, classes, generator, num_instances=num_instances, num_held_out=num_held_out)
    labels = distinct_picks(full(num_labels, population, pool), num_classes, generator)
    task, image = draw_hyper_places(
        generator,
        life,
        outer_steps=outer_steps,
        population=population,
        hyper_batch_size=hyper_batch_size,
        hyper_mix=hyper_mix,
        scope=scope,
    )
    member = torch.arange(population, device=pool.device)[:, None]
    return HyperStream(
        inputs=_images(pool, picks[:, :num_tasks, :num_instances].transpose(0, 1)),
        targets=_batch_labels(labels[:, :num_tasks], num_instances),
        hyper_inputs=_images(pool, picks[member, task, image]),
        hyper_targets=labels[member, task],
    )


def as_reconstruction(stream: HyperStream) -> HyperStream:
    """Makes an autoencoder's stream of a classifier's: each target, (..., C * S * S), is the image itself."""
    return stream._replace(targets=stream.inputs.flatten(-3), hyper_targets=stream.hyper_inputs.flatten(-3))


def lives_as_reconstruction(lives: ClassLives) -> ClassLives:
    """Makes an autoencoder's lives of a classifier's: each target is the image itself."""
    return lives._replace(targets=lives.inputs.flatten(-3))


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


def _images(pool: ImagePool, index: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape C S S"]:
    # In place: drawing spends its time on memory.
    return pool.images[index.flatten()].float().div_(255).unflatten(0, index.shape)


def _batch_labels(labels: Int64[Tensor, "lives tasks"], batch_size: int) -> Int64[Tensor, "tasks lives batch"]:
    return labels.T.unsqueeze(-1).repeat(1, 1, batch_size)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"Expected `{name}` to be positive, but got {size}.")


def _check_labels(num_labels: int, num_classes: int) -> None:
    if num_labels < num_classes:
        raise ValueError(
            f"Expected `num_labels` to be at least {num_classes}, one for each class, but got {num_labels}."
        )
