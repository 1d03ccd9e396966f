"""A measured series of a user's own, lived piece by piece: what every life meets, and how each fares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hyperlearning.core.expect import AtLeast, Count, Rate, Seed, Share, check_ranges
from hyperlearning.core.params import on_default_device
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.systems.regression.series_lives import SeriesLife, series_lives
from hyperlearning.systems.regression.trained import TrainedRun

_SCALE = 0.6
"""Measurements are scaled to within +-.6: trained functions reach +-.8, and a series may rise further later."""

_OUTLIER = 20.0
"""Interquartile ranges from the median, from which on a measurement is called an outlier."""

_FARTHEST = 3.0
"""Half ranges from the centre at which robust scaling cuts a measurement off."""

_MOST_UPDATES = 1000
"""Updates in a piece at most, unless more are asked for or it has more points."""


@dataclass(frozen=True, kw_only=True)
class SeriesSettings:
    """How a series is lived."""

    num_tasks: Annotated[int, AtLeast(2)] = 5
    """Pieces that the series is learned in, one after another."""
    updates_per_task: Count | None = None
    """Updates in each piece: its points in random order, again and again. Absent: as many as the run's lives have, or once
    through all of a piece's points if these are more."""
    scale: Literal["range", "robust"] = "range"
    """What measurements are scaled by: all of them; or all but the outermost percent on either side, and what lies more than
    three times as far out is learned and judged as if it lay there."""
    periods: tuple[Rate, ...] = ()
    """Periods that the series may have, in units of x (seconds where it is time): lives on their harmonics join. Where x is time,
    day, week and year join by themselves if the series holds two of them."""
    hold_out: Share = 0.0
    """Share of the points that no life meets, drawn at random, to measure what was learned on."""
    seed: Seed = 0
    """What the order within a piece, first weights and the points held out follow from."""

    def __post_init__(self) -> None:
        check_ranges(self)


