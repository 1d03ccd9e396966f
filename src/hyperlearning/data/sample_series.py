"""Measured series that are at hand: those that come with matplotlib, and a folder of one's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables import read_series


class SampleSeries(NamedTuple):
    """A measured series.

    Attributes:
        name: What it is called.
        x: (N,), positions; seconds where they are times.
        y: (N,), measurements.
        is_time: Whether positions are times.
    """

    name: str
    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]
    is_time: bool


def sample_series(folder: Path | None) -> Iterator[SampleSeries]:
    """Yields the series that come with matplotlib, then those of a folder's tables, by name.

    Raises:
        DataError: If the folder is not there, holds no table, or one cannot be read.
    """
    yield from _of_matplotlib()
    if folder is None:
        return
    files = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    if not files:
        raise DataError(f"Expected a folder with tables `*.csv`, but got {folder}.")
    for file in files:
        series = read_series(file)
        yield SampleSeries(file.stem, series.x, series.y[:, 0], series.is_time)


def _of_matplotlib() -> Iterator[SampleSeries]:
    from matplotlib import cbook

    terrain: Any = cbook.get_sample_data("jacksboro_fault_dem.npz")
    elevation = terrain["elevation"][170].astype(float)
    yield SampleSeries("elevation across a fault", 0.1 * np.arange(len(elevation)), elevation, is_time=False)
    prices: Any = cbook.get_sample_data("goog.npz")
    prices = prices["price_data"]
    days = (prices["date"] - prices["date"][0]) / np.timedelta64(1, "s")
    yield SampleSeries("price of a share", days, prices["close"].astype(float), is_time=True)
    path: Any = cbook.get_sample_data("eeg.dat", asfileobj=False)
    voltage = np.fromfile(path, dtype=np.float64).reshape(-1, 4)[:, 0]
    yield SampleSeries("electroencephalogram", np.arange(len(voltage)) / 80, voltage, is_time=False)
