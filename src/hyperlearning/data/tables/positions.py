"""Positions of a series: plain numbers, or times that become seconds, so that float64 tells them apart."""

import math
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables.cells import Marks, is_missing, is_time, parse_times, without_groups
from hyperlearning.data.tables.columns import bad_cell, numbers_of
from hyperlearning.data.tables.layout import Table

_NUM_LOOKED_AT = 5


class Positions(NamedTuple):
    """A column of positions.

    Attributes:
        values: Numbers, (N,), NaN where missing; of times nothing but that.
        stamps: Times, (N,), datetime64 in UTC, or nothing.
        is_missing: Where a cell is missing or infinite, (N,).
        said: Sentences about what was recognised.
    """

    values: Float[np.ndarray, " rows"]
    stamps: np.ndarray | None
    is_missing: Bool[np.ndarray, " rows"]
    said: tuple[str, ...]


def read_positions(table: Table, place: int, cells: list[str], marks: Marks) -> Positions:
    """Reads a column as times if its first cell is one, and else as numbers."""
    first = next((cell for cell in cells if not is_missing(cell)), "")
    if not is_time(first):
        values = numbers_of(table, place, cells, marks, "--x")
        return Positions(values, None, np.isnan(values), _compact_dates(table.header[place], cells))
    times = parse_times(cells)
    if times.bad:
        raise DataError(bad_cell(table, place, cells, times.bad, "ISO dates", "--x", marks))
    is_absent = np.isnat(times.stamps)
    if len(set(times.zoned[~is_absent])) > 1:
        odd = int(np.flatnonzero(~is_absent & (times.zoned != times.zoned[~is_absent][0]))[0])
        raise DataError(
            f"Expected times that all have a zone or all have none in column '{table.header[place]}' of {table.source}, but got "
            f"'{first}' and, in {table.place} {table.lines[odd]}, '{cells[odd]}'."
        )
    zone = "in UTC" if times.zoned.any() else "without a zone"
    said = f"'{table.header[place]}' is read as time, {zone}, and learned in seconds since the first row."
    return Positions(
        np.where(is_absent, np.nan, 0.0), times.stamps, is_absent, (said, *_times_of_day(table, place, cells))
    )


def _times_of_day(table: Table, place: int, cells: list[str]) -> tuple[str, ...]:
    """A word of warning where the time of day stands in a column of its own."""
    if len(set(cells)) == len(cells) or any(":" in cell for cell in cells[:_NUM_LOOKED_AT]):
        return ()
    beside = [name for k, name in enumerate(table.header) if ":" in table.rows[0][k] and k != place]
    return tuple(
        f"The times of day in '{name}' are not read: write date and time into one column." for name in beside[:1]
    )


def _compact_dates(name: str, cells: list[str]) -> tuple[str, ...]:
    if not all(len(cell) == 8 and cell.isdigit() and cell[:2] in ("19", "20") for cell in cells):
        return ()
    return (f"'{name}' is read as plain numbers; if they are dates, write them as 2024-03-31.",)


def to_compute(
    values: np.ndarray, stamps: np.ndarray | None, keep: np.ndarray, texts: tuple[str, ...], marks: Marks
) -> tuple[np.ndarray, str]:
    """Positions to compute with, and the cell from which they count."""
    if stamps is not None:
        since = stamps[keep] - stamps[keep[0]]
        return since / np.timedelta64(1, "s"), texts[0]
    if not _are_told_apart(values, texts):
        exact = [_exact(text, marks) for text in texts]
        return np.array([float(each - exact[0]) for each in exact]), texts[0]
    return values, ""


def _are_told_apart(values: np.ndarray, texts: tuple[str, ...]) -> bool:
    """Whether float64 keeps distances between positions, as it does not between nanoseconds since 1970."""
    if max(map(len, texts)) <= 15:
        return True
    distinct = np.unique(values)
    with np.errstate(over="ignore"):  # Of what is too far apart for float64, which learning refuses by name.
        finest = np.diff(distinct).min(initial=np.inf)
    return len(distinct) >= len(set(texts)) and bool(finest > 1000 * math.ulp(np.abs(distinct).max()))


def _exact(text: str, marks: Marks) -> Decimal:
    plain = without_groups(text, marks.thousands) if marks.thousands else text
    return Decimal(plain.replace(",", "."))
