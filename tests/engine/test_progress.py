"""What is said of the progress of long work, and when."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from hyperlearning.engine.progress import duration, reporting


class Time:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def lines_of(reports: Iterator[tuple[float, int]], total: int) -> list[str]:
    """What is printed when reports come after so many seconds each."""
    time, printed = Time(), io.StringIO()
    with reporting(Console(file=printed, width=200), "training", total, "updates", now=time) as report:
        for seconds, done in reports:
            time.seconds += seconds
            report(done, "loss 1.0")
    return printed.getvalue().splitlines()


def test_a_slow_first_unit_is_told_without_a_rate_or_a_time_left():
    assert lines_of(iter([(40.0, 1), (0.1, 2)]), 64_000) == ["training: 1/64,000 updates  loss 1.0"]


def test_the_time_left_follows_from_the_steady_pace_not_from_the_first_unit():
    steady = [(0.125, done) for done in range(2, 300)]
    first, second, *_ = lines_of(iter([(40.0, 1), *steady]), 1_000)
    assert first == "training: 1/1,000 updates  loss 1.0"
    assert second == "training: 81/1,000 updates, 8 updates/s, 1 min 55 s left  loss 1.0"


def test_of_late_means_a_changed_speed_is_noticed():
    slow, fast = [(1.0, done) for done in range(1, 61)], [(0.125, done) for done in range(61, 400)]
    assert "8 updates/s" in lines_of(iter([*slow, *fast]), 1_000)[-1]


def test_units_longer_than_the_window_have_a_rate_too():
    assert (
        lines_of(iter([(60.0, 1), (60.0, 2)]), 4)[-1]
        == "training: 2/4 updates, 0.017 updates/s, 2 min 0 s left  loss 1.0"
    )


def test_what_is_done_has_no_time_left():
    assert lines_of(iter([(3.0, 1), (5.0, 2)]), 2)[-1] == "training: 2/2 updates, 0.2 updates/s  loss 1.0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (80.0, "1 min 20 s"), (7_530.0, "2 h 5 min")],
)
def test_durations_are_in_two_units(seconds: float, text: str):
    assert duration(seconds) == text
