"""What figures accept as data: numbers out of a record, checked before anything is drawn."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def as_array(values: ArrayLike, shape: Sequence[int | None], *, name: str) -> Array:
    """Reads an array and checks its shape.

    Args:
        values: Numbers, nested as deep as `shape` is long.
        shape: Size of each axis, `None` where any positive size will do.
        name: What the caller calls it.

    Raises:
        ValueError: If the shape differs or the rows are of unequal length.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except ValueError as error:
        raise ValueError(
            f"Expected `{name}` to be numbers of shape {_shown(shape)}, but got ragged or other values."
        ) from error
    fits = array.ndim == len(shape) and all(
        size > 0 if wanted is None else size == wanted for size, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"Expected `{name}` of shape {_shown(shape)}, but got {array.shape}.")
    return array


def as_grid(values: ArrayLike, *, name: str = "grid") -> Array:
    """Reads a strictly increasing axis of at least two finite points.

    Raises:
        ValueError: If it is anything else.
    """
    grid = as_array(values, (None,), name=name)
    if len(grid) < 2 or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
        raise ValueError(f"Expected `{name}` to be 2 or more finite, increasing numbers, but got {len(grid)} not so.")
    return grid


def task_edges(grid: Array, num_tasks: int, edges: ArrayLike | None) -> Array:
    """Finds where each task's window begins and ends.

    Args:
        grid: (P,), increasing.
        num_tasks: T.
        edges: T + 1 increasing numbers, or `None` for equal windows over the grid.

    Raises:
        ValueError: If there is no task, or the edges are not T + 1.
    """
    if num_tasks < 1:
        raise ValueError(f"Expected `num_tasks` to be positive, but got {num_tasks}.")
    if edges is None:
        return np.linspace(grid[0], grid[-1], num_tasks + 1)
    given = as_grid(edges, name="edges")
    return as_array(given, (num_tasks + 1,), name="edges")


def _shown(shape: Sequence[int | None]) -> str:
    return (
        "(" + ", ".join("any" if size is None else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    )
