"""Pictures of scores: curves with intervals, methods side by side."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from hyperlearning.evaluation.intervals import Estimate
from hyperlearning.reports.arrays import Array, as_array
from hyperlearning.reports.numbers import short_estimate
from hyperlearning.reports.style import (
    ACCENT,
    CYCLE,
    FAINT,
    INK,
    MUTED,
    new_figure,
    plain_log_ticks,
    stage_colours,
    styled,
    wrapped,
)

_MOST_DIRECT_LABELS = 5
_LINE_HEIGHT = 0.065
"""Height of a line of a label, in heights of the axes."""


@dataclass(frozen=True)
class Curve:
    """A line with, where known, its 95 % interval.

    Attributes:
        x: (K,), increasing.
        mean: (K,).
        ci95: (K,), half the width of the interval; `None` where there is one value a point.
    """

    x: ArrayLike
    mean: ArrayLike
    ci95: ArrayLike | None = None


@styled
def curves_figure(
    curves: Mapping[str, Curve],
    *,
    xlabel: str,
    ylabel: str,
    log_y: bool = False,
    log_x: bool = False,
    title: str = "",
    references: Mapping[str, float | int] | None = None,
    ticks: Mapping[float, str] | Mapping[int, str] | None = None,
    ordered: bool = False,
) -> Figure:
    """Draws curves with shaded 95 % intervals.

    Args:
        curves: By name; named at their right ends, or in a legend where there are more than five.
        xlabel: What x is.
        ylabel: What y is.
        log_y: Logarithmic y.
        log_x: Logarithmic x.
        title: Above the figure; none if empty.
        references: Horizontal lines, by name.
        ticks: Names of places on the x axis, such as `{0: "before", 1: "1"}`.
        ordered: Whether the curves are steps of one quantity, such as population sizes: then one hue, dark to light.

    Raises:
        ValueError: If there is no curve, shapes differ, or a value has no place on a logarithmic axis.
    """
    if not curves:
        raise ValueError("Expected at least one curve, but got none.")
    figure = new_figure(8.2, 3.9, title=title)
    axes = figure.subplots()
    axes.grid(axis="y")
    ends = {}
    colours = stage_colours(len(curves)) if ordered else [CYCLE[index % len(CYCLE)] for index in range(len(curves))]
    for number, ((name, curve), colour) in enumerate(zip(curves.items(), colours, strict=True)):
        # Colours come round again; a dashed line is another one.
        dashed = not ordered and number >= len(CYCLE)
        ends[name] = (_draw_curve(axes, name, curve, colour, dashed=dashed, positive=(log_x, log_y)), colour)
    for name, value in (references or {}).items():
        _require_positive(np.array([value]), name, log=log_y)
        axes.axhline(value, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1, label=name)
    _scale(axes, curves, references or {}, log_x=log_x, log_y=log_y)
    _place_ticks(axes, curves, ticks, log_x=log_x)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    ends |= {name: (value, MUTED) for name, value in (references or {}).items()}
    if len(ends) > _MOST_DIRECT_LABELS:
        figure.legend(loc="outside right upper")
    else:
        _label_ends(axes, ends)
    return figure


@styled
def methods_figure(
    estimates: Mapping[str, Estimate],
    *,
    xlabel: str,
    log: bool = False,
    highlight: Collection[str] = (),
    lower_is_better: bool = True,
    title: str = "",
) -> Figure:
    """Draws methods side by side: dots with 95 % bars, the best on top, the numbers at the right.

    Args:
        estimates: By name.
        xlabel: What is compared.
        log: Logarithmic scale; every mean must be positive.
        highlight: Names drawn in the accent colour.
        lower_is_better: Which end is the best.
        title: Above the figure; none if empty.

    Raises:
        ValueError: If there is no method, a highlighted one is missing, or a mean has no place on the scale.
    """
    if not estimates:
        raise ValueError("Expected at least one method, but got none.")
    if unknown := sorted(set(highlight) - set(estimates)):
        raise ValueError(f"Expected `highlight` to name methods among {sorted(estimates)}, but got {unknown}.")
    _require_positive(np.array([one.mean for one in estimates.values()]), xlabel, log=log)
    ordered = sorted(estimates.items(), key=lambda item: item[1].mean, reverse=not lower_is_better)
    figure = new_figure(8.2, 0.75 + 0.36 * len(ordered), title=title)
    axes = figure.subplots()
    axes.set_xlim(*_reach(list(estimates.values()), log=log))
    for row, (name, one) in enumerate(ordered):
        _draw_estimate(axes, row, one, ACCENT if name in highlight else INK, log=log)
    if log:
        plain_log_ticks(axes, "x")
    _name_rows(axes, [name for name, _ in ordered], highlight)
    axes.set_xlabel(xlabel)
    return figure


def _require_positive(values: Array, name: str, *, log: bool) -> None:
    if log and not (values > 0).all():
        raise ValueError(
            f"Expected positive values for {name} on a logarithmic axis, but got {float(np.min(values)):g}."
        )


def _draw_curve(
    axes: Axes, name: str, curve: Curve, colour: str, *, dashed: bool, positive: tuple[bool, bool]
) -> float:
    """Draws one curve and returns its last value."""
    x = as_array(curve.x, (None,), name=f"x of {name}")
    mean = as_array(curve.mean, x.shape, name=f"mean of {name}")
    if not (np.isfinite(x).all() and np.isfinite(mean).all()):
        raise ValueError(f"Expected finite values for {name}, but got some that are not.")
    _require_positive(x, f"x of {name}", log=positive[0])
    _require_positive(mean, name, log=positive[1])
    marker = "o" if len(x) <= 14 else None
    style = "--" if dashed else "-"
    axes.plot(x, mean, style, color=colour, linewidth=1.9, marker=marker, markersize=4, label=name, zorder=3)
    if curve.ci95 is not None:
        half = as_array(curve.ci95, x.shape, name=f"ci95 of {name}")
        # An interval that reaches below 0 runs out of a logarithmic picture at the bottom.
        low = np.maximum(mean - half, np.finfo(float).tiny) if positive[1] else mean - half
        axes.fill_between(x, low, mean + half, color=colour, alpha=0.16, linewidth=0, zorder=2)
    return float(mean[-1])


def _scale(
    axes: Axes, curves: Mapping[str, Curve], references: Mapping[str, float | int], *, log_x: bool, log_y: bool
) -> None:
    if log_x:
        plain_log_ticks(axes, "x")
    if not log_y:
        return
    means = np.concatenate([np.asarray(curve.mean, dtype=np.float64) for curve in curves.values()])
    halves = [np.zeros_like(curve.mean) if curve.ci95 is None else curve.ci95 for curve in curves.values()]
    half = np.concatenate([np.asarray(each, dtype=np.float64) for each in halves])
    values = np.concatenate([means, means - half, means + half, list(references.values())])
    low = max(values[values > 0].min(), means.min() / 2)
    axes.set_ylim(low * 0.8, values.max() * 1.25)
    plain_log_ticks(axes, "y")


def _place_ticks(
    axes: Axes, curves: Mapping[str, Curve], ticks: Mapping[float, str] | Mapping[int, str] | None, *, log_x: bool
) -> None:
    places = np.concatenate([np.asarray(curve.x, dtype=np.float64).ravel() for curve in curves.values()])
    if ticks is not None:
        axes.set_xticks(list(ticks), list(ticks.values()))
    elif len(only := np.unique(places)) == 1:
        axes.set_xticks(only, [f"{only[0]:g}"])  # Places between are none.
    elif not log_x and (places == places.round()).all():
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = places.min(), places.max()
    if high > low and not log_x:
        margin = 0.02 * (high - low)
        axes.set_xlim(low - margin, high + margin)


def _label_ends(axes: Axes, ends: Mapping[str, tuple[float, str]]) -> None:
    """Writes names at the right, each near where its line ends but clear of the others."""
    axes.figure.draw_without_rendering()  # pyright: ignore[reportAttributeAccessIssue]
    to_share = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[1]
    wanted = sorted((float(to_share.transform((x, value))[1]), name) for name, (value, _) in ends.items())
    labels = [wrapped(name, 26) for _, name in wanted]
    sizes = [_LINE_HEIGHT * (label.count("\n") + 1) for label in labels]
    heights = _spread([min(max(height, 0.0), 1.0) for height, _ in wanted], sizes)
    for height, label, (_, name) in zip(heights, labels, wanted, strict=True):
        axes.annotate(
            label,
            (1.0, height),
            xytext=(6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            color=ends[name][1],
            fontsize=9,
            annotation_clip=False,
        )


def _spread(heights: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Moves what stands at sorted heights apart until none of them, each of its size, touches its neighbour."""
    placed: list[float] = []
    for height, below, size in zip(heights, [0.0, *sizes], sizes, strict=False):
        placed.append(max(height, placed[-1] + (below + size) / 2) if placed else height)
    excess = (sum(placed) - sum(heights)) / len(heights) if heights else 0.0
    return [height - excess for height in placed]


