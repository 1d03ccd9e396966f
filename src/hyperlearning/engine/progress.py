"""Progress of long work: a live bar on a terminal, plain lines elsewhere; always with rate and time left."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_OF_RATE = 15.0


@runtime_checkable
class Report(Protocol):
    """Tells how far the work has come."""

    def __call__(self, done: int, note: str = "") -> None:
        """Reports `done` units so far and a short note such as the current loss."""
        ...


@contextmanager
def reporting(console: Console, title: str, total: int, unit: str, *, done: int = 0) -> Iterator[Report]:
    """Shows progress while the block runs.

    Args:
        console: Where it is shown.
        title: What is being done.
        total: Units of work in all.
        unit: Name of a unit, plural, such as "steps".
        done: Units done before, when work goes on after an interruption.
    """
    if console.is_terminal:
        with _bar(console, unit) as bar:
            task = bar.add_task(title, total=total, completed=done, rate="", note="")
            clock = _Clock(done)

            def report(done: int, note: str = "") -> None:
                bar.update(task, completed=done, rate=_short(clock.rate(done)), note=note)

            yield report
    else:
        yield _lines(console, title, total, unit, done)


class _Clock:
    """Measures the rate over the last seconds, since phases of one piece of work may differ in speed."""

    def __init__(self, done: int) -> None:
        self._seen = deque([(time.monotonic(), done)])

    def rate(self, done: int) -> float:
        """Units a second of late."""
        now = time.monotonic()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] > _SECONDS_OF_RATE:
            self._seen.popleft()
        then, before = self._seen[0]
        return (done - before) / max(now - then, 1e-9)


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _bar(console: Console, unit: str) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{{task.fields[rate]}} {unit}/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def _lines(console: Console, title: str, total: int, unit: str, done: int) -> Report:
    clock = _Clock(done)
    last_shown = time.monotonic() - _SECONDS_BETWEEN_LINES + 2  # The first rate that means something.

    def report(done: int, note: str = "") -> None:
        nonlocal last_shown
        now, rate = time.monotonic(), clock.rate(done)
        if now - last_shown < _SECONDS_BETWEEN_LINES and done < total:
            return
        last_shown = now
        left = (total - done) / rate if rate else float("nan")
        console.print(
            f"{title}: {done:,}/{total:,} {unit}, {_short(rate)}/s, {left:.0f} s left  {note}", highlight=False
        )

    return report
