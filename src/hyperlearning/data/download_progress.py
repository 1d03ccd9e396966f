"""A bar on a terminal, plain lines in a log, and an end to downloads that do not end."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from hyperlearning.data.errors import DownloadError

_LINE_SECONDS = 5.0


class DownloadProgress:
    """What a downloader tells of its progress: it sets `total`, then calls `update` with the bytes of each piece.

    Args:
        console: Where it is shown; nowhere if absent.
        name: What is downloaded.
        max_bytes: More than this is not downloaded.
    """

    def __init__(self, console: Console | None, name: str, *, max_bytes: int) -> None:
        self._total = 0
        self._console, self._name, self._max_bytes = console, name, max_bytes
        self._count, self._begin = 0, time.monotonic()
        self._last_line = self._begin
        is_bar = console is not None and console.is_terminal
        columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True) if is_bar else None
        self._task = self._bar.add_task(name, total=None) if self._bar else None

    def __enter__(self) -> "DownloadProgress":
        """Shows the bar."""
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes the bar."""
        if self._bar:
            self._bar.stop()

    @property
    def total(self) -> int:
        """Bytes that the server announced, or 0; setting it to more than can be raises `DownloadError`."""
        return self._total

    @total.setter
    def total(self, num_bytes: int) -> None:
        self._check(num_bytes)
        self._total = num_bytes

    def update(self, num_bytes: int) -> None:
        """Counts a piece.

        Args:
            num_bytes: Its size.

        Raises:
            DownloadError: If more has come than the file can have.
        """
        self._count += num_bytes
        # The last piece is counted as if it were whole.
        self._check(self._count - num_bytes)
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=self._count, total=self.total or None)
        elif self._console and time.monotonic() - self._last_line > _LINE_SECONDS:
            self._print_line(self._console)

    def reset(self) -> None:
        """Starts counting again, as a downloader does when all has come and the pieces did not add up to it."""
        self._count = 0

    def close(self) -> None:
        """Does nothing: leaving the context removes the bar."""

    def _check(self, num_bytes: int) -> None:
        if num_bytes > self._max_bytes:
            raise DownloadError(f"it is larger than {self._max_bytes:,} bytes, far more than it should be")

    def _print_line(self, console: Console) -> None:
        self._last_line = time.monotonic()
        rate = self._count / (self._last_line - self._begin) / 1e6
        total = f" of {self.total / 1e6:.1f}" if self.total else ""
        left = f", {max(0.0, self.total - self._count) / 1e6 / rate:.0f} s left" if self.total and rate else ""
        text = f"  {self._name}: {self._count / 1e6:.1f}{total} MB, {rate:.1f} MB/s{left}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
