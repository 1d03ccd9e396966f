"""A picture of two or more systems on the same lives: a dot a life."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyperlearning.reports.arrays import Array, as_array
from hyperlearning.reports.style import ACCENT, MUTED, even_columns, new_figure, plain_log_ticks, styled, wrapped

_DECADES = 30.0
"""Ratio of the largest to the smallest score from which on axes are logarithmic, where all of a panel are positive."""


@styled
def paired_lives_figure(
    reference: Sequence[float],
    others: Mapping[str, Sequence[float]],
    *,
    reference_name: str,
    measure: str,
    lower_is_better: bool,
) -> Figure:
    """Draws every life as a dot: the reference's score to the right, another's upwards, a panel for each other.

    Args:
        reference: (L,), one score a life.
        others: (L,) each, by name.
        reference_name: What the reference is called.
        measure: What scores are.
        lower_is_better: Whether dots below the line of equal scores, and not above, speak for the other.

    Raises:
        ValueError: If there is no other, or their lengths differ.
    """
    if not others:
        raise ValueError("Expected at least one system beside the reference, but got none.")
    x = as_array(reference, (None,), name=reference_name)
    ys = {name: as_array(values, x.shape, name=name) for name, values in others.items()}
    columns = even_columns(len(ys))
    rows = -(-len(ys) // columns)
    figure = new_figure(min(10.0, 3.4 * columns), 3.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, y) in zip(panels, ys.items(), strict=False):
        _draw(axes, x, y)
        won = float(np.mean(y < x if lower_is_better else y > x))
        axes.set(xlabel=wrapped(f"{measure}, {reference_name}", 36), ylabel=wrapped(name, 30))
        axes.set_title(f"better on {100 * won:.0f} % of lives")
    for axes in panels[len(ys) :]:
        axes.set_visible(False)
    return figure


def _draw(axes: Axes, x: Array, y: Array) -> None:
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    log = low > 0 and high / low > _DECADES
    if log:
        low, high = low / 1.3, high * 1.3
    else:
        margin = 0.05 * max(high - low, 1e-12)
        low, high = low - margin, high + margin
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.9, zorder=1)
    axes.plot(x, y, linestyle="none", marker="o", markersize=3.2, color=ACCENT, alpha=0.5, zorder=2)
    axes.set(xlim=(low, high), ylim=(low, high))
    if log:
        plain_log_ticks(axes, "x")
        plain_log_ticks(axes, "y")
    axes.set_aspect("equal")
