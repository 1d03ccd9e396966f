"""Columns of a table: found by name or by what they hold, and read as numbers, or the cell that is none is named."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables.cells import Marks, advice, is_missing, is_number_like, parse_numbers
from hyperlearning.data.tables.layout import Table

_NUM_LOOKED_AT = 1000
_MOST_NAMED = 5
_MOST_COLUMNS_NAMED = 20


def place_of(table: Table, name: str, role: Literal["x", "y"]) -> int:
    """The place of the one column of a name; `role` is the option that asked for it."""
    places = [place for place, other in enumerate(table.header) if other == name]
    if not places:
        raise DataError(f"Expected `--{role}` to be among {named_columns(table)} in {table.source}, but got '{name}'.")
    if len(places) > 1:
        raise DataError(
            f"Expected one column '{name}' in {table.source}, but {len(places)} have that name (columns "
            f"{', '.join(str(place + 1) for place in places)}). Rename all but one, or name another by `--{role}`."
        )
    return places[0]


def cells_of(table: Table, place: int) -> list[str]:
    """A column's cells, without white space around them."""
    return [row[place].strip() for row in table.rows]


def pick_measurements(table: Table, x_place: int, names: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
    """Columns of measurements, and a sentence if they were not named and could have been others."""
    if names:
        places = [place_of(table, name, "y") for name in names]
        if x_place in places or len(set(places)) < len(places):
            raise DataError(f"Expected `--y` to be different columns, none of them x, but got {list(names)}.")
        return places, ()
    others = [place for place in range(len(table.header)) if place != x_place]
    place = next((place for place in others if _is_meant_as_numbers(cells_of(table, place))), None)
    if place is None:
        raise DataError(
            f"Expected a column of numbers beside '{table.header[x_place]}' in {table.source}, but got {named_columns(table)}."
            f"{_example(table, others)}"
        )
    x_name, y_name = table.header[x_place], table.header[place]
    place_of(table, x_name, "x")
    place_of(table, y_name, "y")
    said = f"x is '{x_name}', y is '{y_name}' (`--x` and `--y` name others among {named_columns(table)})."
    return [place], (said,) if len(others) > 1 else ()


def _example(table: Table, places: list[int]) -> str:
    for place in places:
        for line, cell in zip(table.lines, cells_of(table, place), strict=True):
            if not is_missing(cell) and not is_number_like(cell):
                return f" Column '{table.header[place]}' has '{shown(cell)}' in {table.place} {line}."
    return " All their cells are missing."


def _is_meant_as_numbers(cells: list[str]) -> bool:
    """Whether half of a column's cells or more look like numbers, among a thousand over its whole length."""
    there = [cell for cell in cells if not is_missing(cell)]
    looked_at = there[:: max(len(there) // _NUM_LOOKED_AT, 1)]
    return 2 * sum(map(is_number_like, looked_at)) >= max(len(looked_at), 1)


def number_cells(table: Table, names: tuple[str, ...]) -> list[list[str]]:
    """Those of some columns that are meant as numbers: what is written in notes says nothing of how numbers are."""
    columns = (cells_of(table, place) for place, name in enumerate(table.header) if name in names)
    return [cells for cells in columns if _is_meant_as_numbers(cells)]


def numbers_of(table: Table, place: int, cells: list[str], marks: Marks, option: str) -> Float[np.ndarray, " rows"]:
    """A column's numbers, (N,), NaN where missing; a cell that is none is an error that names `option`."""
    numbers = parse_numbers(cells, marks)
    if numbers.bad:
        raise DataError(bad_cell(table, place, cells, numbers.bad, "numbers", option, marks))
    return numbers.values


def bad_cell(
    table: Table, place: int, cells: list[str], bad: list[int], expected: str, option: str, marks: Marks
) -> str:
    """What to say of a column's cells that are not what is expected."""
    cell, others = cells[bad[0]], f" (and {len(bad) - 1:,} more like it)" if len(bad) > 1 else ""
    return (
        f"Expected {expected} in column '{table.header[place]}' of {table.source}, but got '{shown(cell)}' in "
        f"{table.place} {table.lines[bad[0]]}{others}.{advice(cell, marks) or _no_row(table, cell, bad)} `{option}` picks "
        f"another column among {named_columns(table)}."
    )


def _no_row(table: Table, cell: str, bad: list[int]) -> str:
    """What may be meant by one line that holds no numbers: units below a header, a note above it, a sum at the end."""
    if len(bad) > 1 or table.place != "line" or any(map(str.isdigit, cell)):
        return ""
    line = table.lines[bad[0]]
    if bad[0] == 0:
        return f" If line {line} holds units, or the one above it is a note, begin it with #."
    return f" If line {line} is no row, begin it with #."


def shown(cell: str) -> str:
    """A cell as a message shows it: short, and characters that cannot be seen as their codes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cell[:40])


def named_columns(table: Table) -> str:
    """Names of columns as a message lists them: a few of many."""
    names = list(map(str, table.header[:_MOST_COLUMNS_NAMED]))
    more = len(table.header) - len(names)
    return f"{names}{f' and {more:,} more' if more else ''}"


def named_places(table: Table, lines: np.ndarray) -> str:
    """Lines as a message names them: the first few."""
    more = ", ..." if len(lines) > _MOST_NAMED else ""
    return f"{table.place}{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:_MOST_NAMED]))}{more}"
