"""What progress says, and what it does not say yet."""

import io
from collections.abc import Iterable

import pytest
from rich.console import Console

from hyperlearning.engine import progress


class Time:
    """A clock that stands still until it is moved."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


def told(
    monkeypatch: pytest.MonkeyPatch, steps: Iterable[tuple[float, int]], total: int, phases: tuple[int, ...] = ()
) -> list[str]:
    """The lines that come of reports, each some seconds after the one before; phases are given by where they end."""
    clock = Time()
    monkeypatch.setattr(progress, "time", clock)
    shown = io.StringIO()
    console = Console(file=shown, width=200)
    with progress.reporting(console, "training", total, "updates") as report:
        for seconds, done in steps:
            clock.now += seconds
            report(done, "loss 0.1", same_pace_until=next((end for end in phases if done <= end), None))
    return shown.getvalue().splitlines()


def test_steady_work_says_how_long_the_rest_takes_in_minutes_and_seconds(monkeypatch: pytest.MonkeyPatch):
    lines = told(monkeypatch, ((0.5, 50 * step) for step in range(1, 60)), total=10_000)
    assert lines[0] == "training: 450/10,000 updates, 100 updates/s, 1 min 36 s left  loss 0.1"
    assert [line.split(",")[-1] for line in lines[1:]] == [" 1 min 26 s left  loss 0.1", " 1 min 16 s left  loss 0.1"]


def test_what_comes_before_the_first_report_is_not_held_against_the_rest(monkeypatch: pytest.MonkeyPatch):
    lines = told(monkeypatch, [(300.0, 1), *((0.5, 50 * step) for step in range(1, 20))], total=64_000)
    assert "updates/s, 10 min" in lines[0]


def test_a_stall_takes_the_time_left_away_until_work_is_steady_again(monkeypatch: pytest.MonkeyPatch):
    steady = [(0.5, 50 * step) for step in range(1, 30)]
    after = [(0.5, 1500 + 50 * step) for step in range(1, 100)]
    lines = told(monkeypatch, [*steady, (40.0, 1500), *after], total=100_000)
    stalled = next(line for line in lines if "1,500/" in line)
    assert "left" not in stalled
    assert "100 updates/s, 15 min" in lines[-1]


def test_rare_reports_say_how_long_the_rest_takes_too(monkeypatch: pytest.MonkeyPatch):
    lines = told(monkeypatch, [(30.0, step) for step in range(1, 6)], total=10)
    assert "left" not in lines[0]
    assert lines[-1] == "training: 5/10 updates, 0.033 updates/s, 2 min 30 s left  loss 0.1"


def test_the_end_is_told_whenever_it_comes_and_has_no_time_left(monkeypatch: pytest.MonkeyPatch):
    assert told(monkeypatch, [(0.1, 1), (0.1, 2)], total=2) == ["training: 2/2 updates, 10 updates/s  loss 0.1"]
    assert told(monkeypatch, [(0.1, 1)], total=1) == ["training: 1/1 updates  loss 0.1"]


@pytest.mark.parametrize(
    ("total", "left"), [(1_600, "10 s"), (7_000, "1 min 4 s"), (1_000_600, "2 h 46 min"), (10**8, "277 h 46 min")]
)
def test_the_time_left_is_in_its_two_largest_units(total: int, left: str, monkeypatch: pytest.MonkeyPatch):
    lines = told(monkeypatch, [(2.0, 200 * step) for step in range(1, 4)], total=total)
    assert lines[-1].split("/s, ")[1].startswith(f"{left} left")


def test_a_phase_of_another_pace_has_a_time_left_of_its_own(monkeypatch: pytest.MonkeyPatch):
    dear = [(1.0, 10 * step) for step in range(1, 61)]
    cheap = [(1.0, 600 + 1000 * step) for step in range(1, 21)]
    lines = told(monkeypatch, [*dear, *cheap], total=100_000, phases=(600, 100_000))
    first, last = lines[0].split("/s, ")[1], lines[-1].split("/s, ")[1]
    assert first.startswith("55 s left in this phase")
    assert last.startswith("1 min 24 s left  loss")
