"""A measured series from a user's table: one column of positions or times, one or several of measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables.cells import Marks, recognised_marks, without_groups
from hyperlearning.data.tables.columns import (
    cells_of,
    named_places,
    number_cells,
    numbers_of,
    pick_measurements,
    place_of,
)
from hyperlearning.data.tables.layout import Table, parse_table
from hyperlearning.data.tables.parquet import read_parquet
from hyperlearning.data.tables.positions import read_positions, to_compute
from hyperlearning.data.tables.text import read_text, source_name

_WORDS = {"tab": "\t", "\\t": "\t", "space": " "}


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
        thousands: What groups digits, one character or `space`; by default numbers with such marks are refused.
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
    delimiter, thousands = (_WORDS.get(mark or "", mark) for mark in (delimiter, thousands))
    _check_options(delimiter, decimal, thousands, missing)
    if str(source).lower().endswith((".parquet", ".pq")):
        table = read_parquet(Path(source))
    else:
        text, said = read_text(source, encoding)
        table = parse_table(
            text, source_name(source), delimiter=delimiter, comment=comment, missing=missing, names=asked
        )
        table = table._replace(said=said + table.said)
    y_names = asked[1:] if x is not None else asked
    of_interest = (table.header[0] if x is None else x, *y_names) if y_names else table.header
    marks, said = _marks(table, number_cells(table, of_interest), decimal, thousands)
    table = table._replace(said=table.said + said)
    return _series(table, marks, x, y_names, missing)


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


def _marks(
    table: Table, columns: list[list[str]], decimal: str | None, thousands: str | None
) -> tuple[Marks, tuple[str, ...]]:
    if decimal is not None:
        return Marks(decimal, thousands), ()
    if thousands is not None:
        marks = _marks_of_grouped(table, columns, thousands)
        return marks, (f"The decimal mark is '{marks.decimal}'.",) if marks.decimal == "," else ()
    marks = recognised_marks(columns, table.source)
    return marks, () if marks == Marks() else ("The decimal mark is ',' (`--decimal .` if it is not).",)


def _marks_of_grouped(table: Table, columns: list[list[str]], thousands: str) -> Marks:
    """The decimal mark is what does not group; where neither comma nor point groups, it is recognised."""
    if thousands in ",.":
        return Marks("," if thousands == "." else ".", thousands)
    plain = ([without_groups(cell, thousands) for cell in cells] for cells in columns)
    return recognised_marks(plain, table.source)._replace(thousands=thousands)


def _series(table: Table, marks: Marks, x: str | None, y: tuple[str, ...], missing: str) -> MeasuredSeries:
    x_place = 0 if x is None else place_of(table, x, "x")
    x_cells = cells_of(table, x_place)
    positions = read_positions(table, x_place, x_cells, marks)
    y_places, picked = pick_measurements(table, x_place, y)
    columns = [numbers_of(table, place, cells_of(table, place), marks, "--y") for place in y_places]
    is_missing = positions.is_missing | np.isnan(columns).any(0)
    dropped = np.array(table.lines, np.int64)[is_missing]
    if len(dropped):
        _check_missing(
            table, positions.is_missing, columns, [table.header[x_place], *(table.header[k] for k in y_places)], missing
        )
        said = (
            f"Dropped {len(dropped):,} of {len(is_missing):,} rows with missing cells ({named_places(table, dropped)})."
        )
        picked = (*picked, said)
    keep = np.flatnonzero(~is_missing)
    x_text = tuple(x_cells[place] for place in keep)
    values, x_start = to_compute(positions.values[keep], positions.stamps, keep, x_text, marks)
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


def _check_missing(
    table: Table, x_is_missing: np.ndarray, columns: list[np.ndarray], names: list[str], missing: str
) -> None:
    masks = [x_is_missing, *(np.isnan(column) for column in columns)]
    lines = np.array(table.lines, np.int64)
    found = [
        f"{mask.sum():,} in '{name}' ({named_places(table, lines[mask])})"
        for name, mask in zip(names, masks, strict=True)
        if mask.any()
    ]
    if np.logical_or.reduce(masks).all():
        raise DataError(
            f"Expected rows with values in {table.source}, but all have missing or infinite ones: {', '.join(found)}."
        )
    if missing == "refuse":
        raise DataError(
            f"Expected finite values in {table.source}, but got missing or infinite ones: {', '.join(found)}. `--missing drop` "
            "leaves these rows out."
        )
