"""A pool of images of which labels can be asked for, and how what is trained on them is tested."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import interpolate

from hyperlearning.acquisition.oracles import NONE_OF_OURS
from hyperlearning.core.seeding import generator
from hyperlearning.data.images import ImageSet, load
from hyperlearning.systems.active.settings import PoolSettings


class Problem(NamedTuple):
    """What a life of questions is about.

    Attributes:
        images: All that may be asked about, from 0 to 1.
        labels_N: Their true classes, `NONE_OF_OURS` for images of other kinds.
        test_images: Of ours alone.
        test_labels: Their classes.
        num_classes: Of ours.
    """

    images: Float[Tensor, "N C H W"]
    labels_N: Int64[Tensor, " images"]
    test_images: Float[Tensor, "T C H W"]
    test_labels: Int64[Tensor, " tests"]
    num_classes: int

    @property
    def num_foreign(self) -> int:
        """Images that are none of ours."""
        return int((self.labels_N == NONE_OF_OURS).sum())


def draw_problem(settings: PoolSettings, seed: int) -> Problem:
    """Draws pool and tests of a data set, and mixes images of other kinds into the pool.

    Raises:
        DataError: If a data set is absent.
        ValueError: If the others have not as many images as they should be.
    """
    root = Path(settings.data_root) if settings.data_root else None
    ours, tests = load(settings.dataset, "train", root=root), load(settings.dataset, "test", root=root)
    source = generator(seed, "pool")
    kept, tested = _some(ours, settings.pool_images, source), _some(tests, settings.test_images, source)
    images, labels_N = _pixels(ours, kept), ours.labels[kept]
    if settings.foreign != "none":
        num = round(settings.foreign_share / (1 - settings.foreign_share) * len(kept))
        others = load(settings.foreign, settings.foreign_split, root=root)
        if num > len(others):
            most = len(others) / (len(others) + len(kept))
            raise ValueError(
                f"Expected at most {most:.2f} of the pool to be of {settings.foreign}, which has {len(others):,} images, but got "
                f"{settings.foreign_share}."
            )
        foreign = _as_ours(_pixels(others, _some(others, num, source)), images)
        images = torch.cat([images, foreign])
        labels_N = torch.cat([labels_N, labels_N.new_full((num,), NONE_OF_OURS)])
        order = torch.randperm(len(images), generator=source)
        images, labels_N = images[order], labels_N[order]
    return Problem(images, labels_N, _pixels(tests, tested), tests.labels[tested], ours.num_classes)


def _some(images: ImageSet, most: int, source: torch.Generator) -> Int64[Tensor, " some"]:
    return torch.randperm(len(images), generator=source)[:most]


def _pixels(images: ImageSet, places: Tensor) -> Float[Tensor, "N C H W"]:
    return images.images[places].float() / 255


def _as_ours(foreign: Tensor, ours: Tensor) -> Float[Tensor, "N C H W"]:
    """Foreign images with as many channels and as large as ours."""
    _, channels, *side = ours.shape
    if foreign.shape[1] != channels:
        foreign = foreign.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    if list(foreign.shape[2:]) != side:
        foreign = interpolate(foreign, size=side, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
    return foreign.contiguous()
