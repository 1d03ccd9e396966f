"""From text to rows of cells: comments, delimiter, quotes and header, with the line of every row.

Python's `csv` module splits lines, strictly: pandas pads short rows, and takes what follows a stray quote for one cell.
"""

import csv
import io
import re
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables.cells import is_data, is_missing

_DELIMITERS = {"\t": "tab", ";": "';'", "|": "'|'", ",": "','", " ": "space"}
"""In order of preference where several fit: commas and spaces are also found inside cells."""
_NUM_SAMPLED = 200
_SEPARATOR_LINE = re.compile(r"sep=(.)\n?", re.IGNORECASE)


class Table(NamedTuple):
    """Rows of cells below a header.

    Attributes:
        source: What messages call it.
        header: Names of columns; a column without one is `column 3`.
        rows: N lists of as many cells as there are names.
        lines: In which line of the file each row begins, N, from 1; of a Parquet table, the row.
        place: `line` or `row`.
        delimiter: What stands between cells; empty for a Parquet table.
        said: Sentences about what was recognised.
    """

    source: str
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    place: str
    delimiter: str
    said: tuple[str, ...]


class _Rows(NamedTuple):
    cells: list[list[str]]
    lines: list[int]


def parse_table(
    text: str, source: str, *, delimiter: str | None, comment: str | None, missing: str, names: tuple[str, ...]
) -> Table:
    """Splits a text into a header and rows of as many cells.

    Args:
        text: With line feeds as line ends.
        source: What messages call it.
        delimiter: One character; recognised by default among tab, `;`, `|`, `,` and spaces.
        comment: What a line of comment begins with, `#` by default; empty for none.
        missing: `drop` pads rows that end early with missing cells; `refuse` refuses them.
        names: Columns that were asked for: a first row that holds one is a header even if all its cells are numbers.

    Returns:
        The table. No row is left out but blank ones.

    Raises:
        DataError: If there is no header with a row below it, a quote is not closed, or a row does not fit the header; the
            message names the line and what to do.
    """
    lines = list(io.StringIO(text))
    comments = _blank_comments(lines, "#" if comment is None else comment)
    said = [f"Skipped {_counted(len(comments), 'line')} of comment: {_first(list(comments))}."] if comments else []
    found = _separator(lines)
    if delimiter is None:
        delimiter = found or _recognised_delimiter(lines, source)
        said.append(f"Cells are separated by {_DELIMITERS.get(delimiter, repr(delimiter))}.")
    rows = _split(lines, delimiter, source)
    rows, num_blank = _without_blank(rows)
    said += [f"Skipped {_counted(num_blank, 'row')} in which all cells are empty."] if num_blank else []
    if not rows.cells:
        raise DataError(
            f"Expected a header and rows below it, but {source} holds {'comments' if comments else 'blanks'} only."
        )
    header, rows, sentence = _header(rows, list(comments.values()), names, source)
    said += [sentence] if sentence else []
    if not rows.cells:
        raise DataError(f"Expected rows below the header of {source}, but it ends after line {len(lines)}.")
    _fit(header, rows, delimiter, missing, source)
    named = tuple(name or f"column {place}" for place, name in enumerate(header, start=1))
    return Table(source, named, rows.cells, rows.lines, "line", delimiter, tuple(said))


def _blank_comments(lines: list[str], mark: str) -> dict[int, str]:
    """Empties lines of comment in place, so that numbers of lines hold, and returns what they said."""
    places = [place for place, line in enumerate(lines) if line.lstrip(" \t").startswith(mark)] if mark else []
    comments = {place + 1: lines[place].strip().removeprefix(mark) for place in places}
    for place in places:
        lines[place] = "\n"
    return comments


def _separator(lines: list[str]) -> str | None:
    """Spreadsheets write `sep=;` as a first line, which is no row."""
    found = _SEPARATOR_LINE.fullmatch(lines[0])
    if found is None:
        return None
    lines[0] = "\n"
    return found[1]


def _recognised_delimiter(lines: list[str], source: str) -> str:
    sample = [line for line in lines[: 5 * _NUM_SAMPLED] if line.strip()][:_NUM_SAMPLED]
    scores = {mark: score for mark in _DELIMITERS if (score := _score(sample, mark)) is not None}
    if scores or not sample:
        return max(scores, key=lambda mark: scores[mark], default=",")
    # A quote that is not closed hides delimiters; what is wrong with it is said once it is split.
    counts = {mark: sum(mark in line for line in sample) for mark in _DELIMITERS}
    if any(counts.values()) and any('"' in line or len(line) > csv.field_size_limit() for line in sample):
        return max(counts, key=lambda mark: counts[mark])
    raise DataError(
        f"Expected two columns or more in {source}, but found no tab, ';', '|', ',' or space that separates them in "
        f"'{_short(sample[0].strip())}'. Name what does by `--delimiter`."
    )


def _score(sample: list[str], delimiter: str) -> tuple[bool, float, bool] | None:
    """How well a delimiter splits lines into equally many cells; nothing if most have one."""
    counts, is_whole = [], True
    try:
        for row in csv.reader(sample, delimiter=delimiter, skipinitialspace=True, strict=True):
            counts += [len(row)] if row else []
    except csv.Error:  # A quote that is not closed, or is one with another delimiter only.
        is_whole = False
    several = Counter(count for count in counts if count > 1)
    if not several:
        return None
    width, num_rows = several.most_common(1)[0]
    fits = counts[0] == width
    return is_whole and fits and num_rows == len(counts), num_rows / len(counts), fits


