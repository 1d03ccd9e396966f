"""Images of a user's own as tensors of a run's form: floats of ink, 1, on a ground of 0.

Shape suffixes: N images, C channels, H height, W width, S side.
"""

from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from hyperlearning.core.params import on_default_device

Ground = Literal["light", "dark"]
"""What ink stands on: paper is light, a run's ground is dark."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""

_SLACK = 1e-5
"""How far beyond 0 and 1 rounding may have put a float."""

_EVEN_WITHIN, _EVEN_SHARE, _BLANK = 0.15, 0.75, 0.05
_RING_SHARE = 28
"""One in so many pixels of a side belongs to the ring that the ground is recognised by."""


def as_images(values: Any, *, side: int, channels: int = 1) -> Float32[Tensor, "N C S S"]:
    """Brings arrays of images to a run's form, or refuses them: what comes back is what was meant.

    >>> as_images(np.full((2, 28, 28), 255, np.uint8), side=28).mean(dim=(1, 2, 3))
    tensor([1., 1.])

    Args:
        values: A tensor, an array, or a list of numbers, arrays or tensors. uint8 is from 0 (ground) to 255 (ink), floats of any
            width are from 0 to 1, bool is ink or not. Of shape (H, W), (N, H, W), (N, C, H, W), (C, H, W), (N, H, W, C) or
            (H, W, C), with H = W = `side`; where two of them fit, channels are first.
        side: Height and width of an image, S.
        channels: Its channels, C.

    Returns:
        The images, a copy, on the processor; one without an axis N has one now.

    Raises:
        ValueError: If there is no image, or shape, type or range is another, or a pixel is NaN or infinite.
    """
    array = _as_array(values)
    if not array.size:
        raise ValueError(f"Expected one image or more, but got none: shape {array.shape}.")
    pixels = _with_all_axes(array, side, channels)
    return on_default_device(torch.from_numpy(np.array(_from_0_to_1(pixels), np.float32, order="C")))


def _as_array(values: Any) -> np.ndarray:
    if isinstance(values, list | tuple):
        values = _stacked(values)
    if isinstance(values, Tensor):
        if values.layout != torch.strided or values.is_nested or values.is_quantized or values.is_meta:
            raise ValueError(
                "Expected a dense tensor of images, but got one that is sparse, nested, quantized or without values."
            )
        values = values.detach()
        return (values.float() if values.dtype == torch.bfloat16 else values).cpu().numpy()
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError("Expected images without a mask, but got a masked array. Fill it: `images.filled(0)`.")
    if not isinstance(values, np.ndarray):
        raise ValueError(
            f"Expected images as a tensor, an array or a list, but got {type(values).__name__}. "
            'For a Pillow image: `numpy.asarray(image.convert("L"))`.'
        )
    return np.asarray(values)  # A matrix keeps two axes, whatever is done with it.


def _stacked(values: list[Any] | tuple[Any, ...]) -> np.ndarray:
    plain = [_as_array(value) if isinstance(value, Tensor | np.ndarray) else value for value in values]
    if any(not isinstance(value, np.ndarray | list | tuple | float | int | np.number) for value in plain):
        kinds = sorted({type(value).__name__ for value in plain})
        raise ValueError(f"Expected a list of images as tensors, arrays or lists, but got one of {', '.join(kinds)}.")
    shapes = {np.shape(value) for value in plain if isinstance(value, np.ndarray)}
    types = {value.dtype.name for value in plain if isinstance(value, np.ndarray)}
    if len(shapes) > 1 or len(types) > 1:
        raise ValueError(
            f"Expected images of one shape and type in a list, but got {_listed(shapes)} of {_listed(types)}."
        )
    try:
        return np.asarray(plain)
    except (ValueError, TypeError) as error:
        raise ValueError(f"Expected a list of images of one shape, but got one that is no array ({error}).") from error


def _listed(values: set[Any]) -> str:
    return " and ".join(sorted(map(str, values)))


def _with_all_axes(array: np.ndarray, side: int, channels: int) -> np.ndarray:
    """The images as (N, C, S, S)."""
    shape, whole = array.shape, (channels, side, side)
    if shape[-3:] == whole and array.ndim in (3, 4):
        return array.reshape(-1, *whole) if array.ndim == 3 else array
    if shape[-3:] == (side, side, channels) and array.ndim in (3, 4):
        return np.moveaxis(array if array.ndim == 4 else array[None], -1, 1)
    if channels == 1 and shape[-2:] == (side, side) and array.ndim in (2, 3):
        return array.reshape(-1, 1, side, side) if array.ndim == 2 else array[:, None]
    raise ValueError(f"Expected images of {_forms(side, channels)}, but got {shape}.{_remedy(shape, side, channels)}")


def _forms(side: int, channels: int) -> str:
    forms = f"shape (N, {channels}, {side}, {side}) or (N, {side}, {side}, {channels})"
    return f"shape (N, {side}, {side}), {forms.removeprefix('shape ')}" if channels == 1 else forms


def _remedy(shape: tuple[int, ...], side: int, channels: int) -> str:
    if channels == 1 and len(shape) >= 3 and {shape[-1], shape[-3]} & {3, 4} and side in shape:
        return " This run sees no colour: make the images grey."
    return " Pictures of any size are brought to it by `hyperlearning.read_image_folder`." if len(shape) >= 2 else ""


def _from_0_to_1(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.bool_:
        return pixels
    if pixels.dtype == np.uint8:
        if pixels.max() == 1:
            raise ValueError(
                "Expected uint8 images from 0 to 255, but got nothing above 1. If they are ink or not: `images.astype(bool)`."
            )
        return pixels / np.float32(255)
    if pixels.dtype.kind != "f":
        raise ValueError(
            f"Expected images of uint8 from 0 to 255 or floats from 0 to 1, but got {pixels.dtype}. If they are from 0 to 255: "
            "`images.astype(numpy.uint8)`; if from 0 to 65535: `images / 65535`."
        )
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("Expected finite images, but got a NaN or an infinity.")
    if low < -_SLACK or high > 1 + _SLACK:
        remedy = " Divide them by 255." if low >= 0 and 1.5 < high <= 255 else ""
        raise ValueError(
            f"Expected floats from 0 (ground) to 1 (ink), but got {low:g} to {high:g}.{remedy or ' Scale them first.'}"
        )
    return pixels.clip(0, 1)


def ground_of(image: Float[Tensor, "C H W"]) -> Ground | None:
    """Recognises what ink stands on by a ring along the edge; none if it is uneven, as in a photograph, or nothing is drawn.

    Args:
        image: From 0 (black) to 1 (white).
    """
    grey = image.mean(0)
    ring = _ring(grey)
    level = ring.median()
    even = ((ring - level).abs() <= _EVEN_WITHIN).float().mean() >= _EVEN_SHARE
    if not even or 0.4 <= level <= 0.6 or is_blank(image):
        return None
    return "light" if level > 0.5 else "dark"


def is_blank(image: Float[Tensor, "C H W"]) -> bool:
    """Says whether nothing is drawn: hardly a difference between pixels."""
    grey = image.mean(0)
    return bool(grey.max() - grey.min() < _BLANK)


def ground_level(image: Float[Tensor, "C H W"]) -> float:
    """How bright the ground is: the median along the edge."""
    return float(_ring(image.mean(0)).median())


def _ring(grey: Float[Tensor, "H W"]) -> Float[Tensor, " ring"]:
    height, width = grey.shape
    thick = max(1, min(height, width) // _RING_SHARE)
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[thick : height - thick, thick : width - thick] = True
    return grey[~inside]
