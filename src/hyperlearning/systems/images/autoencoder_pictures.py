"""What one life of an autoencoder reconstructs, kept for a record."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.autoencoder import BornAutoencoder
from hyperlearning.systems.images.reconstruction import watch
from hyperlearning.systems.packed_images import PackedImages, pack_images

_FRAMES_PER_TASK = 3


@dataclass(frozen=True, kw_only=True)
class PicturesLine:
    """What one life reconstructs, all along.

    Attributes:
        side: Of the images.
        steps_per_task: Updates on each class.
        moments: The papers' three: updates made by then.
        looks: Updates made at every look, 0 for birth.
        originals: (T, 2, pixels), of each class an image learned and one that never is.
        reconstructions: (looks, T, 2, pixels).
    """

    kind: ClassVar[str] = "pictures"

    side: int
    steps_per_task: int
    moments: list[int]
    looks: list[int]
    originals: PackedImages
    reconstructions: PackedImages


def pictures_line(born: BornAutoencoder, lives: ClassLives, *, steps_per_task: int) -> PicturesLine:
    """Keeps what the first of these lives reconstructs: at the three moments of the papers' figure, and all along."""
    steps, num_tasks = steps_per_task, lives.labels.shape[1]
    moments = [1, (num_tasks + 1) // 2 * steps, num_tasks * steps]
    every = max(1, steps // _FRAMES_PER_TASK)
    looks = sorted({0, *moments, *range(every, num_tasks * steps + 1, every)})
    # Of each class one image learned, and one that never is.
    shown = [0, lives.learned.shape[2]]
    watched = watch(born.learner, born.start, born.innate, lives, steps_per_task=steps, looks=looks)
    seen = {num_updates: images[:, shown] for num_updates, images in watched}
    originals = torch.stack([lives.learned[0, :, 0], lives.held_out[0, :, 0]], dim=1).flatten(2)
    return PicturesLine(
        side=lives.learned.shape[-1],
        steps_per_task=steps,
        moments=moments,
        looks=looks,
        originals=pack_images(originals),
        reconstructions=pack_images(torch.stack([seen[look] for look in looks])),
    )
