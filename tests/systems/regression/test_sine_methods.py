"""OML's sine waves: lives that are held out, how a baseline is chosen, and sizes that are refused."""

import pytest
import torch

from hyperlearning.systems.regression.lives import HeldOut, LifeErrors
from hyperlearning.systems.regression.sine_lives import hold_out_lives
from hyperlearning.systems.regression.sine_methods import DIVERGED, best_of
from hyperlearning.systems.regression.sine_settings import LifeSettings
from hyperlearning.systems.system import Method


def test_held_out_lives_are_the_same_every_time_and_not_the_validation_lives():
    first, again = (hold_out_lives(LifeSettings(), 3, seed=1) for _ in range(2))
    other = hold_out_lives(LifeSettings(), 3, seed=1, purpose="validation")
    assert torch.equal(first.stream.targets, again.stream.targets)
    assert not torch.equal(first.values, other.values)


def test_the_choice_falls_on_the_lowest_total_error_and_a_life_that_diverged_counts():
    held_out = hold_out_lives(LifeSettings(num_tasks=2, capacity=2), 2, seed=0)

    def lived(error: float) -> Method[HeldOut, LifeErrors]:
        errors = LifeErrors(torch.full((2, 3, 2), error), torch.zeros(3, 2, 4))
        return Method("name", "Title", "", lambda held_out: errors, {"num_plastic": 1})

    tried = {"sgd 0.1": lived(3.0), "sgd 0.2": lived(float("nan")), "adam 0.1": lived(2.0)}
    best = best_of(tried, held_out)
    assert best.live is tried["adam 0.1"].live
    assert best.facts == {"num_plastic": 1, "trials": {"sgd 0.1": 3.0, "sgd 0.2": DIVERGED, "adam 0.1": 2.0}}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [("num_tasks", 1, "at least 2"), ("batch_size", 0, "positive"), ("updates_per_task", 0, "positive")],
)
def test_sizes_out_of_range_are_refused(field: str, value: int, expected: str):
    with pytest.raises(ValueError, match=f"Expected `{field}` to be {expected}, but got {value}."):
        LifeSettings(**{field: value})


def test_a_code_with_fewer_places_than_tasks_is_refused():
    with pytest.raises(ValueError, match=r"Expected `capacity` to be at least `num_tasks` \(10\), but got 9\."):
        LifeSettings(capacity=9)
