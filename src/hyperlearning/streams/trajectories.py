"""Lives of OML and ANML: short trajectories through a class or a few to be meta-trained on, long ones to be tested on.

Images are met one at a time. A class's images are in the data set's own sorted order, so that the split into the first
for training and the last held out is the same on every machine.

Shape suffixes: K classes of a split, k steps of a trajectory, M trajectories, R runs, T steps of a run.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from hyperlearning.data.images import ImageSet
from hyperlearning.streams.hyper_stream import HyperStream

META_TRAIN_CLASSES = 963
"""Classes of Omniglot's background set that OML and ANML are meta-trained on; the 964th is left out in the source."""
TRAIN_IMAGES = 15
"""Images of a class that a meta-test trains on; the others are held out."""
NUM_CLASSES = (10, 50, 75, 100, 200, 300, 400, 500, 600)
"""Lengths of the meta-test in classes, as in the source."""

ClassImages = Shaped[Tensor, "classes images *image"]


def stack_classes(images: ImageSet, *, num_classes: int | None = None) -> ClassImages:
    """Arranges a split by class: classes by label, the images of each by who drew them where that is known.

    For Omniglot that is the sorted order of its files: alphabet, character, drawer.

    Args:
        images: A split with as many images of every class.
        num_classes: How many of its classes to take, the first ones; all if absent.

    Returns:
        Images (K, n, channels, height, width), uint8.

    Raises:
        ValueError: If classes differ in their number of images, or there are too few.
    """
    counts = torch.bincount(images.labels, minlength=images.num_classes)
    if int(counts.min()) != int(counts.max()):
        raise ValueError(
            f"Expected as many images of every class, but got {int(counts.min())} to {int(counts.max())} in "
            f"{images.name}/{images.split}."
        )
    kept = images.num_classes if num_classes is None else num_classes
    _check_count("num_classes", kept, images.num_classes, f"classes of {images.name}/{images.split}")
    drawers = images.ids.get("drawer", torch.arange(len(images)))
    by_drawer = torch.argsort(drawers, stable=True)
    order = by_drawer[torch.argsort(images.labels[by_drawer], stable=True)]
    return images.images[order].unflatten(0, (images.num_classes, -1))[:kept]