class Scale(NamedTuple):
    """What measurements are scaled by.

    Attributes:
        centre: What becomes 0, in the measurements' units.
        half: What becomes `_SCALE` above it.
    """

    centre: float
    half: float

    def into(self, y: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Scales measurements."""
        return (y - self.centre) / self.half * _SCALE

    def out_of(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Gives predictions in the measurements' units."""
        return values / _SCALE * self.half + self.centre

    def error(self, scaled: float) -> float:
        """Gives a root mean square error in the measurements' units."""
        return scaled / _SCALE * self.half


class SeriesStream(NamedTuple):
    """What every life meets.

    Attributes:
        x: (N, 1), positions in order, in the domain of trained functions.
        y: (N, 1), measurements, scaled.
        bounds: (T + 1,), where pieces begin and end among the points.
        picks: (T, U), the point of every update, piece by piece.
        is_first: (T, U), whether that point has not been met before.
        is_held_out: (N,), points that are never met.
        order: (N,), which of the user's points stands where.
        scale: Back to the measurements' units.
        span: What the domain's length is in units of x.
    """

    x: Float[Tensor, "points 1"]
    y: Float[Tensor, "points 1"]
    bounds: Int[np.ndarray, " edges"]
    picks: Int[np.ndarray, "tasks updates"]
    is_first: Bool[np.ndarray, "tasks updates"]
    is_held_out: Bool[np.ndarray, " points"]
    order: Int[np.ndarray, " points"]
    scale: Scale
    span: float


@dataclass(frozen=True, kw_only=True)
class LivedSeries:
    """How one life fared. Errors are root mean squares in the measurements' units.

    Attributes:
        name: The life's key.
        title: What a figure calls it.
        note: What it is.
        predictions: (T + 1, N), in the user's order, before learning and after each piece.
        before: Of every point as it was met first, predicted before it was learned; absent for lives that meet all pieces mixed.
        after: Over the whole series after the last piece.
        held_out: Likewise of the points that it never met; absent if there are none.
        by_piece: (T + 1, T), on every piece before learning and after each piece.
        num_stored: Numbers that it keeps.
    """

    name: str
    title: str
    note: str
    predictions: Float[np.ndarray, "stages points"] = field(repr=False)
    before: float | None
    after: float
    held_out: float | None
    by_piece: Float[np.ndarray, "stages tasks"] = field(repr=False)
    num_stored: int


@dataclass(frozen=True, kw_only=True)
class LearnedSeries:
    """A series, lived by several.

    Attributes:
        lives: Best first, by the error before learning; lives that meet all pieces mixed last.
        said: What a reader should know of how it was done.
    """

    lives: tuple[LivedSeries, ...]
    said: tuple[str, ...]

    @property
    def best(self) -> LivedSeries:
        """The life that served this series best, by the error before learning alone."""
        return self.lives[0]

    def __getitem__(self, name: str) -> LivedSeries:
        """A life by its name."""
        return next(life for life in self.lives if life.name == name)


def learn_series(
    run: TrainedRun,
    x: Any,
    y: Any,
    *,
    is_time: bool = False,
    places: Sequence[str] = (),
    settings: SeriesSettings | None = None,
) -> LearnedSeries:
    """Lives any measured series piece by piece: the hyper-trained network and all that it must stand beside.

    Positions are mapped linearly onto the trained domain, measurements onto +-.6. Pieces hold equally many points as nearly
    as can be; within a piece, points are met in random order, each once before any is met again.

    Args:
        run: A finished run.
        x: Positions, N numbers, in any order.
        y: Measurements, N numbers.
        is_time: Whether positions are times in seconds.
        places: What messages call the points, N texts; their positions if absent.
        settings: How it is lived.

    Raises:
        ValueError: If sizes differ, values are not finite or all equal, there are too few points, or measurements are too large
            to compute with.
    """
    settings = settings or SeriesSettings()
    x, y = _checked_series(x, y, settings)
    at_least = run.stream.updates_per_task * run.stream.batch_size
    stream = series_stream(x, y, settings, at_least=at_least)
    periods = tuple(settings.periods) + (_calendar(stream) if is_time else ())
    lives = series_lives(run, periods=tuple(period / stream.span for period in periods), seed=settings.seed)
    lived = [_lived(life, stream) for life in lives]
    lived.sort(key=lambda life: (life.before is None, life.before or 0.0))
    far = _far(y, settings, places or [repr(float(each)) for each in x])
    return LearnedSeries(lives=tuple(lived), said=(*_said(y, stream, settings, periods), *far))


def series_stream(x: np.ndarray, y: np.ndarray, settings: SeriesSettings, *, at_least: int) -> SeriesStream:
    """Scales a series and orders what every life meets.

    Args:
        x: (N,), positions.
        y: (N,), measurements.
        settings: How it is lived.
        at_least: Updates in a piece, if no number is asked for and it has fewer points.
    """
    order = np.argsort(x, kind="stable")
    source = np.random.default_rng(settings.seed)
    is_held_out = np.zeros(len(x), dtype=bool)
    is_held_out[source.permutation(len(x))[: round(settings.hold_out * len(x))]] = True
    bounds = np.linspace(0, len(x), settings.num_tasks + 1).round().astype(int)
    pieces = [begin + np.flatnonzero(~is_held_out[begin:end]) for begin, end in pairwise(bounds)]
    if empty := [number for number, piece in enumerate(pieces, start=1) if not len(piece)]:
        raise ValueError(f"Expected a point to learn in every piece, but got none in {empty}; lower `hold_out`.")
    most = max(len(piece) for piece in pieces)
    updates = settings.updates_per_task or max(most, min(at_least, _MOST_UPDATES))
    picks = np.stack([_in_turns(piece, updates, source) for piece in pieces])
    is_first = np.zeros(picks.shape, dtype=bool)
    for row, met in zip(is_first, picks, strict=True):
        row[np.unique(met, return_index=True)[1]] = True
    scale, span = _scale_of(y, settings.scale), float(np.ptp(x))
    low, high = DOMAIN
    at = low + (high - low) * ((x[order] - x.min()) / span)
    scaled = scale.into(y[order])
    if settings.scale == "robust":
        scaled = scaled.clip(-_FARTHEST * _SCALE, _FARTHEST * _SCALE)
    points, values = (on_default_device(torch.from_numpy(each[:, None]).float()) for each in (at, scaled))
    return SeriesStream(points, values, bounds, picks, is_first, is_held_out, order, scale, span / (high - low))


def _in_turns(piece: np.ndarray, updates: int, source: np.random.Generator) -> np.ndarray:
    """A piece's points in random order, each once before any comes again."""
    rounds = -(-updates // len(piece))
    return np.concatenate([source.permutation(piece) for _ in range(rounds)])[:updates]


def _lived(life: SeriesLife, stream: SeriesStream) -> LivedSeries:
    living, picks = life.begin(), stream.picks
    if life.joint:
        picks = np.random.default_rng(0).permutation(picks.ravel()).reshape(picks.shape)
    predictions, squares = [living.predict(stream.x)], []
    for piece in picks:
        indices = on_default_device(torch.from_numpy(piece))
        squares.append(living.observe_each(stream.x[indices], stream.y[indices]).cpu().numpy())
        predictions.append(living.predict(stream.x))
    stages = torch.cat(predictions, dim=1).T.double().cpu().numpy()
    squared = (stages - stream.y[:, 0].double().cpu().numpy()) ** 2
    place = np.argsort(stream.order, kind="stable")
    return LivedSeries(
        name=life.name,
        title=life.title,
        note=life.note,
        predictions=stream.scale.out_of(stages)[:, place],
        before=None if life.joint else _rms(np.array(squares)[stream.is_first], stream.scale),
        after=_rms(squared[-1], stream.scale),
        held_out=_rms(squared[-1][stream.is_held_out], stream.scale) if stream.is_held_out.any() else None,
        by_piece=np.array(
            [[_rms(row[begin:end], stream.scale) for begin, end in pairwise(stream.bounds)] for row in squared]
        ),
        num_stored=living.num_stored,
    )


def _rms(squares: np.ndarray, scale: Scale) -> float:
    return scale.error(float(np.sqrt(squares.mean())))


def _checked_series(x: Any, y: Any, settings: SeriesSettings) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    if len(x) != len(y):
        raise ValueError(f"Expected as many positions as measurements, but got {len(x)} and {len(y)}.")
    if len(x) < settings.num_tasks:
        raise ValueError(
            f"Expected a point for each of {settings.num_tasks} pieces, but got {len(x)} points; lower `num_tasks`."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("Expected finite positions and measurements, but got a NaN or an infinity.")
    for name, values in (("positions", x), ("measurements", y)):
        if values.min() == values.max():
            raise ValueError(f"Expected {name} that vary, but all of them are {values[0]:g}: a constant.")
    for name, values in (("positions", x), ("measurements", y)):
        if np.abs(values).max() > np.finfo(np.float64).max / 10:
            raise ValueError(
                f"Expected {name} that can be computed with, but got {np.abs(values).max():g}. Give them in a larger unit."
            )
    return x, y


def _scale_of(y: np.ndarray, how: Literal["range", "robust"]) -> Scale:
    if how == "range":
        low, high = y.min(), y.max()
    else:
        low, high = np.quantile(y, 0.01, method="higher"), np.quantile(y, 0.99, method="lower")
    if low == high:
        raise ValueError(
            "Expected measurements that vary, but all but the outermost percent are equal; scale by `range`."
        )
    return Scale(float(high / 2 + low / 2), float(high / 2 - low / 2))


_CALENDAR = {"a day": 86_400.0, "a week": 7 * 86_400.0, "a year": 365.2425 * 86_400.0}


def _calendar(stream: SeriesStream) -> tuple[float, ...]:
    """Periods of the calendar that a series holds two of, and meets more often than four times in each."""
    low, high = DOMAIN
    length, gap = stream.span * (high - low), stream.span * float(np.median(np.diff(stream.x[:, 0].cpu().numpy())))
    return tuple(period for period in _CALENDAR.values() if 2 * period <= length and 4 * gap < period)


def _said(y: np.ndarray, stream: SeriesStream, settings: SeriesSettings, periods: tuple[float, ...]) -> Iterator[str]:
    num_points, updates = int((~stream.is_held_out).sum()), stream.picks.shape[1]
    yield (
        f"{len(y):,} points in {settings.num_tasks} pieces, learned one after another by {updates:,} updates each, one "
        "point at a time; no point is met in any piece but its own."
    )
    if (missed := num_points - int(stream.is_first.sum())) > 0:
        yield f"{missed:,} points were never met: `--updates-per-task` is smaller than a piece."
    if periods:
        names = {period: name for name, period in _CALENDAR.items()}
        yield f"Seasonal features with periods of {', '.join(names.get(period, f'{period:g}') for period in periods)}."
    if settings.scale == "robust" and (cut := int((np.abs(stream.scale.into(y)) > _FARTHEST * _SCALE).sum())):
        yield f"{cut:,} measurements lie far from all others and count as if they lay three half ranges from the centre."


def _far(y: np.ndarray, settings: SeriesSettings, places: Sequence[str]) -> Iterator[str]:
    """A warning if a few measurements lie so far out that they squeeze all others together."""
    low, middle, high = np.quantile(y, (0.25, 0.5, 0.75))
    far = np.flatnonzero(np.abs(y - middle) > _OUTLIER * (high - low)) if high > low else np.array([], dtype=int)
    if 0 < len(far) <= max(1, len(y) // 100) and settings.scale == "range":
        worst = far[np.argmax(np.abs(y[far] - middle))]
        yield (
            f"Warning: {len(far)} of {len(y):,} measurements {'lies' if len(far) == 1 else 'lie'} more than {_OUTLIER:g} "
            f"interquartile ranges from the median, the farthest {y[worst]:g} at {places[worst]}: all others are squeezed "
            "together. `--scale robust` scales by the others."
        )
