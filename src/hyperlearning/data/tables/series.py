"""A measured series from a user's table: one column of positions or times, one or several of measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables.cells import (
    Marks,
    advice,
    is_missing,
    is_number_like,
    is_time,
    parse_numbers,
    parse_times,
    recognised_marks,
)
from hyperlearning.data.tables.layout import Table, parse_table
from hyperlearning.data.tables.parquet import read_parquet
from hyperlearning.data.tables.text import read_text, source_name

_DELIMITER_WORDS = {"tab": "\t", "\\t": "\t", "space": " "}
_NUM_LOOKED_AT = 1000
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class MeasuredSeries:
    """A series in the order of its file.

    Attributes:
        x: Positions to compute with, (N,): numbers as they are, or seconds since the first row's time. Numbers too long for
            float64 to tell apart count from the first.
        x_name: What positions are.
        x_text: The cells of x as the file has them, N: outputs give them back to the last digit.
        x_start: From which cell `x` counts, as the file has it; empty if it counts from zero.
        stamps: Times in UTC (as they stand if no zone is written), (N,), datetime64; nothing if x are numbers.
        y: Measurements, (N, K).
        y_names: What measurements are, K.
        lines: In which line each row begins, from 1, (N,); of a Parquet table, the row.
        dropped: Likewise of rows that were left out because a cell was missing or infinite, (M,).
        said: Sentences about what was recognised.
        source: The path, or `standard input`.
    """

    x: Float[np.ndarray, " points"]
    x_name: str
    x_text: tuple[str, ...]
    x_start: str
    stamps: np.ndarray | None
    y: Float[np.ndarray, "points columns"]
    y_names: tuple[str, ...]
    lines: Int64[np.ndarray, " points"]
    dropped: Int64[np.ndarray, " dropped"]
    said: tuple[str, ...]
    source: str

    @property
    def is_time(self) -> bool:
        """Whether x are times."""
        return self.stamps is not None


class _Positions(NamedTuple):
    values: Float[np.ndarray, " rows"]
    stamps: np.ndarray | None
    is_missing: Bool[np.ndarray, " rows"]
    said: tuple[str, ...]


def read_series(
    source: str | Path,
    *,
    x: str | None = None,
    y: str | Sequence[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
    missing: str = "refuse",
) -> MeasuredSeries:
    """Reads columns of a table: CSV, TSV, any text with a delimiter, or Parquet. What is not named is recognised and said.

    Args:
        source: A path, or `-` for standard input. `.parquet` is read by pandas.
        x: The column of positions, numbers or ISO dates; the first by default.
        y: Columns of measurements; by default the first column of numbers that is not x.
        delimiter: What separates cells, one character, `tab` or `space`.
        decimal: `.` or `,`.
        thousands: What groups digits; by default numbers with such marks are refused.
        encoding: Any that Python knows.
        comment: What lines of comment begin with; `#` by default, empty for none.
        missing: `refuse`, or `drop` to leave out rows whose x or y is missing or infinite.

    Returns:
        The series. Every row below the header is in it or among `dropped`, but for blank ones.

    Raises:
        DataError: If the source or a cell cannot be used; the message names line, column and cell, and the option that helps.
        ValueError: If an option is none of what it may be.
    """
    asked = ((x,) if x is not None else ()) + ((y,) if isinstance(y, str) else tuple(y))
    delimiter = _DELIMITER_WORDS.get(delimiter or "", delimiter)
    _check_options(delimiter, decimal, thousands, missing)
    if str(source).lower().endswith((".parquet", ".pq")):
        table = read_parquet(Path(source))
    else:
        text, said = read_text(source, encoding)
        table = parse_table(
            text, source_name(source), delimiter=delimiter, comment=comment, missing=missing, names=asked
        )
        table = table._replace(said=said + table.said)
    marks, said = _marks(table, decimal, thousands)
    table = table._replace(said=table.said + said)
    return _series(table, marks, x, asked[1:] if x is not None else asked, missing)


def _check_options(delimiter: str | None, decimal: str | None, thousands: str | None, missing: str) -> None:
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\n\r' or delimiter.isdigit()):
        raise ValueError(f"Expected `delimiter` to be one character, 'tab' or 'space', but got {delimiter!r}.")
    if decimal not in (None, ".", ","):
        raise ValueError(f"Expected `decimal` to be '.' or ',', but got {decimal!r}.")
    if thousands is not None and (
        len(thousands) != 1 or thousands.isalnum() or thousands in '+-"\n\r' or thousands == decimal
    ):
        raise ValueError(
            f"Expected `thousands` to be one character that is neither a digit, a letter, a sign nor the decimal mark, but got "
            f"{thousands!r}."
        )
    if missing not in ("refuse", "drop"):
        raise ValueError(f"Expected `missing` to be 'refuse' or 'drop', but got {missing!r}.")


def _marks(table: Table, decimal: str | None, thousands: str | None) -> tuple[Marks, tuple[str, ...]]:
    if decimal is not None:
        return Marks(decimal, thousands), ()
    if thousands is not None:
        decimal = "," if thousands == "." else "."
        return Marks(decimal, thousands), (f"The decimal mark is '{decimal}'.",) if decimal == "," else ()
    marks = recognised_marks(table.rows, table.source)
    return marks, () if marks == Marks() else ("The decimal mark is ',' (`--decimal .` if it is not).",)


def _series(table: Table, marks: Marks, x: str | None, y: tuple[str, ...], missing: str) -> MeasuredSeries:
    x_place = 0 if x is None else _place(table, x, "x")
    x_cells = _cells(table, x_place)
    positions = _positions(table, x_place, x_cells, marks)
    y_places, picked = _y_places(table, x_place, y)
    columns = [_numbers(table, place, _cells(table, place), marks, "--y") for place in y_places]
    is_missing = positions.is_missing | np.isnan(columns).any(0)
    dropped = np.array(table.lines, np.int64)[is_missing]
    if len(dropped):
        _check_missing(
            table, positions.is_missing, columns, [table.header[x_place], *(table.header[k] for k in y_places)], missing
        )
        said = f"Dropped {len(dropped):,} of {len(is_missing):,} rows with missing cells ({_places(table, dropped)})."
        picked = (*picked, said)
    keep = np.flatnonzero(~is_missing)
    x_text = tuple(x_cells[place] for place in keep)
    values, x_start = _to_compute(positions.values[keep], positions.stamps, keep, x_text, marks)
    return MeasuredSeries(
        x=values,
        x_name=table.header[x_place],
        x_text=x_text,
        x_start=x_start,
        stamps=None if positions.stamps is None else positions.stamps[keep],
        y=np.stack(columns, axis=1)[keep],
        y_names=tuple(table.header[place] for place in y_places),
        lines=np.array(table.lines, np.int64)[keep],
        dropped=dropped,
        said=(*table.said, *positions.said, *picked),
        source=table.source,
    )


def _place(table: Table, name: str, role: Literal["x", "y"]) -> int:
    places = [place for place, other in enumerate(table.header) if other == name]
    if not places:
        raise DataError(f"Expected `--{role}` to be among {list(table.header)} in {table.source}, but got '{name}'.")
    if len(places) > 1:
        raise DataError(
            f"Expected one column '{name}' in {table.source}, but {len(places)} have that name (columns "
            f"{', '.join(str(place + 1) for place in places)}). Rename all but one, or name another by `--{role}`."
        )
    return places[0]


def _cells(table: Table, place: int) -> list[str]:
    return [row[place].strip() for row in table.rows]


def _y_places(table: Table, x_place: int, names: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
    """Columns of measurements, and a sentence if they were not named and could have been others."""
    if names:
        places = [_place(table, name, "y") for name in names]
        if x_place in places or len(set(places)) < len(places):
            raise DataError(f"Expected `--y` to be different columns, none of them x, but got {list(names)}.")
        return places, ()
    others = [place for place in range(len(table.header)) if place != x_place]
    place = next((place for place in others if _is_meant_as_numbers(_cells(table, place))), None)
    if place is None:
        raise DataError(
            f"Expected a column of numbers beside '{table.header[x_place]}' in {table.source}, but got {list(table.header)}."
            f"{_example(table, others)}"
        )
    x_name, y_name = table.header[x_place], table.header[place]
    _place(table, x_name, "x")
    _place(table, y_name, "y")
    said = f"x is '{x_name}', y is '{y_name}' (`--x` and `--y` name others among {list(table.header)})."
    return [place], (said,) if len(others) > 1 else ()


def _example(table: Table, places: list[int]) -> str:
    for place in places:
        for line, cell in zip(table.lines, _cells(table, place), strict=True):
            if not is_missing(cell):
                return f" Column '{table.header[place]}' has '{cell[:40]}' in {table.place} {line}."
    return " All their cells are missing."


def _is_meant_as_numbers(cells: list[str]) -> bool:
    """Whether half of a column's cells or more look like numbers, among a thousand over its whole length."""
    there = [cell for cell in cells if not is_missing(cell)]
    looked_at = there[:: max(len(there) // _NUM_LOOKED_AT, 1)]
    return 2 * sum(map(is_number_like, looked_at)) >= max(len(looked_at), 1)


def _positions(table: Table, place: int, cells: list[str], marks: Marks) -> _Positions:
    first = next((cell for cell in cells if not is_missing(cell)), "")
    if not is_time(first):
        values = _numbers(table, place, cells, marks, "--x")
        return _Positions(values, None, np.isnan(values), _compact_dates(table.header[place], cells))
    times = parse_times(cells)
    if times.bad:
        raise DataError(_bad_cell(table, place, cells, times.bad, "ISO dates", "--x", marks))
    is_absent = np.isnat(times.stamps)
    if len(set(times.zoned[~is_absent])) > 1:
        odd = int(np.flatnonzero(~is_absent & (times.zoned != times.zoned[~is_absent][0]))[0])
        raise DataError(
            f"Expected times that all have a zone or all have none in column '{table.header[place]}' of {table.source}, but got "
            f"'{first}' and, in {table.place} {table.lines[odd]}, '{cells[odd]}'."
        )
    zone = "in UTC" if times.zoned.any() else "without a zone"
    said = f"'{table.header[place]}' is read as time, {zone}, and learned in seconds since the first row."
    return _Positions(
        np.where(is_absent, np.nan, 0.0), times.stamps, is_absent, (said, *_times_of_day(table, place, cells))
    )


def _times_of_day(table: Table, place: int, cells: list[str]) -> tuple[str, ...]:
    """A word of warning where the time of day stands in a column of its own."""
    if len(set(cells)) == len(cells) or any(":" in cell for cell in cells[:_MOST_NAMED]):
        return ()
    beside = [name for k, name in enumerate(table.header) if ":" in table.rows[0][k] and k != place]
    return tuple(
        f"The times of day in '{name}' are not read: write date and time into one column." for name in beside[:1]
    )


def _compact_dates(name: str, cells: list[str]) -> tuple[str, ...]:
    if not all(len(cell) == 8 and cell.isdigit() and cell[:2] in ("19", "20") for cell in cells):
        return ()
    return (f"'{name}' is read as plain numbers; if they are dates, write them as 2024-03-31.",)


def _numbers(table: Table, place: int, cells: list[str], marks: Marks, option: str) -> Float[np.ndarray, " rows"]:
    numbers = parse_numbers(cells, marks)
    if numbers.bad:
        raise DataError(_bad_cell(table, place, cells, numbers.bad, "numbers", option, marks))
    return numbers.values


def _bad_cell(
    table: Table, place: int, cells: list[str], bad: list[int], expected: str, option: str, marks: Marks
) -> str:
    others = f" (and {len(bad) - 1:,} more like it)" if len(bad) > 1 else ""
    return (
        f"Expected {expected} in column '{table.header[place]}' of {table.source}, but got '{cells[bad[0]][:40]}' in "
        f"{table.place} {table.lines[bad[0]]}{others}.{advice(cells[bad[0]], marks)} `{option}` picks another column among "
        f"{list(table.header)}."
    )


def _check_missing(
    table: Table, x_is_missing: np.ndarray, columns: list[np.ndarray], names: list[str], missing: str
) -> None:
    masks = [x_is_missing, *(np.isnan(column) for column in columns)]
    lines = np.array(table.lines, np.int64)
    found = [
        f"{mask.sum():,} in '{name}' ({_places(table, lines[mask])})"
        for name, mask in zip(names, masks, strict=True)
        if mask.any()
    ]
    if np.logical_or.reduce(masks).all():
        raise DataError(
            f"Expected rows with values in {table.source}, but each has a missing or infinite one: {', '.join(found)}."
        )
    if missing == "refuse":
        raise DataError(
            f"Expected finite values in {table.source}, but got missing or infinite ones: {', '.join(found)}. `--missing drop` "
            "leaves these rows out."
        )


def _places(table: Table, lines: np.ndarray) -> str:
    more = ", ..." if len(lines) > _MOST_NAMED else ""
    return f"{table.place}{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:_MOST_NAMED]))}{more}"


def _to_compute(
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
    finest = np.diff(distinct).min(initial=np.inf)
    return len(distinct) >= len(set(texts)) and bool(finest > 1000 * np.spacing(np.abs(distinct).max()))


def _exact(text: str, marks: Marks) -> Decimal:
    plain = text.replace(marks.thousands, "") if marks.thousands else text
    return Decimal(plain.replace(",", "."))