def _split(lines: list[str], delimiter: str, source: str) -> _Rows:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, ends = [], [0]
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error as error:
        raise DataError(_quote_message(lines, ends[-1] + 1, reader.line_num, source, str(error))) from error
    starts = [end + 1 for end in ends[:-1]]
    if len(rows) < len(lines):
        _check_swallowed(rows, ends, delimiter, source)
    return _Rows(rows, starts)


def _quote_message(lines: list[str], start: int, end: int, source: str, reason: str) -> str:
    """What to say of the row that begins in line `start` and could not be split by line `end`."""
    first = lines[start - 1].rstrip("\n")
    if '"' not in first:
        return f"Expected cells of at most {csv.field_size_limit():,} characters in line {start} of {source}: {reason}."
    remedy = "Close the quote or delete it; a quote inside a quoted cell is written twice."
    if end == start and "unexpected end" not in reason:
        return f"Expected a delimiter after a closing quote in line {start} of {source}, but got '{_short(first)}'. {remedy}"
    cell = first[first.rindex('"') :]
    return (
        f"Expected a quote that is closed in line {start} of {source}, but got {_short(cell)}, which runs on to line {end}. "
        f"{remedy}"
    )


def _check_swallowed(rows: list[list[str]], ends: list[int], delimiter: str, source: str) -> None:
    """Refuses a quoted cell over several lines that look like rows: two stray quotes would hide what is between them."""
    width = max(len(next((row for row in rows if row), [])), 2)
    for row, (before, end) in zip(rows, pairwise(ends), strict=True):
        inside = (line for cell in row for line in cell.split("\n")[1:])
        if end > before + 1 and any(line.count(delimiter) >= width - 1 for line in inside):
            raise DataError(
                f"Expected a quote that is closed in line {before + 1} of {source}, but its cell runs on to line {end}, over "
                "lines that look like rows. Close the quote or delete it."
            )


def _without_blank(rows: _Rows) -> tuple[_Rows, int]:
    """Leaves out blank rows, and counts those that have delimiters."""
    keep = [place for place, row in enumerate(rows.cells) if "".join(row).strip()]
    num_blank = sum(len(row) > 1 for row in rows.cells) - sum(len(rows.cells[place]) > 1 for place in keep)
    return _Rows([rows.cells[place] for place in keep], [rows.lines[place] for place in keep]), num_blank


def _header(
    rows: _Rows, comments: list[str], names: tuple[str, ...], source: str
) -> tuple[tuple[str, ...], _Rows, str | None]:
    """The names of columns, the rows below them, and a sentence if names are not the first row."""
    first = tuple(cell.strip().replace("\n", " ") for cell in rows.cells[0])
    line = rows.lines[0]
    values = [is_data(cell) and not is_missing(cell) for cell in first]
    is_row = values[0] or (is_missing(first[0]) and any(values))
    if set(names) & set(first) or not is_row:
        return first, _Rows(rows.cells[1:], rows.lines[1:]), None
    width = len(_trimmed(first))
    above = re.split(r"[\t;|,]\s*|\s+", comments[-1].strip()) if comments else []
    if len(above) == width and not any(is_data(name) for name in above):
        return tuple(above), rows, f"Names of columns are those of the comment above line {line}."
    if all(is_data(cell) for cell in first if cell):
        return (
            tuple(f"column {place + 1}" for place in range(width)),
            rows,
            f"There is no header: line {line} is read as numbers.",
        )
    raise DataError(
        f"Expected names of columns in line {line} of {source}, but got {_short(str(list(first)))}. Add a header above it; if it "
        f"is one, name a column by `--x`, such as `--x {first[0]}`."
    )


def _fit(header: tuple[str, ...], rows: _Rows, delimiter: str, missing: str, source: str) -> None:
    """Makes every row as long as the header, in place, where cells beyond are empty and cells before may be missing."""
    width = len(header)
    for place, row in enumerate(rows.cells):
        if len(row) == width:
            continue
        trimmed = _trimmed(tuple(row))
        is_short = len(row) < len(_trimmed(header))
        if len(trimmed) > width or (is_short and missing == "refuse"):
            raise DataError(_length_message(header, rows, place, delimiter, source))
        rows.cells[place] = [*trimmed, *[""] * (width - len(trimmed))]


def _length_message(header: tuple[str, ...], rows: _Rows, place: int, delimiter: str, source: str) -> str:
    row, width = rows.cells[place], len(header)
    message = (
        f"Expected {_counted(width, 'cell')} in line {rows.lines[place]} of {source}, as in its header, but got {len(row)}: "
        f"{_short(delimiter.join(row))}."
    )
    first = _short(delimiter.join(header))
    if len(row) < width and re.match(r"[%!/;*]", first):
        return f"{message} If '{first}' is a comment, name what it begins with by `--comment`, such as `--comment {first[0]}`."
    if len(row) < width and place == 0 and not any(map(is_data, row)):
        return f"{message} If '{first}' is a note above the header, begin it with #."
    if len(row) < width:
        return f"{message} If it is no row, begin it with #; if it was cut off, `--missing drop` leaves such rows out."
    if place == 0 and (width == 1 or len(row) % width):  # Numbers with decimal commas make twice as many.
        message += f" If '{first}' is a note above the header, begin it with #."
    if delimiter == "," and width > 1:
        return f"{message} If a comma is a decimal comma, write ; between cells, or quote cells and name `--decimal ,`."
    return f"{message} Quote cells that hold a delimiter, or name the delimiter by `--delimiter`."


def _trimmed(row: tuple[str, ...]) -> tuple[str, ...]:
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return row[:end]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _first(places: list[int], most: int = 5) -> str:
    return ", ".join(map(str, places[:most])) + (", ..." if len(places) > most else "")


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
