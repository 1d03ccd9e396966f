"""OML's sine waves: lives that are held out, how a baseline is chosen, what is solved, and sizes that are refused."""

import pytest
import torch

from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares
from hyperlearning.learners.closed_form.life import ClosedFormLife
from hyperlearning.networks.features import Coded, GaussianBumps
from hyperlearning.systems.regression import closed_form
from hyperlearning.systems.regression.closed_form import live_solved
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors
from hyperlearning.systems.regression.sine_lives import hold_out_lives
from hyperlearning.systems.regression.sine_methods import DIVERGED, best_of, closed_form_candidates
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


def test_a_code_has_features_of_its_own_at_every_place():
    inner = GaussianBumps(3, width=1.0, domain=(-1.0, 1.0))
    features = Coded(inner, num_places=2)(torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, -1.0]]))
    own = inner(torch.tensor([[0.5], [-1.0]]))
    assert torch.equal(features, torch.stack([torch.cat([0 * own[0], own[0]]), torch.cat([own[1], 0 * own[1]])]))


def test_waves_solved_at_once_are_those_solved_one_point_after_another():
    held_out = hold_out_lives(LifeSettings(num_tasks=3, capacity=4, batch_size=8), 2, seed=0)
    features = Coded(GaussianBumps(8, width=1.0, domain=(-5.0, 5.0)), num_places=4).double()
    lived = live_solved(features, held_out, precision=1e-2)
    for number in range(2):
        life = ClosedFormLife(RecursiveLeastSquares(32, precision=1e-2, dtype=torch.float64), features)
        for inputs, targets in zip(held_out.stream.inputs.double(), held_out.stream.targets.double(), strict=True):
            life.observe(inputs[number], targets[number])
        expected = life.predict(held_out.grid[number].double())[:, 0].float()
        torch.testing.assert_close(lived.predictions[-1, number], expected, rtol=1e-5, atol=1e-6)


def test_blocks_of_lives_change_nothing(monkeypatch: pytest.MonkeyPatch):
    held_out = hold_out_lives(LifeSettings(num_tasks=2, capacity=2), 3, seed=0)
    features = Coded(GaussianBumps(8, width=1.0, domain=(-5.0, 5.0)), num_places=2)
    whole = live_solved(features, held_out)
    monkeypatch.setattr(closed_form, "_MOST_NUMBERS", 1)
    torch.testing.assert_close(live_solved(features, held_out), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["rls", "random_ridge"])
def test_what_is_solved_knows_every_wave_in_the_end(name: str):
    life = LifeSettings(num_tasks=3, capacity=3)
    held_out = hold_out_lives(life, 2, seed=0)
    best = best_of(closed_form_candidates(capacity=3, seed=0)[name], hold_out_lives(life, 2, seed=0, purpose="other"))
    assert best.facts["trials"][best.note.split("; ")[1]] == min(best.facts["trials"].values())
    assert best.live(held_out).errors[:, -1].max() < 0.01


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
