"""Rows of images, such as what was asked for first and last."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hyperlearning.reports.arrays import Array
from hyperlearning.reports.style import INK, new_figure, styled

_GAP = 2
_INCHES = 0.42
"""Of an image."""


@styled
def sheet_figure(rows: Mapping[str, ArrayLike], *, title: str = "") -> Figure:
    """Draws rows of images side by side.

    Args:
        rows: By name, (N, C, S, S) each, brightness from 0 to 255, one channel or three; rows may differ in length.
        title: Above the figure; none if empty.

    Raises:
        ValueError: If there is no image, or one has other channels.
    """
    images = {name: np.asarray(row, dtype=np.float64) / 255 for name, row in rows.items()}
    if not any(len(row) for row in images.values()):
        raise ValueError("Expected at least one image, but got none.")
    wrong = {row.shape for row in images.values() if row.ndim != 4 or row.shape[1] not in (1, 3)}
    if wrong:
        raise ValueError(f"Expected rows of images (N, 1 or 3, S, S), but got shapes {sorted(wrong)}.")
    most = max(len(row) for row in images.values())
    figure = new_figure(1.0 + _INCHES * most, 0.2 + (_INCHES + 0.06) * len(images), title=title)
    panels = figure.subplots(len(images), 1, squeeze=False)[:, 0]
    for axes, (name, row) in zip(panels, images.items(), strict=True):
        axes.imshow(_strip(row, most), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure


def _strip(row: Array, most: int) -> Array:
    """Images beside one another, white where there are fewer than in other rows."""
    _, channels, height, width = row.shape
    strip = np.ones((height, most * (width + _GAP) - _GAP, channels))
    for place, image in enumerate(row):
        left = place * (width + _GAP)
        strip[:, left : left + width] = np.moveaxis(image, 0, -1)
    return strip[..., 0] if channels == 1 else strip
