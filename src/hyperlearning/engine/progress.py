"""Progress of long work: a live bar on a terminal, plain lines elsewhere; with rate and time left once these mean something."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_OF_RATE = 15.0
_REPORTS_OF_RATE = 4
_SECONDS_OF_STEADY_WORK = 4.0


@runtime_checkable
class Report(Protocol):
    """Tells how far the work has come."""

    def __call__(self, done: int, note: str = "", *, same_pace_until: int | None = None) -> None:
        """Reports `done` units so far and a short note such as the current loss.

        Where work has phases of different pace, `same_pace_until` says how far the present one goes.
        """
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
        with _bar(console) as bar:
            yield _moving(bar, title, total, unit, done)
    else:
        yield _lines(console, title, total, unit)


class _Clock:
    """Measures the rate over the last seconds, or the last few reports where these are rare.

    Phases of one piece of work may differ in speed: then each is measured alone, and the time left is its own. It starts with
    the first report: what comes before, such as compiling a kernel, says nothing about the rest.
    """

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit, self._until = total, unit, total
        self._seen: deque[tuple[float, int]] = deque()

    def tell(self, done: int, same_pace_until: int | None) -> str:
        """Says how fast the work has gone of late, and how long the rest (of the phase) will take if it goes on like that."""
        now, until = time.monotonic(), same_pace_until or self._total
        if until != self._until:
            self._until = until
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > _REPORTS_OF_RATE and now - self._seen[1][0] > _SECONDS_OF_RATE:
            self._seen.popleft()
        then, before = self._seen[0]
        if now == then or done == before:
            return ""
        rate = (done - before) / (now - then)
        told = f"{_short(rate)} {self._unit}/s"
        if done < until and self._is_steady():
            told += f", {_duration((until - done) / rate)} left" + (" in this phase" if until < self._total else "")
        return told

    def _is_steady(self) -> bool:
        """Says whether reports have come for a while, and none of them took as long as the others together."""
        times = [at for at, _ in self._seen]
        span = times[-1] - times[0]
        longest = max(later - earlier for earlier, later in pairwise(times))
        return span >= _SECONDS_OF_STEADY_WORK and longest <= span / 2


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _duration(seconds: float) -> str:
    """Says how long that is in its two largest units: `1 min 20 s`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def _moving(bar: Progress, title: str, total: int, unit: str, done: int) -> Report:
    task = bar.add_task(title, total=total, completed=done, pace="", note="")
    clock = _Clock(total, unit)

    def report(done: int, note: str = "", *, same_pace_until: int | None = None) -> None:
        bar.update(task, completed=done, pace=clock.tell(done, same_pace_until), note=note)

    return report


def _lines(console: Console, title: str, total: int, unit: str) -> Report:
    clock = _Clock(total, unit)
    next_line: float | None = None

    def report(done: int, note: str = "", *, same_pace_until: int | None = None) -> None:
        nonlocal next_line
        now, pace = time.monotonic(), clock.tell(done, same_pace_until)
        if next_line is None:
            next_line = now + _SECONDS_OF_STEADY_WORK  # The first pace that means something.
        if now < next_line and done < total:
            return
        next_line = now + _SECONDS_BETWEEN_LINES
        told = f", {pace}" if pace else ""
        console.print(f"{title}: {done:,}/{total:,} {unit}{told}  {note}".rstrip(), highlight=False)

    return report
