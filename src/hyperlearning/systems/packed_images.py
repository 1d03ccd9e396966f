"""A few images in a line of a record: 8 bits a pixel, compressed, as text."""

import base64
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PackedImages:
    """Pixels of images.

    Attributes:
        shape: Of all of them together.
        zlib: Their levels from 0 to 255, compressed, in base 64.
    """

    shape: list[int]
    zlib: str


def pack_images(images: Float[Tensor, "*shape"]) -> PackedImages:
    """Packs pixels from 0 to 1."""
    levels = (images.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    packed = zlib.compress(levels.tobytes(), 9)
    return PackedImages(shape=list(levels.shape), zlib=base64.b64encode(packed).decode("ascii"))


def unpack_images(packed: PackedImages) -> UInt8[np.ndarray, "*shape"]:
    """Reads what `pack_images` packed, levels from 0 to 255."""
    levels = zlib.decompress(base64.b64decode(packed.zlib))
    return np.frombuffer(levels, np.uint8).reshape(packed.shape)
