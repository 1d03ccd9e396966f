"""Progress of long work: a live bar on a terminal, plain lines elsewhere; always with rate and time left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0


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
                bar.update(task, completed=done, rate=f"{clock.rate(done):,.0f}", note=note)

            yield report
    else:
        yield _lines(console, title, total, unit, done)


class _Clock:
    def __init__(self, done: int) -> None:
        self._first, self._began = done, time.monotonic()

    def rate(self, done: int) -> float:
        """Units a second since work began here."""
        return (done - self._first) / max(time.monotonic() - self._began, 1e-9)


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
    last_shown = -_SECONDS_BETWEEN_LINES

    def report(done: int, note: str = "") -> None:
        nonlocal last_shown
        now = time.monotonic()
        if now - last_shown < _SECONDS_BETWEEN_LINES and done < total:
            return
        last_shown = now
        rate = clock.rate(done)
        left = (total - done) / rate if rate else float("nan")
        console.print(f"{title}: {done:,}/{total:,} {unit}, {rate:,.0f}/s, {left:.0f} s left  {note}", highlight=False)

    return report
