"""Reading archives without trusting them.

Nothing is ever extracted to disk: a member is read into memory and given out with its name, so that a path or a link in an
archive has nowhere to point to. Archives that hold such things are refused all the same, since no canonical one does.
"""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hyperlearning.data.errors import DataError, reading

_LINK, _TYPE_MASK = 0o120000, 0o170000
_CHUNK = 1 << 20

Member = tuple[str, bytes]
"""A member's path inside its archive, and its content."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much an archive may unpack to.

    Attributes:
        max_bytes: Most bytes in all.
        max_ratio: Most bytes for each compressed byte; counts from `ratio_from` bytes on.
        ratio_from: Bytes below which the ratio does not matter.
        max_members: Most members.
    """

    max_bytes: int = 4 << 30
    max_ratio: float = 100.0
    ratio_from: int = 8 << 20
    max_members: int = 500_000

    def check(self, path: Path, num_bytes: int, compressed: int) -> None:
        """Checks a running total.

        Args:
            path: The archive.
            num_bytes: Bytes unpacked so far.
            compressed: The archive's own size in bytes.

        Raises:
            DataError: If there are too many.
        """
        if num_bytes > self.max_bytes:
            raise DataError(
                f"Expected {path} to unpack to at most {self.max_bytes:,} bytes, but got more. It is not read."
            )
        if num_bytes > max(self.ratio_from, self.max_ratio * compressed):
            raise DataError(
                f"Expected {path} to unpack to at most {self.max_ratio:g} bytes for each compressed one, but got more. "
                "It is not read."
            )


DEFAULT_LIMITS = Limits()
"""Far above any canonical archive, far below what harms a machine."""


def read_gzip(path: Path, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Reads a gzip file whole.

    Args:
        path: The file.
        limits: How much it may unpack to.

    Returns:
        Its content.

    Raises:
        DataError: If it is not a whole gzip file or unpacks to too much.
    """
    with reading(path, "a gzip file"), gzip.open(path) as file:
        return _CountingReader(file, path, limits).read()


def gunzip(path: Path, content: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Unpacks what an archive holds gzipped.

    Args:
        path: The archive, for limits and errors.
        content: One of its members.
        limits: How much it may unpack to.

    Returns:
        Its content.

    Raises:
        DataError: If it is not whole gzipped data or unpacks to too much.
    """
    with reading(path, "an archive of gzip files"), gzip.open(io.BytesIO(content)) as file:
        return _CountingReader(file, path, limits).read()


def read_zip(path: Path, wanted: Callable[[str], bool], limits: Limits = DEFAULT_LIMITS) -> Iterator[Member]:
    """Reads members of a zip archive in the order of their paths.

    Args:
        path: The archive.
        wanted: Whether to give out the member of a path.
        limits: How much it may unpack to, all members taken together.

    Yields:
        Path and content.

    Raises:
        DataError: If it is not a whole zip archive, unpacks to too much, or holds a link or a path that leads out of it.
    """
    with reading(path, "a zip archive"), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_count(path, len(members), limits)
        for member in members:
            _check_name(path, member.filename)
            if (member.external_attr >> 16) & _TYPE_MASK == _LINK:
                raise DataError(f"Expected only files in {path}, but got the link '{member.filename}'. It is not read.")
        limits.check(path, sum(member.file_size for member in members), path.stat().st_size)
        for member in sorted(members, key=lambda m: m.filename):
            if not member.is_dir() and wanted(member.filename):
                yield member.filename, archive.read(member)


def read_tar_gzip(path: Path, wanted: Callable[[str], bool], limits: Limits = DEFAULT_LIMITS) -> Iterator[Member]:
    """Reads members of a gzipped tar archive in the order in which they lie.

    Args:
        path: The archive.
        wanted: Whether to give out the member of a path.
        limits: How much it may unpack to.

    Yields:
        Path and content.

    Raises:
        DataError: If it is not a whole archive, unpacks to too much, or holds anything but folders and plain files inside
            it.
    """
    with reading(path, "a gzipped tar archive"), gzip.open(path) as packed:
        counted = _CountingReader(packed, path, limits)
        with tarfile.open(fileobj=counted, mode="r|") as archive:  # pyright: ignore[reportArgumentType, reportCallIssue]
            for index, member in enumerate(archive):
                _check_count(path, index + 1, limits)
                _check_name(path, member.name)
                _check_kind(path, member)
                # The header's size is not to be believed before memory is taken.
                limits.check(path, member.size, path.stat().st_size)
                if member.isfile() and wanted(member.name):
                    file = archive.extractfile(member)
                    assert file is not None
                    yield member.name, file.read()
        while counted.read(_CHUNK):
            pass  # Reads to the end, so that gzip's own checksum is verified.


class _CountingReader:
    """A file whose reader stops where the limits are passed."""

    def __init__(self, file: gzip.GzipFile, path: Path, limits: Limits) -> None:
        self._file, self._path, self._limits = file, path, limits
        self._compressed, self._count = path.stat().st_size, 0

    def read(self, size: int = -1) -> bytes:
        """Reads `size` bytes, or all there are, in pieces that are counted before the next is unpacked."""
        pieces = []
        while size:
            piece = self._file.read(_CHUNK if size < 0 else min(size, _CHUNK))
            if not piece:
                break
            self._count += len(piece)
            self._limits.check(self._path, self._count, self._compressed)
            pieces.append(piece)
            size -= len(piece) if size > 0 else 0
        return b"".join(pieces)


def _check_count(path: Path, num_members: int, limits: Limits) -> None:
    if num_members > limits.max_members:
        raise DataError(f"Expected at most {limits.max_members:,} members in {path}, but got more. It is not read.")


def _check_name(path: Path, name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        raise DataError(f"Expected only paths inside the archive in {path}, but got '{name}'. It is not read.")


def _check_kind(path: Path, member: tarfile.TarInfo) -> None:
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.sparse is None
    if not (plain or member.isdir()):
        kind = "link" if member.issym() or member.islnk() else "special file"
        raise DataError(
            f"Expected only files and folders in {path}, but got the {kind} '{member.name}'. It is not read."
        )