def draw_trajectories(
    images: ClassImages,
    generator: torch.Generator,
    *,
    num_trajectories: int,
    classes_per_trajectory: int = 1,
    images_per_class: int = 20,
    other_images_per_class: int = 0,
    remember_size: int = 64,
) -> HyperStream:
    """Draws trajectories, one class after another and one image a step, and what their meta-losses are measured on.

    A meta-loss is measured on the trajectory's own images (ANML) or on others of its classes (OML), followed by a
    remember set: different images drawn from all images of all classes, of which some may be the trajectory's.
    ANML has 1 class of 20 images and a remember set of 64; OML has 3 classes of 5 images, 5 other images of each and a
    remember set of 15.

    Args:
        images: Images by class, (K, n, ...), as the network takes them.
        generator: Source of all choices.
        num_trajectories: Trajectories side by side, M.
        classes_per_trajectory: Classes of a trajectory, all different.
        images_per_class: Images of each, all different and in random order.
        other_images_per_class: Other images of each for the meta-loss; 0 for the trajectory's own.
        remember_size: Images of the remember set, 0 or more.

    Returns:
        A stream of one image a step, k = classes * images per class, whose labels are the classes' places in `images`, and
        one hyper-batch for the whole trajectory.

    Raises:
        ValueError: If a class has too few images, there are too few classes or images, or a number is out of range.

    Source: Javed and White, "Meta-Learning Representations for Continual Learning", algorithm 1; Beaulieu et al.,
        "Learning to Continually Learn", algorithm 1. The sizes are those of the authors' programs.
    """
    _check_trajectory(images, classes_per_trajectory, images_per_class, other_images_per_class, remember_size)
    _check_count("num_trajectories", num_trajectories, None, "")
    steps, meta = [], []
    for _ in range(num_trajectories):
        classes = torch.randperm(len(images), generator=generator)[:classes_per_trajectory]
        picks = _draw_images(classes, images.shape[1], images_per_class + other_images_per_class, generator)
        met, others = picks[:, :images_per_class], picks[:, images_per_class:]
        remembered = torch.randperm(images.shape[0] * images.shape[1], generator=generator)[:remember_size]
        steps.append(met.flatten())
        meta.append(torch.cat([(others if other_images_per_class else met).flatten(), remembered]))
    met_kM, meta_MH = torch.stack(steps, dim=1), torch.stack(meta)
    flat = images.flatten(0, 1)
    return HyperStream(
        inputs=flat[met_kM][:, :, None],
        targets=(met_kM // images.shape[1])[:, :, None],
        hyper_inputs=flat[meta_MH][None, None],
        hyper_targets=(meta_MH // images.shape[1])[None, None],
    )


class MetaTestRuns(NamedTuple):
    """Long class-incremental lives, one a run.

    Attributes:
        classes: The classes of each run in the order in which they are met, (R, classes).
        order: The image of each step, counted over the training images of all classes: class * 15 + image, (R, T).
        places: The place of its class in `classes`, (R, T).
    """

    classes: Int64[Tensor, "runs classes"]
    order: Int64[Tensor, "runs steps"]
    places: Int64[Tensor, "runs steps"]


def draw_meta_test(
    num_available: int,
    num_classes: int,
    generator: torch.Generator,
    *,
    num_runs: int = 50,
    train_images: int = TRAIN_IMAGES,
) -> MetaTestRuns:
    """Draws the classes of every run; each is met once, image by image in sorted order, before the next one.

    Args:
        num_available: Classes of the split: 659 in Omniglot's evaluation set.
        num_classes: Classes of a run, drawn without replacement and met in the order drawn.
        generator: Source of the choices.
        num_runs: Runs, R.
        train_images: Training images of a class.

    Raises:
        ValueError: If more classes are asked for than the split has, or a number is not positive.

    Source: Beaulieu et al., "Learning to Continually Learn", section on meta-test.
    """
    _check_count("num_classes", num_classes, num_available, "classes of the split")
    _check_count("num_runs", num_runs, None, "")
    _check_count("train_images", train_images, None, "")
    classes = torch.stack([torch.randperm(num_available, generator=generator)[:num_classes] for _ in range(num_runs)])
    order = classes[:, :, None] * train_images + torch.arange(train_images)
    places = torch.arange(num_classes).repeat_interleave(train_images).repeat(num_runs, 1)
    return MetaTestRuns(classes, order.flatten(1), places)


def shuffled_runs(runs: MetaTestRuns, generator: torch.Generator) -> MetaTestRuns:
    """Puts the images of every run in random order: what joint training, the oracle, learns from."""
    num_runs, num_steps = runs.order.shape
    mixed = torch.stack([torch.randperm(num_steps, generator=generator) for _ in range(num_runs)])
    return MetaTestRuns(runs.classes, runs.order.gather(1, mixed), runs.places.gather(1, mixed))


def _draw_images(classes: Tensor, available: int, wanted: int, generator: torch.Generator) -> Tensor:
    """Draws different images of each class, counted over all classes: (classes, wanted)."""
    draws = [torch.randperm(available, generator=generator)[:wanted] for _ in classes]
    return classes[:, None] * available + torch.stack(draws)


def _check_trajectory(images: Tensor, classes_per_trajectory: int, met: int, others: int, remember_size: int) -> None:
    _check_count("classes_per_trajectory", classes_per_trajectory, len(images), "classes to draw from")
    _check_count("images_per_class", met, images.shape[1], "images of a class")
    if others < 0 or met + others > images.shape[1]:
        raise ValueError(
            f"Expected `images_per_class` and `other_images_per_class` to be at most {images.shape[1]} together, the "
            f"images of a class, and not negative, but got {met} and {others}."
        )
    if not 0 <= remember_size <= images.shape[0] * images.shape[1]:
        raise ValueError(
            f"Expected `remember_size` from 0 to {images.shape[0] * images.shape[1]}, the images of all classes, "
            f"but got {remember_size}."
        )


def _check_count(name: str, value: int, most: int | None, of_what: str) -> None:
    if value < 1:
        raise ValueError(f"Expected a positive `{name}`, but got {value}.")
    if most is not None and value > most:
        raise ValueError(f"Expected `{name}` to be at most {most}, the {of_what}, but got {value}.")
