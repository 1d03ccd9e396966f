"""Progress of long work: a live bar on a terminal, plain lines elsewhere; with rate and time left once they are steady."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_OF_RATE = 15.0
_SECONDS_UNTIL_STEADY = 4.0


@runtime_checkable
class Report(Protocol):
    """Tells how far the work has come."""

    def __call__(self, done: int, note: str = "") -> None:
        """Reports `done` units so far and a short note such as the current loss."""
        ...


@contextmanager
def reporting(
    console: Console, title: str, total: int, unit: str, *, done: int = 0, now: Callable[[], float] = time.monotonic
) -> Iterator[Report]:
    """Shows progress while the block runs.

    Args:
        console: Where it is shown.
        title: What is being done.
        total: Units of work in all.
        unit: Name of a unit, plural, such as "steps".
        done: Units done before, when work goes on after an interruption.
        now: The time in seconds.
    """
    clock = _Clock(total, now)
    if console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task(title, total=total, completed=done, pace="", note="")

            def report(done: int, note: str = "") -> None:
                bar.update(task, completed=done, pace=clock.read(done).text(unit), note=note)

            yield report
    else:
        yield _lines(console, title, total, unit, clock, now)


class _Pace(NamedTuple):
    """How fast work goes, and how long it will take; neither before it is steady."""

    rate: float | None
    seconds_left: float | None

    def text(self, unit: str) -> str:
        """Both in words, nothing of what is not known."""
        rate = "" if self.rate is None else f"{_short(self.rate)} {unit}/s"
        left = "" if not self.seconds_left else f"{duration(self.seconds_left)} left"
        return ", ".join(part for part in (rate, left) if part)


class _Clock:
    """Measures the pace of late: phases of one piece of work may differ in speed.

    It begins with the first report, since the first unit may have compiled what the others use.
    """

    def __init__(self, total: int, now: Callable[[], float]) -> None:
        self._total, self._now = total, now
        self._seen: deque[tuple[float, int]] = deque()

    def read(self, done: int) -> _Pace:
        """The pace over the last seconds."""
        now = self._now()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] > _SECONDS_OF_RATE:
            self._seen.popleft()
        then, before = self._seen[0]
        if now - then < _SECONDS_UNTIL_STEADY or done == before:
            return _Pace(None, None)
        rate = (done - before) / (now - then)
        return _Pace(rate, (self._total - done) / rate)


def duration(seconds: float) -> str:
    """A time in the two units that matter, such as "1 min 20 s"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def _lines(console: Console, title: str, total: int, unit: str, clock: _Clock, now: Callable[[], float]) -> Report:
    last_shown = now() - _SECONDS_BETWEEN_LINES + 2  # A first line soon: that work has begun.

    def report(done: int, note: str = "") -> None:
        nonlocal last_shown
        pace = clock.read(done)
        if now() - last_shown < _SECONDS_BETWEEN_LINES and done < total:
            return
        last_shown = now()
        told = ", ".join(part for part in (f"{done:,}/{total:,} {unit}", pace.text(unit)) if part)
        console.print(f"{title}: {told}  {note}".rstrip(), highlight=False)

    return report
