"""One life as a moving picture."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import ArrayLike
from PIL import Image

from hyperlearning.reports.arrays import Array, as_array, as_grid, task_edges
from hyperlearning.reports.numbers import short_number
from hyperlearning.reports.style import ACCENT, FAINT, INK, MUTED, WARM, new_figure, styled

_DPI = 100
_LAST_FRAME_SECONDS = 3.0


@dataclass(frozen=True)
class _Moment:
    """One frame, checked."""

    num_updates: int
    prediction: Array
    examples: Array


@dataclass(frozen=True)
class _Scene:
    """What moves, and everything else as drawn once: text is slow to draw and most of it stands still."""

    canvas: FigureCanvasAgg
    axes: Axes
    still: Any  # Agg's copy of its pixels, a type that matplotlib does not name.
    prediction: Line2D
    examples: PathCollection
    windows: list[Rectangle]
    notes: list[Text]
    caption: Text
    error: Text


@styled
def life_animation(
    grid: ArrayLike,
    function: ArrayLike,
    frames: Sequence[Sequence[Any]],
    *,
    num_tasks: int,
    title: str,
    edges: ArrayLike | None = None,
    frame_seconds: float | int = 0.12,
) -> bytes:
    """Draws one life: the prediction over the whole domain while examples come from one window after another.

    Args:
        grid: (P,), increasing.
        function: (P,), true values.
        frames: In order, each `(num_updates, prediction, examples)`: updates made since birth, prediction (P,), and
            the examples seen so far in the current task as [x, y] pairs. The last is taken to be the end of the life.
        num_tasks: T; every task has as many updates.
        title: Above the picture.
        edges: T + 1 ends of the tasks' windows; equal windows over the grid if `None`.
        frame_seconds: How long a frame stands; the last one stands longer.

    Returns:
        A GIF file's content, repeating.

    Raises:
        ValueError: If there is no frame or shapes do not fit together.
    """
    x = as_grid(grid)
    truth = as_array(function, x.shape, name="function")
    windows = task_edges(x, num_tasks, edges)
    moments = [_read(frame, len(x)) for frame in frames]
    if not moments:
        raise ValueError("Expected at least one frame, but got none.")
    scene = _set_up(x, truth, windows, title, _limits(truth, moments))
    last = max(moments[-1].num_updates, 1)
    pictures = [
        _draw(scene, moment, truth, task=_task_of(moment, last, num_tasks), num_tasks=num_tasks) for moment in moments
    ]
    return _encode(pictures, frame_seconds)


def _read(frame: Sequence[Any], num_points: int) -> _Moment:
    if len(frame) != 3:
        raise ValueError(f"Expected a frame of (num_updates, prediction, examples), but got {len(frame)} values.")
    num_updates, prediction, examples = frame
    pairs = np.empty((0, 2)) if len(examples) == 0 else as_array(examples, (None, 2), name="examples")
    return _Moment(int(num_updates), as_array(prediction, (num_points,), name="prediction"), pairs)


def _task_of(moment: _Moment, last: int, num_tasks: int) -> int:
    """Index of the task whose examples made the latest update."""
    return min(num_tasks - 1, max(0, math.ceil(moment.num_updates * num_tasks / last) - 1))


def _limits(truth: Array, moments: Sequence[_Moment]) -> tuple[float, float]:
    low, high = float(truth.min()), float(truth.max())
    height = max(high - low, 1e-9)
    seen = np.concatenate([moment.prediction for moment in moments])
    seen = seen[np.isfinite(seen)]
    lowest, highest = (float(seen.min()), float(seen.max())) if seen.size else (low, high)
    return max(min(low, lowest), low - 0.5 * height) - 0.15 * height, min(
        max(high, highest), high + 0.5 * height
    ) + 0.25 * height


def _set_up(x: Array, truth: Array, edges: Array, title: str, limits: tuple[float, float]) -> _Scene:
    figure = new_figure(8.0, 3.9)
    axes = figure.subplots()
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(*limits)
    windows, notes = _draw_windows(axes, edges)
    axes.plot(x, truth, color=INK, linewidth=1.1, zorder=4, label="true function")
    prediction = axes.plot(x, truth, color=ACCENT, linewidth=2.6, zorder=3, label="prediction")[0]
    examples = axes.scatter([], [], s=16, color=WARM, alpha=0.75, linewidths=0, zorder=5, label="examples of this task")
    axes.set_title(title, pad=26, fontsize=11)
    caption = axes.text(0, 1.035, "before learning", transform=axes.transAxes, color=MUTED)
    error = axes.text(1, 1.035, "", transform=axes.transAxes, color=MUTED, ha="right")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=3)
    # What stands before a window has to be drawn again with it.
    for artist in (examples, *windows, *notes, caption, error, *axes.lines, *axes.spines.values()):
        artist.set_animated(True)
    canvas = _settled(figure)
    return _Scene(
        canvas, axes, canvas.copy_from_bbox(figure.bbox), prediction, examples, windows, notes, caption, error
    )


def _settled(figure: Figure) -> FigureCanvasAgg:
    """Lays the figure out once, so that the axes cannot jump between frames, and draws what stands still."""
    figure.set_dpi(_DPI)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


def _draw_windows(axes: Axes, edges: Array) -> tuple[list[Rectangle], list[Text]]:
    windows, notes = [], []
    for low, high in pairwise(edges):
        windows.append(axes.axvspan(low, high, color="white", linewidth=0, zorder=0))
        middle = (low + high) / 2
        place = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "top"}
        notes.append(axes.text(middle, 0.985, "", fontsize=8, color=MUTED, linespacing=1.4, **place))
    for edge in edges[1:-1]:
        axes.axvline(edge, color=FAINT, linewidth=0.8, zorder=1)
    return windows, notes


def _draw(scene: _Scene, moment: _Moment, truth: Array, *, task: int, num_tasks: int) -> Image.Image:
    scene.prediction.set_ydata(moment.prediction)
    scene.examples.set_offsets(moment.examples)
    for index, (window, note) in enumerate(zip(scene.windows, scene.notes, strict=True)):
        met = moment.num_updates > 0
        state = "ahead" if index > task or not met else "now" if index == task else "past"
        window.set_facecolor({"ahead": "white", "now": "#e0f4f7", "past": "#f2f4f6"}[state])
        aside = {"ahead": "", "now": "\nlearning", "past": "\nnot revisited"}[state]
        note.set_text(f"task {index + 1}{aside}")
        note.set_color(ACCENT if state == "now" else MUTED)
    updates = f"{moment.num_updates} update{'' if moment.num_updates == 1 else 's'}"
    scene.caption.set_text(f"{updates} · task {task + 1} of {num_tasks}" if moment.num_updates else "before learning")
    error = float(np.mean((moment.prediction - truth) ** 2))
    scene.error.set_text(f"error over the whole function {short_number(error)}")
    scene.canvas.restore_region(scene.still)
    for artist in sorted(filter(Artist.get_animated, scene.axes.get_children()), key=Artist.get_zorder):
        scene.axes.draw_artist(artist)
    return Image.fromarray(np.asarray(scene.canvas.buffer_rgba())[..., :3].copy())


def _encode(pictures: Sequence[Image.Image], frame_seconds: float | int) -> bytes:
    # One palette for all frames, so that each need only store what moved.
    palette = _whitened(_montage([pictures[0], pictures[len(pictures) // 2], pictures[-1]]).quantize(64))
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    buffer = io.BytesIO()
    durations = [round(1000 * frame_seconds)] * (len(frames) - 1) + [round(1000 * _LAST_FRAME_SECONDS)]
    frames[0].save(
        buffer, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False
    )
    return buffer.getvalue()


def _whitened(palette: Image.Image) -> Image.Image:
    """Makes what is nearly white purely white: averaging has tinted it, which shows beside the page."""
    colours = np.array(palette.getpalette(), dtype=np.uint8).reshape(-1, 3)
    colours[(colours > 247).all(axis=1)] = 255
    palette.putpalette(colours.tobytes())
    return palette


def _montage(pictures: Sequence[Image.Image]) -> Image.Image:
    width, height = pictures[0].size
    montage = Image.new("RGB", (width, height * len(pictures)))
    for index, picture in enumerate(pictures):
        montage.paste(picture, (0, index * height))
    return montage
