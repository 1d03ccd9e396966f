"""A user's own table, read strictly: every row is learned from, dropped and counted, or the reason why it cannot be."""

from hyperlearning.data.tables.series import MeasuredSeries, read_series
from hyperlearning.data.tables.writing import series_csv, unique_names, write_series

__all__ = ["MeasuredSeries", "read_series", "series_csv", "unique_names", "write_series"]
