"""Images sorted by class on one device: what class-incremental lives are drawn from.

Shape suffixes: N images, C channels, S side, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Int64, UInt8
from torch import Tensor

from hyperlearning.data.images import ImageSet
from hyperlearning.data.user_images import LUMA

_CHUNK = 2048
"""Images resized at a time, so that their floats stay few."""


@dataclass(frozen=True, kw_only=True)
class ImagePool:
    """Classes of images, class k's being `images[first[k] : first[k] + counts[k]]`.

    Attributes:
        images: (N, C, S, S), uint8, sorted by class.
        first: (K,), where each class begins.
        counts: (K,), images of each class, at least 1.
        source: (K,), each class's data set as an index into `source_names`.
        source_names: `name/split` of the data sets that the classes come from.
    """

    images: UInt8[Tensor, "N C S S"]
    first: Int64[Tensor, " K"]
    counts: Int64[Tensor, " K"]
    source: Int64[Tensor, " K"]
    source_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """Classes, K."""
        return len(self.counts)

    @property
    def device(self) -> torch.device:
        """Where the images are, and the lives drawn from them."""
        return self.images.device


def image_pool(
    sets: Sequence[ImageSet],
    *,
    side: int | None = None,
    channels: int | None = None,
    device: torch.device | str = "cpu",
) -> ImagePool:
    """Makes one pool of the classes of several data sets, in their order: set by set, label by label.

    Black and white stay as the data set has them. In the catalogue's grey sets (Omniglot, MNIST, KMNIST, Fashion-MNIST, digits)
    what is drawn or worn is bright, 255, and the ground 0.

    >>> from hyperlearning.data.images import load
    >>> pool = image_pool([load("digits", "train"), load("digits", "test")], side=16)
    >>> pool.num_classes, tuple(pool.images.shape), pool.source_names
    (20, (1797, 1, 16, 16), ('digits/train', 'digits/test'))

    Args:
        sets: Data sets with square images. The same class in two of them becomes two classes.
        side: Height and width of the pool's images; others are resized (bilinear, antialiased). As the sets have it if absent.
        channels: 1 (colour becomes grey by its luma) or 3 (grey is repeated). As the sets have it if absent.
        device: Where to keep the images.

    Raises:
        ValueError: If there is no set, a set is empty or its labels do not run from 0 with an image each, or sizes or
            channels are mixed and nothing says what to make of them.
    """
    _check_sets(sets)
    side = _common("side", side, [image_set.images.shape[-1] for image_set in sets], sets)
    channels = _common("channels", channels, [image_set.images.shape[1] for image_set in sets], sets)
    if side < 1 or channels not in (1, 3):
        raise ValueError(f"Expected a positive `side` and 1 or 3 `channels`, but got {side} and {channels}.")
    counts = [torch.bincount(image_set.labels, minlength=image_set.num_classes) for image_set in sets]
    return _pool(
        torch.cat([_converted(_by_class(image_set), side, channels).to(device) for image_set in sets]),
        torch.cat(counts).to(device),
        torch.arange(len(sets)).repeat_interleave(torch.tensor([len(count) for count in counts])).to(device),
        tuple(f"{image_set.name}/{image_set.split}" for image_set in sets),
    )


def with_rotated_classes(pool: ImagePool) -> ImagePool:
    """Adds each class rotated by 90, 180 and 270 degrees as a class of its own; class k by r quarter turns is `r * K + k`.

    Split classes before, not after: else one part holds rotations of what the other holds.

    Source: Vinyals et al., "Matching Networks for One Shot Learning" (Omniglot's protocol), as in the DAN authors' script.
    """
    turned = torch.cat([pool.images.rot90(turns, (-2, -1)) for turns in range(4)])
    return _pool(turned, pool.counts.repeat(4), pool.source.repeat(4), pool.source_names)


def subset(pool: ImagePool, classes: Int64[Tensor, " chosen"]) -> ImagePool:
    """Makes a pool of some classes, in the order given.

    Args:
        pool: Where they come from.
        classes: Distinct class indices, at least one.

    Raises:
        ValueError: If there are none, or one is not in the pool or there twice.
    """
    classes = classes.to(pool.device)
    check_class_ids(pool, classes)
    counts = pool.counts[classes]
    begin = counts.cumsum(0) - counts
    index = torch.arange(int(counts.sum()), device=pool.device) + (pool.first[classes] - begin).repeat_interleave(
        counts
    )
    return _pool(pool.images[index], counts, pool.source[classes], pool.source_names)


def check_class_ids(pool: ImagePool, classes: Int64[Tensor, " chosen"]) -> None:
    """Raises a ValueError unless these are distinct classes of the pool, and at least one."""
    ids = classes.tolist()
    if not ids or len(set(ids)) < len(ids) or min(ids) < 0 or max(ids) >= pool.num_classes:
        raise ValueError(f"Expected distinct classes from 0 to {pool.num_classes - 1}, but got {ids}.")


def _pool(images: Tensor, counts: Tensor, source: Tensor, source_names: tuple[str, ...]) -> ImagePool:
    first = counts.cumsum(0) - counts
    return ImagePool(images=images, first=first, counts=counts, source=source, source_names=source_names)


def _check_sets(sets: Sequence[ImageSet]) -> None:
    if not sets:
        raise ValueError("Expected at least one data set, but got none.")
    for image_set in sets:
        where = f"{image_set.name}/{image_set.split}"
        height, width = image_set.images.shape[-2:]
        if not len(image_set):
            raise ValueError(f"Expected images in {where}, but got none.")
        if height != width:
            raise ValueError(f"Expected square images in {where}, but got {height} x {width}.")
        if len(image_set.labels) != len(image_set):
            raise ValueError(f"Expected {len(image_set)} labels in {where}, but got {len(image_set.labels)}.")
        present, wanted = image_set.labels.unique(), range(image_set.num_classes)
        if int(present[0]) < 0 or int(present[-1]) >= image_set.num_classes:
            raise ValueError(
                f"Expected labels from 0 to {image_set.num_classes - 1} in {where}, "
                f"but got {int(present[0])} to {int(present[-1])}."
            )
        if missing := sorted(set(wanted) - set(present.tolist())):
            raise ValueError(f"Expected an image of every class in {where}, but got none of {missing}.")


def _common(what: str, wanted: int | None, found: list[int], sets: Sequence[ImageSet]) -> int:
    if wanted is not None:
        return wanted
    if len(set(found)) > 1:
        each = ", ".join(f"{image_set.name}: {number}" for image_set, number in zip(sets, found, strict=True))
        raise ValueError(f"Expected `{what}` to be given for data sets that differ in it, but got none ({each}).")
    return found[0]


def _by_class(image_set: ImageSet) -> Tensor:
    return image_set.images[image_set.labels.argsort(stable=True)]


def _converted(images: Tensor, side: int, channels: int) -> Tensor:
    if images.shape[-1] != side or images.shape[1] > channels:
        images = torch.cat([_resized(chunk, side, channels) for chunk in images.split(_CHUNK)])
    return images.expand(-1, channels, -1, -1).contiguous()


def _resized(images: Tensor, side: int, channels: int) -> Tensor:
    values = images.float()
    if values.shape[1] > channels:
        values = torch.einsum("nchw,c->nhw", values, values.new_tensor(LUMA)).unsqueeze(1)
    if values.shape[-1] != side:
        values = F.interpolate(values, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return values.round().clamp(0, 255).to(torch.uint8)
