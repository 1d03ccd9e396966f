"""MATLAB 5 files, checked before SciPy reads them."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io

from hyperlearning.data.archives import DEFAULT_LIMITS, Limits
from hyperlearning.data.errors import DataError, reading

_HEADER, _COMPRESSED = 128, 15
_CHUNK = 1 << 20


def read_matlab(
    path: Path, variables: Mapping[str, tuple[int | None, ...]], limits: Limits = DEFAULT_LIMITS
) -> dict[str, np.ndarray]:
    """Reads numeric variables of known shapes.

    Args:
        path: A MATLAB 5 file, little-endian as every current one is.
        variables: Names and shapes; None stands for any length.
        limits: How much it may unpack to.

    Returns:
        The variables.

    Raises:
        DataError: If it is not such a file, unpacks to too much, or a variable is missing or of another shape or kind.
    """
    with reading(path, "a MATLAB 5 file"):
        _check_expansion(path, limits)
        found = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(path)}
        for name, wanted in variables.items():
            shape, kind = found.get(name, ((), "nothing"))
            fits = len(shape) == len(wanted) and all(w in (None, s) for w, s in zip(wanted, shape, strict=True))
            if not (fits and kind in ("uint8", "double")):
                numbers = " x ".join("N" if w is None else str(w) for w in wanted)
                raise DataError(f"Expected '{name}' of {numbers} numbers in {path}, but got {kind} of {shape}.")
            limits.check(path, 8 * int(np.prod(shape, dtype=object)), limits.max_bytes)
        values = scipy.io.loadmat(path, variable_names=list(variables))
    return {name: np.asarray(values[name]) for name in variables}


def _check_expansion(path: Path, limits: Limits) -> None:
    """Walks the elements and unpacks each compressed one piece by piece, keeping nothing."""
    size, total = path.stat().st_size, 0
    with path.open("rb") as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER or not header.startswith(b"MATLAB 5.0") or header[126:] != b"IM":
            raise DataError(f"Expected a MATLAB 5 file at {path}, but got one that begins with {header[:10]!r}.")
        while tag := file.read(8):
            kind, length = struct.unpack("<II", tag)
            if file.tell() + length > size:
                raise DataError(f"Expected {length} more bytes in {path}, but it ends before: it is truncated.")
            total += length
            if kind == _COMPRESSED:
                unpacker = zlib.decompressobj()
                packed = file.read(length)
                while packed and not unpacker.eof:
                    total += len(unpacker.decompress(packed, _CHUNK))
                    limits.check(path, total, size)
                    packed = unpacker.unconsumed_tail
            else:
                file.seek(length, 1)
