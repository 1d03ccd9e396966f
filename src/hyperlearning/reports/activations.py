"""Learned activation functions beside known ones."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from hyperlearning.reports.arrays import as_array, as_grid
from hyperlearning.reports.style import (
    DERIVATIVE,
    FAINT,
    FULL_WIDTH,
    LEARNED,
    even_columns,
    new_figure,
    styled,
    wrapped,
)

_FUNCTION: Mapping[str, Any] = MappingProxyType({"color": LEARNED, "linewidth": 2.2})
_DERIVATIVE: Mapping[str, Any] = MappingProxyType({"color": DERIVATIVE, "linewidth": 1.4, "linestyle": (0, (5, 2))})


@styled
def activation_figure(x: ArrayLike, functions: Mapping[str, tuple[ArrayLike, ArrayLike]], *, title: str = "") -> Figure:
    """Draws activation functions and their derivatives as small multiples (the dissertation's figure 6.12).

    Args:
        x: (P,), increasing.
        functions: Values (P,) and derivatives (P,), by name, in the order to draw them.
        title: Above the figure; none if empty.

    Raises:
        ValueError: If there is no function or shapes differ.
    """
    if not functions:
        raise ValueError("Expected at least one function, but got none.")
    points = as_grid(x, name="x")
    columns = even_columns(len(functions))
    rows = math.ceil(len(functions) / columns)
    figure = new_figure(min(FULL_WIDTH, 1 + 2.6 * columns), 2.4 * rows + 0.4, title=title)
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel())
    for unused in panels[len(functions) :]:
        unused.remove()
    for axes, (name, (values, derivatives)) in zip(panels, functions.items(), strict=False):
        axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
        axes.axvline(0, color=FAINT, linewidth=0.8, zorder=0)
        axes.plot(points, as_array(values, points.shape, name=f"values of {name}"), **_FUNCTION)
        axes.plot(points, as_array(derivatives, points.shape, name=f"derivatives of {name}"), **_DERIVATIVE)
        axes.set_title(wrapped(name, 24))
        axes.set_xlim(points[0], points[-1])
    keys = [Line2D([], [], **_FUNCTION), Line2D([], [], **_DERIVATIVE)]
    figure.legend(keys, ["function", "derivative"], loc="outside lower center", ncols=2)
    return figure
