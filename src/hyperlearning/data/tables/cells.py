"""From cells to numbers and times: decimal marks, thousands marks, dates and what counts as missing.

Numbers are read by Python's `float`, which rounds as IEEE 754 says and so gives back what a program wrote; dates by pandas.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from hyperlearning.data.errors import DataError

_MISSING = frozenset(
    "|na|n/a|#n/a|nan|nat|null|none|-|--|?|.|inf|+inf|-inf|infinity|+infinity|-infinity".split("|"),
)
"""Cells without a finite value, in lower case."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NUMBER_LIKE = re.compile(r"[+-]?[.,]?\d[\d.,'’\s\u00a0\u2009\u202f]*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_DECIMAL = {mark: re.compile(rf"[+-]?\d*{re.escape(mark)}\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE) for mark in ",."}
_TIME = re.compile(
    r"(\d{4}[-/]\d{1,2}([-/]\d{1,2})?|(\d{4}[-/]\d{1,2}[-/]\d{1,2}[T ]\d{1,2}(:\d{2}(:\d{2}([.,]\d{1,9})?)?)?|\d{8}T\d{4,6})"
    r"(?P<zone> ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)",
    re.ASCII,
)
_THOUSANDS = {",": "','", ".": "'.'", "'": '"\'"', "’": "'’'", " ": "space"}
"""Marks that group digits, as they are named on the command line."""
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2009\u202f", " "))
"""Spaces at which no line breaks, and thin ones."""
_DATE_LIKE = re.compile(r"\d[/.:-]\d+[/.:-]\d|\d[/:]\d|\d[-/. ][a-z]{3,9}[-/. ]\d", re.IGNORECASE)


class Marks(NamedTuple):
    """How numbers are written.

    Attributes:
        decimal: `.` or `,`.
        thousands: One character, or nothing. A space stands for all kinds of spaces.
    """

    decimal: str = "."
    thousands: str | None = None


class Numbers(NamedTuple):
    """A column read as numbers.

    Attributes:
        values: (N,), NaN where a cell is missing or infinite.
        bad: Places of cells that are neither.
    """

    values: Float[np.ndarray, " rows"]
    bad: list[int]


class Times(NamedTuple):
    """A column read as times.

    Attributes:
        stamps: (N,), datetime64 in UTC, NaT where a cell is missing or infinite.
        bad: Places of cells that are neither.
        zoned: Where a zone is written, (N,).
    """

    stamps: np.ndarray
    bad: list[int]
    zoned: Bool[np.ndarray, " rows"]


def is_missing(cell: str) -> bool:
    """Whether a cell says that it has no value, or an infinite one."""
    return cell.lower() in _MISSING


def is_time(cell: str) -> bool:
    """Whether a cell looks like an ISO date, with or without a time of day and a zone."""
    return _TIME.fullmatch(cell) is not None


def is_number_like(cell: str) -> bool:
    """Whether a cell is meant as a number, with whatever marks."""
    return _NUMBER_LIKE.fullmatch(cell) is not None


def is_data(cell: str) -> bool:
    """Whether a cell is meant as a number or a date, or is missing: a name of a column is not."""
    return is_number_like(cell) or is_time(cell) or is_missing(cell)


def parse_numbers(cells: Sequence[str], marks: Marks) -> Numbers:
    """Reads cells as numbers, each the nearest float64.

    Args:
        cells: N, without white space around them.
        marks: How they are written.
    """
    plain = cells if marks == Marks() else [_plain(cell, marks) for cell in cells]
    try:
        values = np.array(list(map(float, plain)), np.float64)
    except ValueError:
        return _one_by_one(plain)
    text = "".join(plain)
    # `float` also takes underscores, digits of other scripts and words for infinity.
    return (
        Numbers(values, []) if text.isascii() and "_" not in text and np.isfinite(values).all() else _one_by_one(plain)
    )


def _one_by_one(cells: Sequence[str]) -> Numbers:
    values, bad = np.full(len(cells), np.nan), []
    for place, cell in enumerate(cells):
        if _NUMBER.fullmatch(cell):
            values[place] = float(cell)
        elif not is_missing(cell):
            bad.append(place)
    values[np.isinf(values)] = np.nan  # 1e999 is a number that no float64 holds.
    return Numbers(values, bad)


def _plain(cell: str, marks: Marks) -> str:
    """A number as Python writes it, or a text that is none."""
    cell = cell.translate(_SPACES) if marks.thousands == " " else cell
    if marks.thousands and marks.thousands in cell:
        if not _grouped(marks).fullmatch(cell):
            return cell if is_missing(cell) else f"not a number: {cell}"
        cell = cell.replace(marks.thousands, "")
    return cell if marks.decimal == "." or is_missing(cell) else cell.translate({ord(","): ".", ord("."): ","})


def _grouped(marks: Marks) -> re.Pattern[str]:
    """Numbers in groups of three digits; groups of two above the first three are Indian."""
    mark = re.escape(marks.thousands or "")
    return re.compile(
        rf"[+-]?\d{{1,3}}({mark}\d{{2,3}})*{mark}\d{{3}}({re.escape(marks.decimal)}\d*)?(e[+-]?\d+)?",
        re.ASCII | re.IGNORECASE,
    )


def parse_times(cells: Sequence[str]) -> Times:
    """Reads cells as ISO dates and times; without a zone they are taken as they stand.

    Args:
        cells: N, without white space around them.
    """
    # Imported here: pandas takes half a second to load, and most commands need none.
    import pandas as pd

    found = [_TIME.fullmatch(cell) for cell in cells]
    texts = [
        cell.replace(",", ".").replace("UTC", "Z") if match else "" for cell, match in zip(cells, found, strict=True)
    ]
    parsed = pd.DatetimeIndex(pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce"))
    stamps = parsed.tz_localize(None).to_numpy()
    bad = [place for place in np.flatnonzero(np.isnat(stamps)).tolist() if not is_missing(cells[place])]
    return Times(stamps, bad, np.array([match is not None and match["zone"] is not None for match in found], bool))


def without_groups(cell: str, thousands: str) -> str:
    """A cell without the marks that group its digits, if it is a number with such marks."""
    cell = cell.translate(_SPACES) if thousands == " " else cell
    is_grouped = any(_grouped(Marks(other, thousands)).fullmatch(cell) for other in ",." if other != thousands)
    return cell.replace(thousands, "") if is_grouped else cell


def recognised_marks(rows: Iterable[list[str]], source: str) -> Marks:
    """Finds whether numbers have decimal commas: some have, and none can only have a decimal point.

    Args:
        rows: Cells.
        source: What messages call their table.

    Raises:
        DataError: If some cells can only have a decimal comma and others only a decimal point.
    """
    rows = list(rows)
    comma = next((cell for row in rows for cell in row if "," in cell and _is_decimal(cell.strip(), ",")), None)
    if comma is None:
        return Marks()
    point = next((cell for row in rows for cell in row if "." in cell and _is_decimal(cell.strip(), ".")), None)
    if point is None:
        return Marks(",")
    raise DataError(
        f"Expected one decimal mark in {source}, but got '{comma.strip()}' and '{point.strip()}'. Name it by `--decimal .` or "
        "`--decimal ,`."
    )


def _is_decimal(cell: str, mark: str) -> bool:
    """Whether a mark can only be a decimal mark: `0,5` and `1234,567`, not `1,234`."""
    return _DECIMAL[mark].fullmatch(cell) is not None and not _is_grouped(cell, mark)


def _is_grouped(cell: str, mark: str) -> bool:
    groups = _grouped(Marks("," if mark == "." else ".", mark))
    return groups.fullmatch(cell) is not None and not cell.lstrip("+-").startswith("0")


def advice(cell: str, marks: Marks) -> str:
    """What may be meant by a cell that is not a number, with the option that says so; empty if nothing is known."""
    spaced = cell.translate(_SPACES)
    said = [
        f"`--thousands {name}`"
        for mark, name in _THOUSANDS.items()
        if mark in spaced and any(_grouped(Marks(other, mark)).fullmatch(spaced) for other in ",." if other != mark)
    ]
    options = [
        *said,
        *(f"`--decimal {mark}`" for mark in ",." if mark != marks.decimal and _DECIMAL[mark].fullmatch(cell)),
    ]
    if options:
        return f" If its mark is meant so, name {' or '.join(options)}."
    if _DATE_LIKE.search(cell):
        return " Dates are read as ISO writes them, such as 2024-03-31 or 2024-03-31T12:00:00Z."
    return ""
