"""Folders that one process at a time writes to."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hyperlearning.core.errors import RunError


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps a second process from writing to a folder while the block runs; whoever dies lets go.

    Raises:
        RunError: If another live process has it.
    """
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"Expected {folder} to be idle, but another process is working on it.") from error
        yield
