"""One picture file of a user's own, of any form, size and colour, as floats from 0 (black) to 1 (white).

Shape suffixes: C channels, H height, W width; h, w of a picture whose longer side is the side wanted.
"""

import stat
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from hyperlearning.data.errors import DataError, reading
from hyperlearning.data.user_images import LUMA, Ground, ground_level, ground_of, is_blank

_MAX_PIXELS = 100_000_000
_ENOUGH = 16
"""Times the side that a picture is reduced to by whole factors before it is resized: photographs take a tenth of the time."""

_TWELVE_BITS = 4095
"""Cameras and microscopes put 8 or 12 bits into 16: all of it would be nearly black, and a light ground taken for a dark one."""

_SEE_THROUGH = ("LA", "La", "PA", "RGBA", "RGBa")
"""Pillow's modes with an opacity."""


class Picture(NamedTuple):
    """A picture as it was read, shrunk to the side, but of its own shape and on its own ground.

    Attributes:
        name: How it is called in sentences.
        small: (C, h, w), from 0 (black) to 1 (white).
        level: How bright its ground is.
        ground: What its ink stands on, where that is clear.
        size: Width and height that it had.
        facts: What was done or found.
    """

    name: str
    small: Tensor
    level: float
    ground: Ground | None
    size: tuple[int, int]
    facts: tuple[str, ...]


def read_picture(path: Path, name: str, *, side: int, channels: int) -> Picture:
    """Reads a picture, turns it as its EXIF says, and shrinks or enlarges it to the side, its own shape kept.

    Args:
        path: Its file.
        name: How it is called in sentences.
        side: What its longer side shall be.
        channels: 1, grey by its luma, or 3.

    Raises:
        DataError: If it cannot be read; the cause has the reason.
    """
    facts: list[str] = []
    with warnings.catch_warnings(), reading(path, "a picture"):
        warnings.simplefilter("ignore")  # Of Pillow's, about metadata and sizes.
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError("it is neither a file nor a folder")
        with Image.open(path) as opened:
            if opened.format == "EPS":
                raise DataError("EPS is a program, and is not run")
            if opened.width * opened.height > _MAX_PIXELS:
                raise DataError(f"it has {opened.width} x {opened.height} pixels, over {_MAX_PIXELS:,}")
            if getattr(opened, "n_frames", 1) > 1:
                facts.append("frames")
            facts += ["turned"] if opened.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9) else []
            turned = ImageOps.exif_transpose(opened)
        pixels, whole_facts = _pixels(turned, side, channels)
    ground = ground_of(pixels)
    facts += ["blank"] if is_blank(pixels) else []
    facts += [*whole_facts, *(["oblong"] if turned.width != turned.height else [])]
    return Picture(name, _shrunk(pixels, side), ground_level(pixels), ground, turned.size, tuple(facts))


def _pixels(picture: Image.Image, side: int, channels: int) -> tuple[Float[Tensor, "C H W"], list[str]]:
    """A picture as floats from 0 (black) to 1 (white), and what had to be done."""
    if picture.mode.startswith(("I", "F")):
        values = _deep(np.asarray(picture))
        return torch.from_numpy(values).expand(channels, -1, -1), []
    facts, factor = [], max(picture.size) // (_ENOUGH * side)
    transparent = picture.mode in _SEE_THROUGH or "transparency" in picture.info
    form = "RGBA" if transparent else "L" if picture.mode in ("1", "L") else "RGB"
    plain = picture.convert(form)
    array = np.array(plain if factor < 2 else plain.reduce(factor), np.float32, ndmin=3) / 255
    values = torch.from_numpy(array if form == "L" else np.moveaxis(array, 2, 0))
    if transparent:
        facts += ["transparent"] if values[3].min() < 1 else []
        values = _opaque(values[:3], values[3])
    if len(values) == 3 and (values.amax(0) - values.amin(0)).max() > 0.02:
        facts.append("colour")
    if channels == 1 and len(values) == 3:
        values = torch.einsum("chw,c->hw", values, values.new_tensor(LUMA))[None]
    return values.expand(channels, -1, -1), facts


def _deep(array: np.ndarray) -> np.ndarray:
    """A picture of more than 8 bits as floats from 0 to 1."""
    low, high = float(array.min()), float(array.max())
    top = 65535.0 if array.dtype.kind in "iu" else 1.0
    if not 0 <= low <= high <= top or (top > 1 and 0 < high <= _TWELVE_BITS):  # Nor if it holds a NaN.
        raise DataError(f"its values are from {low:g} to {high:g}: a picture of this kind has 0 to {top:g}; scale them")
    return np.asarray(array / top, np.float32)


def _opaque(colours: Float[Tensor, "3 H W"], alpha: Float[Tensor, "H W"]) -> Float[Tensor, "3 H W"]:
    """What is visible, on the ground that it stands out from: on white if it is dark."""
    weight = alpha.sum()
    brightness = float((colours.mean(0) * alpha).sum() / weight) if weight > 0 else 1.0
    return colours * alpha + (1 - alpha) * (1.0 if brightness < 0.5 else 0.0)


def _shrunk(pixels: Float[Tensor, "C H W"], side: int) -> Float[Tensor, "C h w"]:
    """A picture whose longer side is the side, in its own shape."""
    longest = max(pixels.shape[1:])
    if longest == side:
        return pixels.contiguous()
    size = [max(1, round(length * side / longest)) for length in pixels.shape[1:]]
    resized = F.interpolate(pixels[None], size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized[0].clamp(0, 1)
