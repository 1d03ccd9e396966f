"""Parquet tables, read by pandas and then like any other: as cells."""

from pathlib import Path
from typing import Any

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables.layout import Table
from hyperlearning.data.tables.text import check_is_file


def read_parquet(path: Path) -> Table:
    """Reads a Parquet table whose columns are numbers, times and texts.

    Raises:
        DataError: If it is absent or damaged, has no rows or fewer than two columns, or pyarrow is not installed.
    """
    # Imported here: pandas takes half a second to load, and most commands need none.
    import pandas as pd

    check_is_file(path)
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise DataError(
            f"Expected pyarrow, which reads Parquet such as {path}, but it is not installed: `pip install pyarrow`, or save the "
            "table as CSV."
        ) from error
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        NotImplementedError,
    ) as error:  # What pyarrow's errors derive from.
        raise DataError(f"Expected a Parquet table, but {path} cannot be read: {error}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    if len(frame) == 0 or len(frame.columns) < 2:
        raise DataError(
            f"Expected rows and two columns or more in {path}, but got {len(frame)} rows of {len(frame.columns)}."
        )
    columns = [_texts(frame.iloc[:, place]) for place in range(len(frame.columns))]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Table(str(path), tuple(map(str, frame.columns)), rows, list(range(1, len(frame) + 1)), "row", "", ())


def _texts(column: Any) -> list[str]:
    """Cells as they would be written: every digit of a number, times as ISO writes them."""
    values, absent = column.tolist(), column.isna().tolist()
    return ["" if gone else _text(value) for value, gone in zip(values, absent, strict=True)]


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
