"""Files that are either wholly there or not there at all."""

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


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON object atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
