"""The error matrix as a picture."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hyperlearning.reports.arrays import Array, as_array
from hyperlearning.reports.numbers import short_number
from hyperlearning.reports.style import FULL_WIDTH, INK, error_colours, new_figure, styled


@styled
def error_matrix_figure(
    matrix: ArrayLike, *, title: str = "", label: str = "mean squared error", ci95: ArrayLike | None = None
) -> Figure:
    """Draws an error matrix as a heat map with its numbers, on a logarithmic scale.

    Args:
        matrix: (T + 1, T), error on task j after learning i tasks; a value that is not finite shows as a dash.
        title: Above the figure; none if empty.
        label: What the numbers are.
        ci95: (T + 1, T), half-widths of 95 % intervals, written below the numbers.

    Returns:
        The heat map; a line separates what had been learned (below it) from what was still ahead.

    Raises:
        ValueError: If the matrix has other than one more row than columns.
    """
    errors = as_array(matrix, (None, None), name="matrix")
    num_tasks = errors.shape[1]
    errors = as_array(errors, (num_tasks + 1, num_tasks), name="matrix")
    widths = None if ci95 is None else as_array(ci95, errors.shape, name="ci95")
    cell = 0.46 if widths is None else 0.6
    figure = new_figure(min(FULL_WIDTH, 2.4 + 0.85 * num_tasks), 0.9 + cell * (num_tasks + 1), title=title)
    axes = figure.subplots()
    shown = np.ma.masked_invalid(np.where(errors > 0, errors, np.nan))
    norm = _log_norm(shown)
    axes.imshow(shown, cmap=error_colours(), norm=norm, aspect="auto")
    _write_cells(axes, errors, widths, norm)
    _draw_stairs(axes, num_tasks)
    _name_stages(axes, num_tasks)
    axes.set_xlabel(f"{label} on …")
    return figure


def _log_norm(shown: np.ma.MaskedArray) -> LogNorm:
    values = shown.compressed()
    low, high = (float(values.min()), float(values.max())) if values.size else (0.1, 1.0)
    return LogNorm(low, max(high, low * 1.001))


def _write_cells(axes: Axes, errors: Array, widths: Array | None, norm: LogNorm) -> None:
    for (row, column), value in np.ndenumerate(errors):
        dark = np.isfinite(value) and value > 0 and float(norm(value)) > 0.52
        text = short_number(float(value))
        if widths is not None:
            text += f"\n±{short_number(float(widths[row, column]))}"
        size = 9 if widths is None else 8
        axes.text(
            column, row, text, ha="center", va="center", fontsize=size, linespacing=1.35, color="white" if dark else INK
        )


def _draw_stairs(axes: Axes, num_tasks: int) -> None:
    """Marks which tasks had been learned: in row i those left of column i."""
    x = np.repeat(np.arange(num_tasks + 1) - 0.5, 2)[1:-1]
    y = np.repeat(np.arange(num_tasks) + 0.5, 2)
    axes.plot(x, y, color="white", linewidth=3.6, zorder=3, solid_joinstyle="miter")
    axes.plot(x, y, color="#e69f00", linewidth=1.8, zorder=4, solid_joinstyle="miter")


def _name_stages(axes: Axes, num_tasks: int) -> None:
    axes.set_xticks(range(num_tasks), [f"task {task}" for task in range(1, num_tasks + 1)])
    axes.set_yticks(range(num_tasks + 1), ["before", *(f"after task {task}" for task in range(1, num_tasks + 1))])
    axes.tick_params(length=0, pad=6)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.52, num_tasks - 0.48)
    axes.set_ylim(num_tasks + 0.52, -0.52)
