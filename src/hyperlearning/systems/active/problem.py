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

_SMALLEST = 28


class Problem(NamedTuple):
    """What a life of questions is about.

    Attributes:
        images: All that may be asked about, from 0 to 1.
        labels_N: Their true classes, `NONE_OF_OURS` for images of other kinds.
        test_images: Of ours alone.
        test_labels: Their classes.
        num_classes: Of ours.
        validation_images: Beside the pool, of ours alone; there may be none.
        validation_labels: Their classes.
    """

    images: Float[Tensor, "N C H W"]
    labels_N: Int64[Tensor, " images"]
    test_images: Float[Tensor, "T C H W"]
    test_labels: Int64[Tensor, " tests"]
    num_classes: int
    validation_images: Float[Tensor, "V C H W"]
    validation_labels: Int64[Tensor, " validation"]

    @property
    def num_foreign(self) -> int:
        """Images that are none of ours."""
        return int((self.labels_N == NONE_OF_OURS).sum())


def draw_problem(settings: PoolSettings, seed: int) -> Problem:
    """Draws pool and tests of a data set, and mixes images of other kinds into the pool.

    Raises:
        DataError: If a data set is absent.
        ValueError: If validation leaves nothing for the pool, or the others have not as many images as they should be.
    """
    root = Path(settings.data_root) if settings.data_root else None
    ours, tests = load(settings.dataset, "train", root=root), load(settings.dataset, "test", root=root)
    source = generator(seed, "pool")
    order, tested = _some(ours, len(ours), source), _some(tests, settings.test_images, source)
    checked, kept = order[: settings.validation_images], order[settings.validation_images :][: settings.pool_images]
    if not len(kept):
        raise ValueError(
            f"Expected fewer than {len(ours):,} images of validation, but got {settings.validation_images:,}."
        )
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
        mixed = torch.randperm(len(images), generator=source)
        images, labels_N = images[mixed], labels_N[mixed]
    return Problem(
        images,
        labels_N,
        _pixels(tests, tested),
        tests.labels[tested],
        ours.num_classes,
        _pixels(ours, checked),
        ours.labels[checked],
    )


def _some(images: ImageSet, most: int, source: torch.Generator) -> Int64[Tensor, " some"]:
    return torch.randperm(len(images), generator=source)[:most]


def _pixels(images: ImageSet, places: Tensor) -> Float[Tensor, "N C H W"]:
    """Brightness from 0 to 1; small images are enlarged to what encoders take."""
    pixels = images.images[places].float() / 255
    return _sized(pixels, _SMALLEST) if pixels.shape[-1] < _SMALLEST else pixels


def _sized(images: Tensor, side: int) -> Float[Tensor, "N C side side"]:
    return interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _as_ours(foreign: Tensor, ours: Tensor) -> Float[Tensor, "N C H W"]:
    """Foreign images with as many channels and as large as ours."""
    _, channels, _, side = ours.shape
    if foreign.shape[1] != channels:
        foreign = foreign.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    return (foreign if foreign.shape[-1] == side else _sized(foreign, side)).contiguous()
