"""Images and what an autoencoder makes of them: panels of moments in a life, and a life as a moving picture."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from hyperlearning.reports.arrays import Array, as_array
from hyperlearning.reports.style import ACCENT, INK, MUTED, new_figure, styled

_GAP = 2
_ZOOM = 2
_LAST_FRAME_SECONDS = 3.0
_LINE = 18
"""Pixels of a line of an animation's text."""


@styled
def reconstruction_figure(
    originals: ArrayLike, moments: Mapping[str, ArrayLike], *, row_names: Sequence[str], title: str = ""
) -> Figure:
    """Draws images in a column for each class, and below them what was made of them at several moments, a panel each.

    Args:
        originals: (T, R, S, S), brightness from 0 to 1: of each class R images, each a pair of rows.
        moments: By name, reconstructions of the originals' shape.
        row_names: Of each of the R images, what they are.
        title: Above the figure; none if empty.

    Raises:
        ValueError: If there is no moment, or shapes do not fit together.
    """
    images = _as_images(originals, row_names)
    if not moments:
        raise ValueError("Expected at least one moment, but got none.")
    made = {name: as_array(values, images.shape, name=name) for name, values in moments.items()}
    num_classes, num_rows = images.shape[:2]
    figure = new_figure(1.3 + 0.6 * num_classes, len(made) * (0.42 + 1.05 * num_rows), title=title)
    panels = figure.subplots(len(made), 1, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, made.items(), strict=True):
        _draw_panel(axes, images, values, row_names)
        axes.set_title(name, color=INK)
    return figure


def _draw_panel(axes: Axes, originals: Array, made: Array, row_names: Sequence[str]) -> None:
    side = originals.shape[-1]
    rows = [part[:, row] for row in range(len(row_names)) for part in (originals, made)]
    axes.imshow(tile(rows), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    names = [name for row in row_names for name in (row, "reconstructed")]
    axes.set_yticks([(side + _GAP) * index + side / 2 for index in range(len(rows))], names)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def tile(rows: Sequence[Array]) -> Array:
    """Sets rows of images (N, S, S) side by side and one above another, with white gaps: one picture."""
    side, count = rows[0].shape[-1], len(rows[0])
    step = side + _GAP
    sheet = np.ones((step * len(rows) - _GAP, step * count - _GAP))
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            sheet[row * step : row * step + side, column * step : column * step + side] = image
    return sheet


def reconstruction_animation(
    originals: ArrayLike,
    frames: Sequence[tuple[str, int, ArrayLike]],
    *,
    row_names: Sequence[str],
    frame_seconds: float | int = 0.2,
) -> bytes:
    """Draws a life as a moving picture: images stand still, and what is made of them changes with every update.

    Args:
        originals: (T, R, S, S), brightness from 0 to 1.
        frames: In order, each `(caption, task, reconstructions)`: the class at hand, from 0, or -1 for none; reconstructions of
            the originals' shape.
        row_names: Of each of the R images, what they are.
        frame_seconds: How long a frame stands; the last one stands longer.

    Returns:
        A GIF file's content, repeating.

    Raises:
        ValueError: If there is no frame or shapes do not fit together.
    """
    images = _as_images(originals, row_names)
    if not frames:
        raise ValueError("Expected at least one frame, but got none.")
    pictures = [
        _frame(images, as_array(made, images.shape, name="reconstructions"), caption, task, row_names)
        for caption, task, made in frames
    ]
    buffer = io.BytesIO()
    durations = [round(1000 * frame_seconds)] * (len(pictures) - 1) + [round(1000 * _LAST_FRAME_SECONDS)]
    pictures[0].save(buffer, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return buffer.getvalue()


def _frame(originals: Array, made: Array, caption: str, task: int, row_names: Sequence[str]) -> Image.Image:
    font = ImageFont.load_default(size=13)
    step = (originals.shape[-1] + _GAP) * _ZOOM
    strips = [(name, tile([originals[:, row], made[:, row]])) for row, name in enumerate(row_names)]
    width = strips[0][1].shape[1] * _ZOOM + 2 * _GAP
    height = _LINE + sum(_LINE + strip.shape[0] * _ZOOM + 2 * _GAP for _, strip in strips)
    frame = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(frame)
    draw.text((_GAP, 0), caption, fill=INK, font=font)
    top = _LINE
    for name, strip in strips:
        draw.text((_GAP, top), f"{name}, and reconstructed", fill=MUTED, font=font)
        top += _LINE
        levels = Image.fromarray((255 * strip.clip(0, 1)).round().astype(np.uint8))
        frame.paste(
            levels.resize((strip.shape[1] * _ZOOM, strip.shape[0] * _ZOOM), Image.Resampling.NEAREST), (_GAP, top)
        )
        if task >= 0:
            box = (task * step, top - _GAP, task * step + step - 1, top + strip.shape[0] * _ZOOM + _GAP - 1)
            draw.rectangle(box, outline=ACCENT, width=2)
        top += strip.shape[0] * _ZOOM + 2 * _GAP
    return frame.quantize(32, dither=Image.Dither.NONE)


def _as_images(originals: ArrayLike, row_names: Sequence[str]) -> Array:
    images = as_array(originals, (None, None, None, None), name="originals")
    _, num_rows, height, width = images.shape
    if height != width:
        raise ValueError(f"Expected `originals` to be square images, but got {height} x {width} pixels.")
    if len(row_names) != num_rows:
        raise ValueError(f"Expected {num_rows} `row_names`, but got {len(row_names)}.")
    return images
