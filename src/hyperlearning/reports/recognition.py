"""What a life recognises: the classes in the order in which they were met, and what other images of them are taken for."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from hyperlearning.reports.arrays import Array, as_array
from hyperlearning.reports.style import FAINT, INK, MUTED, WARM, new_figure, styled

_CELL = 0.5
"""Inches of an image and what is around it."""
_MARGIN = 0.09
"""Share of a cell around an image."""
_GAP = 1.1
"""Cells between the images learned and the others."""
_HEADS = (4, 3)
"""Cells that the heads of both take at least."""


@styled
def recognition_figure(
    learned: ArrayLike, held_out: ArrayLike, taken_for: ArrayLike, *, names: Sequence[str], title: str = ""
) -> Figure:
    """Draws a row for each class, in the order of a life: the images learned, then others of the class.

    An image that is recognised stands as it is; one that is not is framed, and the name of the class that it was taken for
    stands in its corner ("?" for a label that the life never met). Where pixels are NaN there is no image: classes may have
    fewer than others.

    Args:
        learned: (T, i, S, S), ink from 0 to 1.
        held_out: (T, n, S, S).
        taken_for: (T, n), places of classes in the life, from 0; -1 for none of them.
        names: Of the classes, short.
        title: Above the figure; none if empty.

    Raises:
        ValueError: If there are not as many names as classes, or shapes do not fit together.
    """
    met = as_array(learned, (None, None, None, None), name="learned")
    num_tasks, num_learned, side, _ = met.shape
    if len(names) != num_tasks:
        raise ValueError(f"Expected {num_tasks} `names`, but got {len(names)}.")
    shown = as_array(held_out, (num_tasks, None, side, side), name="held_out")
    places = as_array(taken_for, (num_tasks, shown.shape[1]), name="taken_for")
    first = max(num_learned, _HEADS[0]) + _GAP
    end, width = first + shown.shape[1], first + max(shown.shape[1], _HEADS[1])
    figure = new_figure(_CELL * (width + 3.2), _CELL * (num_tasks + 1), title=title)
    axes = _sheet(figure, width, num_tasks)
    _head(axes, 0, "learned, class after class")
    _head(axes, first, "other images of these classes")
    for task in range(num_tasks):
        axes.text(-0.3, task + 0.5, names[task], color=INK, ha="right", va="center", fontweight="bold")
        for place, image in enumerate(met[task]):
            if not np.isnan(image).any():
                _draw(axes, image, place, task)
        present = [place for place, image in enumerate(shown[task]) if not np.isnan(image).any()]
        for place in present:
            _draw(axes, shown[task, place], first + place, task)
            if places[task, place] != task:
                chosen = int(places[task, place])
                _mark(axes, first + place, task, names[chosen] if chosen >= 0 else "?")
        right = int((places[task, present] == task).sum())
        of_all = f"{right} of {len(present)}" if present else "none held out"
        axes.text(end + 0.25, task + 0.5, of_all, color=MUTED, va="center")
    return figure


def _sheet(figure: Figure, width: float | int, num_tasks: int) -> Axes:
    """Axes in units of cells, from the top left."""
    axes = figure.subplots()
    axes.set_xlim(-1, width + 2.2)
    axes.set_ylim(num_tasks, -0.9)
    axes.set_aspect("equal")
    axes.axis("off")
    return axes


def _head(axes: Axes, column: float | int, text: str) -> None:
    axes.text(column + _MARGIN, -0.2, text, color=INK, fontweight="bold")


def _draw(axes: Axes, image: Array, column: float | int, row: float | int) -> None:
    """Dark ink on paper, with a thin frame: most of these images have no edge of their own."""
    box = (column + _MARGIN, column + 1 - _MARGIN, row + 1 - _MARGIN, row + _MARGIN)
    axes.imshow(1 - np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, extent=box, interpolation="antialiased")
    _frame(axes, column, row, FAINT, 0.8)


def _mark(axes: Axes, column: float | int, row: float | int, taken_for: str) -> None:
    _frame(axes, column, row, WARM, 2.2)
    axes.text(
        column + 1 - 1.2 * _MARGIN,
        row + 1 - 1.2 * _MARGIN,
        taken_for,
        color="white",
        fontsize=8.5,
        fontweight="bold",
        ha="right",
        va="bottom",
        bbox={"boxstyle": "square,pad=0.16", "facecolor": WARM, "edgecolor": "none"},
    )


def _frame(axes: Axes, column: float | int, row: float | int, colour: str, width: float | int) -> None:
    size = 1 - 2 * _MARGIN
    axes.add_patch(
        Rectangle(
            (column + _MARGIN, row + _MARGIN), size, size, fill=False, edgecolor=colour, linewidth=width, zorder=3
        )
    )
