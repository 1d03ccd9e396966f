"""Pictures of lives: what a network predicts over the whole domain while it learns it window by window.

Shape suffix: P points of the grid, T tasks, n functions.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from hyperlearning.reports.arrays import Array, as_array, as_grid, task_edges
from hyperlearning.reports.numbers import short_number
from hyperlearning.reports.style import (
    FAINT,
    FULL_WIDTH,
    INK,
    MUTED,
    even_columns,
    new_figure,
    stage_colours,
    styled,
    wrapped,
)

_ROW_HEIGHT = 2.5


@styled
def lives_figure(
    grid: ArrayLike,
    functions: ArrayLike,
    predictions: ArrayLike,
    *,
    num_tasks: int,
    title: str = "",
    edges: ArrayLike | None = None,
    columns: int | None = None,
) -> Figure:
    """Draws several functions, each learned in one life (the paper's figure 3).

    Args:
        grid: (P,), increasing.
        functions: (n, P), true values.
        predictions: (T + 1, n, P); row 0, before learning, is not drawn.
        num_tasks: T.
        title: Above the figure; none if empty.
        edges: T + 1 ends of the tasks' windows; equal windows over the grid if `None`.
        columns: Panels in a row; three, or four where that fills the rows, if `None`. 2 suits a narrow page.

    Returns:
        One panel a function. A prediction is bold where it had been taught by then, faint in windows still ahead.

    Raises:
        ValueError: If shapes do not fit together.
    """
    x = as_grid(grid)
    truths = as_array(functions, (None, len(x)), name="functions")
    stages = as_array(predictions, (num_tasks + 1, len(truths), len(x)), name="predictions")
    lives = {f"Function {index + 1}": (truth, stages[:, index]) for index, truth in enumerate(truths)}
    figure = _lives(x, lives, task_edges(x, num_tasks, edges), title=title, columns=columns)
    figure.axes[0].set_ylim(*_limits(truths, stages[1:]))
    return figure


@styled
def comparison_lives_figure(
    grid: ArrayLike,
    function: ArrayLike,
    predictions_by_method: Mapping[str, ArrayLike],
    *,
    num_tasks: int,
    title: str = "",
    edges: ArrayLike | None = None,
    columns: int | None = None,
) -> Figure:
    """Draws what several methods make of the same function.

    Args:
        grid: (P,), increasing.
        function: (P,), true values.
        predictions_by_method: (T + 1, P) for each method, in the order to draw them.
        num_tasks: T.
        title: Above the figure; none if empty.
        edges: T + 1 ends of the tasks' windows; equal windows over the grid if `None`.
        columns: Panels in a row; three, or four where that fills the rows, if `None`.

    Raises:
        ValueError: If there is no method or shapes do not fit together.
    """
    x = as_grid(grid)
    truth = as_array(function, (len(x),), name="function")
    stages = _read_methods(predictions_by_method, num_tasks, len(x))
    lives = {name: (truth, stage) for name, stage in stages.items()}
    figure = _lives(x, lives, task_edges(x, num_tasks, edges), title=title, columns=columns)
    figure.axes[0].set_ylim(*_limits(truth, np.stack(list(stages.values()))[:, 1:]))
    return figure


@styled
def series_figure(
    x: ArrayLike,
    y: ArrayLike,
    predictions: ArrayLike,
    baseline: ArrayLike,
    *,
    num_tasks: int,
    xlabel: str,
    ylabel: str,
    names: tuple[str, str] = ("DAN network", "Plain MLP"),
    title: str = "",
    grid: ArrayLike | None = None,
    edges: ArrayLike | None = None,
    is_date: bool = False,
) -> Figure:
    """Draws a measured series learned piece by piece, by a DAN network (top) and a plain network (bottom).

    Args:
        x: (N,), where it was measured.
        y: (N,), what was measured.
        predictions: (T + 1, P), of the DAN network, before learning and after every task.
        baseline: (T + 1, P), of the plain network.
        num_tasks: T.
        xlabel: What x is, with its unit.
        ylabel: What y is, with its unit.
        names: Titles of the two panels.
        title: Above the figure; none if empty.
        grid: (P,), increasing, where predictions were made; `x` itself if `None`.
        edges: T + 1 ends of the tasks' windows; equal windows over the grid if `None`.
        is_date: Whether x are days since 1970, to be written as dates.

    Raises:
        ValueError: If shapes do not fit together.
    """
    at = as_array(x, (None,), name="x")
    measured = as_array(y, (len(at),), name="y")
    points = as_grid(at, name="x") if grid is None else as_grid(grid)
    windows = task_edges(points, num_tasks, edges)
    figure = new_figure(FULL_WIDTH, 5.6, title=title)
    panels = _panels(figure, 2, 1)
    both = _read_methods(
        {"predictions": predictions, "baseline": baseline}, num_tasks, len(points), names=("predictions", "baseline")
    )
    for axes, name, stage in zip(panels, names, both.values(), strict=True):
        _draw_stages(axes, points, stage, windows)
        axes.plot(
            at,
            measured,
            linestyle="none",
            marker="o",
            markersize=float(np.clip(3.2 * math.sqrt(150 / len(at)), 0.9, 3.6)),
            color=INK,
            zorder=6,
            markeredgewidth=0,
        )
        axes.set_title(name, pad=20 if axes is panels[0] else 6)
        axes.set_ylabel(ylabel)
    panels[-1].set_xlabel(xlabel)
    if is_date:
        places = AutoDateLocator()
        panels[-1].xaxis.set_major_locator(places)
        panels[-1].xaxis.set_major_formatter(ConciseDateFormatter(places))
    panels[-1].set_xlim(windows[0], windows[-1])
    panels[-1].set_ylim(*_limits(measured, np.stack(list(both.values()))[:, 1:]))
    _number_windows(panels[0], windows, "piece")
    dot = Line2D([], [], linestyle="none", marker="o", markersize=4, color=INK, markeredgewidth=0)
    _legend(figure, [(dot, "measured"), *_stage_keys(num_tasks, "piece")])
    return figure


def _lives(
    x: Array, lives: Mapping[str, tuple[Array, Array]], windows: Array, *, title: str, columns: int | None
) -> Figure:
    """Draws lives, each a true function (P,) and predictions (T + 1, P), in a panel each; heights are yet to be set."""
    width = columns or even_columns(len(lives))
    figure = new_figure(*_size(len(lives), width), title=title)
    for axes, (name, (truth, stages)) in zip(_panels(figure, len(lives), width), lives.items(), strict=True):
        _draw_stages(axes, x, stages, windows)
        axes.plot(x, truth, color=INK, linewidth=0.9, zorder=6, label="true function")
        axes.set_xlim(windows[0], windows[-1])
        _head(axes, name, truth, stages[-1])
    line = Line2D([], [], color=INK, linewidth=0.9)
    _legend(figure, [(line, "true function"), *_stage_keys(len(windows) - 1)])
    return figure


def _read_methods(
    predictions: Mapping[str, ArrayLike], num_tasks: int, num_points: int, *, names: tuple[str, ...] = ()
) -> dict[str, Array]:
    if not predictions:
        raise ValueError("Expected predictions of at least one method, but got none.")
    return {
        name: as_array(values, (num_tasks + 1, num_points), name=name if name in names else f"predictions of {name}")
        for name, values in predictions.items()
    }


def _size(count: int, columns: int) -> tuple[float, float]:
    rows = math.ceil(count / columns)
    # Few panels stay near their usual shape rather than fill the page.
    width = FULL_WIDTH if columns > 2 else (5.0, 7.6)[columns - 1]
    return width, rows * _ROW_HEIGHT + 0.6


def _panels(figure: Figure, count: int, columns: int) -> list[Axes]:
    rows = math.ceil(count / columns)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.ravel())
    for unused in panels[count:]:
        unused.remove()
    for axes in panels[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)
    return panels[:count]


def _draw_stages(axes: Axes, x: Array, stages: Array, windows: Array) -> None:
    for edge in windows[1:-1]:
        axes.axvline(edge, color=FAINT, linewidth=0.8, zorder=0)
    for index, colour in enumerate(stage_colours(len(stages) - 1), start=1):
        taught = x <= windows[index]
        last = index == len(stages) - 1
        axes.plot(
            x[taught],
            stages[index][taught],
            color=colour,
            linewidth=2.8 if last else 1.7,
            zorder=1.5 if last else 2 + index / 100,
            label=f"after task {index}",
        )
        if not taught.all():
            axes.plot(
                x[~taught], stages[index][~taught], color=colour, linewidth=0.7, alpha=0.4, zorder=1, label="_ahead"
            )


def _head(axes: Axes, name: str, truth: Array, final: Array) -> None:
    spec = axes.get_subplotspec()
    columns = spec.get_gridspec().ncols if spec is not None else 1
    width = axes.figure.get_figwidth() / columns  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    error = float(np.mean((final - truth) ** 2))
    axes.set_title(wrapped(name, round(width * 10.5)), pad=17)
    axes.text(0, 1.035, f"final error {short_number(error)}", transform=axes.transAxes, color=MUTED, fontsize=8.5)


def _limits(truth: Array, predictions: Array) -> tuple[float, float]:
    """Limits that show the truth large; predictions after birth count while they stray no further than its own height."""
    low, high = np.nanmin(truth), np.nanmax(truth)
    height = max(high - low, 1e-9)
    finite = predictions[np.isfinite(predictions)]
    reach = np.clip(
        [finite.min(), finite.max()] if finite.size else [low, high], low - 0.6 * height, high + 0.6 * height
    )
    return float(min(low, reach[0]) - 0.08 * height), float(max(high, reach[1]) + 0.08 * height)


def _number_windows(axes: Axes, windows: Array, noun: str) -> None:
    for index, middle in enumerate((windows[1:] + windows[:-1]) / 2, start=1):
        axes.text(
            middle,
            1.0,
            f"{noun} {index}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            color=MUTED,
            fontsize=8,
        )


def _stage_keys(num_tasks: int, noun: str = "task") -> list[tuple[Line2D, str]]:
    keys = [
        (Line2D([], [], color=colour, linewidth=2.8 if index == num_tasks else 1.9), f"after {noun} {index}")
        for index, colour in enumerate(stage_colours(num_tasks), start=1)
    ]
    ahead = "windows" if noun == "task" else f"{noun}s"
    return [*keys, (Line2D([], [], color=MUTED, linewidth=0.7, alpha=0.6), f"{ahead} still ahead")]


def _legend(figure: Figure, keys: Sequence[tuple[Line2D, str]]) -> None:
    lines, labels = zip(*keys, strict=True)
    rows = math.ceil(len(keys) / max(2, round(figure.get_figwidth() / 1.43)))
    columns = math.ceil(len(keys) / rows)
    # matplotlib fills a legend column by column; read in rows, tasks have to go from left to right.
    order = [index for column in range(columns) for index in range(column, len(keys), columns)]
    figure.legend(
        [lines[index] for index in order],
        [labels[index] for index in order],
        loc="outside lower center",
        ncols=columns,
        columnspacing=1.6,
        handlelength=1.6,
    )
