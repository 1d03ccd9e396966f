"""The page of a user's series: which life served it best, what all of them made of it, and what each keeps."""

from dataclasses import dataclass

import numpy as np

from hyperlearning.reports.lives import series_figure
from hyperlearning.reports.numbers import column
from hyperlearning.reports.page import Page, Picture, Section, Table
from hyperlearning.reports.style import drawable, png_bytes
from hyperlearning.systems.regression.series import LearnedSeries, LivedSeries

_BYTES = 4
"""Of a number in single precision."""

_MOST_DOTS = 2000
"""Points drawn at most, evenly among all; predictions are drawn at the same places."""


@dataclass(frozen=True, kw_only=True)
class SeriesWords:
    """What a page calls a series.

    Attributes:
        title: What was learned, such as the file's name.
        x_name: What positions are.
        y_name: What measurements are.
        read: What was recognised as the file was read.
        command: What repeats it.
        first_day: Where positions are times: the days from 1970 to the first.
    """

    title: str
    x_name: str
    y_name: str
    read: tuple[str, ...] = ()
    command: str = ""
    first_day: float | None = None


def series_page(x: np.ndarray, y: np.ndarray, learned: LearnedSeries, words: SeriesWords) -> Page:
    """Makes the page.

    Args:
        x: (N,), positions.
        y: (N,), measurements.
        learned: How the lives fared.
        words: What things are called.
    """
    glance = Section(
        title="At a glance",
        pictures=(_picture(x, y, learned, words),),
        tables=(lives_table(learned, words.y_name),),
    )
    pieces = Section(title="Piece by piece", tables=tuple(_pieces_table(life) for life in learned.lives))
    read = Section(title="What was read and done", paragraphs=(*words.read, *learned.said))
    return Page(title=words.title, lead=verdict(learned), sections=(glance, read, pieces), command=words.command)


def verdict(learned: LearnedSeries) -> str:
    """Which life served this series best, by the error before learning, and where the hyper-trained one stands."""
    best, dan = learned.best, learned["dan"]
    assert best.before is not None
    said = (
        f"{best.title[0].upper()}{best.title[1:]} served this series best: each point predicted before it was learned, "
    )
    said += f"its root mean square error is {best.before:.4g}, with {best.num_stored:,} numbers kept."
    if best.name == "dan":
        return said
    assert dan.before is not None
    return f"{said} The hyper-trained network's is {dan.before:.4g}, with {dan.num_stored:,}."


def lives_table(learned: LearnedSeries, unit: str) -> Table:
    """All lives on the same stream, best first."""
    lives = learned.lives
    columns = [
        column("before learning", [life.before for life in lives]),
        column("at the end", [life.after for life in lives]),
    ]
    if lives[0].held_out is not None:
        columns.append(column("at the end, points never met", [life.held_out for life in lives]))
    numbers = zip(*(cells for _, cells in columns), strict=True)
    rows = tuple(
        (life.title, *cells, f"{life.num_stored:,}", f"{life.num_stored * _BYTES:,}")
        for life, cells in zip(lives, numbers, strict=True)
    )
    return Table(
        title=f"All lives on the same stream: root mean square error of {unit}",
        header=("life", *(header for header, _ in columns), "numbers kept", "bytes kept"),
        rows=rows,
        caption="Before learning: each point as it was met first, predicted before it was learned. At the end: over the whole "
        "series after the last piece. Features that never change are not counted: they are computed from a formula.",
        highlight=(0,),
    )


def _picture(x: np.ndarray, y: np.ndarray, learned: LearnedSeries, words: SeriesWords) -> Picture:
    order = np.argsort(x, kind="stable")
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _MOST_DOTS)).round().astype(int))]
    at = x[shown] + np.arange(len(shown)) * _nudge(x)
    edges = _edges(x[order], len(learned.best.by_piece) - 1)
    if words.first_day is not None:
        at, edges = (words.first_day + seconds / 86_400 for seconds in (at, edges))
    first, second = _two(learned)
    figure = series_figure(
        at,
        y[shown],
        first.predictions[:, shown],
        second.predictions[:, shown],
        num_tasks=len(first.by_piece) - 1,
        edges=edges,
        is_date=words.first_day is not None,
        xlabel=drawable(words.x_name, "position"),
        ylabel=drawable(words.y_name, "measured"),
        names=(first.title, second.title),
    )
    return Picture(
        title=f"{words.y_name}, learned piece by piece",
        caption="Each colour is what a life predicts over the whole series after one more piece; dots are what was measured.",
        content=png_bytes(figure),
        kind="png",
        alt=f"What {first.title} and {second.title} make of the series, piece by piece",
    )


def _two(learned: LearnedSeries) -> tuple[LivedSeries, LivedSeries]:
    """The life that served best, and beside it the hyper-trained one, or the plain network's if that is best itself."""
    return learned.best, learned["mlp" if learned.best.name == "dan" else "dan"]


def _edges(x: np.ndarray, num_tasks: int) -> np.ndarray:
    """Where the pieces of an ordered series begin and end: halfway between neighbouring points."""
    inner = np.linspace(0, len(x), num_tasks + 1).round().astype(int)[1:-1]
    edges = np.array([x[0], *(x[inner - 1] / 2 + x[inner] / 2), x[-1]])
    return edges + np.arange(len(edges)) * _nudge(x)


def _nudge(x: np.ndarray) -> float:
    """How far apart repeated positions are drawn, since a line needs increasing ones: a billionth of the range if that shows."""
    return float(max(1e-9 * np.ptp(x), 4 * np.spacing(np.abs(x).max())))


def _pieces_table(life: LivedSeries) -> Table:
    num_tasks = len(life.by_piece) - 1
    rows = tuple(
        (f"after piece {stage}" if stage else "before learning", *(f"{error:.4g}" for error in row))
        for stage, row in enumerate(life.by_piece)
    )
    header = ("root mean square error", *(f"on piece {task}" for task in range(1, num_tasks + 1)))
    return Table(title=life.title, header=header, rows=rows, caption=life.note)
