"""What is raised where data are absent, damaged or not what they should be."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataError(ValueError):
    """A data set's file, archive or arrays are not what was expected."""


class AbsentDataError(DataError):
    """A data set is not under the data root."""


class DownloadError(DataError):
    """A file could not be downloaded, or is not the one that was published."""


@contextmanager
def reading(path: Path, form: str) -> Iterator[None]:
    """Turns whatever a parser raises on damaged or hostile bytes into one error that names the file.

    Args:
        path: The file that is read.
        form: What it should be, such as `a zip archive`.

    Yields:
        Nothing.

    Raises:
        DataError: If anything goes wrong inside.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # The parsers of zlib, tar, PNG and MATLAB files raise almost any type on bad bytes.
        reason = f"{type(error).__name__}: {error}".rstrip(".: ")
        raise DataError(
            f"Expected {form} at {path}, but it cannot be read ({reason}). If it is damaged, delete it and fetch it again."
        ) from error
