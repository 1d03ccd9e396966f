"""Tables that any CSV reader reads back: cells quoted where needed, names that differ, every digit of a number."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Num

from hyperlearning.core.atomic_files import write_atomically
from hyperlearning.data.tables.series import MeasuredSeries

_PLAIN = re.compile(r"""[^\s",;|#'](?:[^",;|\t\r\n]*[^\s",;|])?""")
"""What no reader takes for anything but the text of one cell."""


def unique_names(names: Sequence[str], taken: Sequence[str] = ()) -> tuple[str, ...]:
    """Gives each name that is taken already a number.

    Args:
        names: What columns are to be called.
        taken: Names that stay as they are.

    >>> unique_names(("dan", "mlp"), ("t", "dan"))
    ('dan 2', 'mlp')
    """
    known, given = set(taken), []
    for name in names:
        tries = (name if number == 1 else f"{name} {number}" for number in range(1, len(known) + 2))
        given.append(next(each for each in tries if each not in known))
        known.add(given[-1])
    return tuple(given)


def series_csv(series: MeasuredSeries, outputs: Mapping[str, Num[np.ndarray, " points"]]) -> bytes:
    """Writes a series as CSV in UTF-8: x as its file has it, measurements, and outputs beside them.

    Args:
        series: N rows.
        outputs: By name, (N,). A name that the series has gets a number.

    Returns:
        A header and N lines. Numbers have as many digits as float64 needs to be read back exactly; NaN is an empty cell.
    """
    names = (series.x_name, *unique_names((*series.y_names, *outputs), (series.x_name,)))
    columns = [map(_quoted, series.x_text), *map(_texts, series.y.T), *map(_texts, outputs.values())]
    lines = [",".join(map(_quoted, names)), *map(",".join, zip(*columns, strict=True))]
    return ("\n".join(lines) + "\n").encode()


def write_series(path: Path, series: MeasuredSeries, outputs: Mapping[str, Num[np.ndarray, " points"]]) -> None:
    """Writes `series_csv` to a file, which is wholly there or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    write_atomically(path, series_csv(series, outputs))


def _texts(values: np.ndarray) -> list[str]:
    return ["" if value != value else repr(value) for value in values.tolist()]


def _quoted(cell: str) -> str:
    return cell if _PLAIN.fullmatch(cell) else f'"{cell.replace(chr(34), chr(34) * 2)}"'