def _reach(estimates: Sequence[Estimate], *, log: bool) -> tuple[float, float]:
    lows, highs = [one.low for one in estimates], [one.high for one in estimates]
    if log:
        positive = [low for low in lows if low > 0]
        smallest = max(min([*positive, *(one.mean for one in estimates)]), min(one.mean for one in estimates) / 5)
        return smallest / 1.4, max(highs) * 1.4
    low, high = min([*lows, 0.0]), max([*highs, 0.0])
    margin = 0.06 * max(high - low, 1e-12)
    return (low - margin if low < 0 else low, high + margin if high > 0 else high)


def _draw_estimate(axes: Axes, row: int, one: Estimate, colour: str, *, log: bool) -> None:
    low = max(one.low, axes.get_xlim()[0] / 10) if log else one.low
    axes.plot(
        [low, one.high],
        [row, row],
        color=colour,
        linewidth=1.3,
        marker="|",
        markersize=6,
        markeredgewidth=1.3,
        zorder=2,
    )
    axes.plot([one.mean], [row], marker="o", markersize=5.5, color=colour, zorder=3)
    place = axes.get_yaxis_transform()
    weight = "bold" if colour == ACCENT else "normal"
    axes.text(1.02, row, short_estimate(one), transform=place, va="center", color=colour, fontsize=9, fontweight=weight)


def _name_rows(axes: Axes, names: Sequence[str], highlight: Collection[str]) -> None:
    axes.set_yticks(range(len(names)), [wrapped(name, 34) for name in names])
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set(
            color=ACCENT if name in highlight else INK, fontweight="bold" if name in highlight else "normal", fontsize=9
        )
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.spines["left"].set_visible(False)
    axes.text(
        1.02, -0.62, "mean ± 95 % interval", transform=axes.get_yaxis_transform(), va="bottom", color=MUTED, fontsize=8
    )
    if axes.get_xscale() == "linear" and axes.get_xlim()[0] < 0 < axes.get_xlim()[1]:
        axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    for row in range(len(names)):
        axes.axhline(row, color=FAINT, linewidth=0.7, zorder=0)
