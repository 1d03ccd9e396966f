"""Files that are either wholly there or not there at all."""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Writes to a temporary file beside `path`, syncs it, and renames it: a reader never sees a part.

    Raises:
        OSError: If it cannot be written (disk full, no permission); `path` is as it was and no temporary file stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_is_folder_to_be(folder: Path) -> None:
    """Raises a `ValueError` if a file stands where a folder of outputs is to be."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"Expected a folder for the outputs, but {folder} is a file. Name another by `--out`.")


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes several files of a folder, made if it is not there: all of them, or none where that cannot be.

    Every file is written and synced under another name first, so that a full disk leaves what was there as it was; then all are
    renamed.

    Raises:
        OSError: If one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in contents:
        if (folder / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))
    temporary = {name: folder / f".{name}.{os.getpid()}.tmp" for name in contents}
    try:
        for name, content in contents.items():
            write_atomically(temporary[name], content)
        for name, path in temporary.items():
            path.replace(folder / name)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON object atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
