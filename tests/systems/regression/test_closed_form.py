"""Solved readouts on many held-out functions at once are the lives that learn one example after another."""

import pytest
import torch

from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.evaluation import continual
from hyperlearning.learners.closed_form.least_mean_squares import NormalisedLMS
from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares
from hyperlearning.learners.closed_form.life import ClosedFormLife, Readout
from hyperlearning.networks.features import GaussianBumps
from hyperlearning.systems.regression.closed_form import closed_form_methods, live_lms, live_solved
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, errors_of, hold_out
from hyperlearning.systems.regression.settings import StreamSettings


@pytest.fixture(scope="module")
def held_out() -> HeldOut:
    return hold_out(StreamSettings(updates_per_task=20), 3, seed=5)


def one_by_one(held_out: HeldOut, readout: Readout, features: GaussianBumps, function: int) -> torch.Tensor:
    """Predictions (T + 1, P) of a life that meets one example at a time."""
    life = ClosedFormLife(readout, lambda x: features(x.double()))
    inputs, targets = (tensor[:, function].double() for tensor in held_out.stream)
    grid = held_out.grid[function].double()
    stages = [life.predict(grid)[:, 0]]
    for xs, ys in zip(inputs.chunk(held_out.num_tasks), targets.chunk(held_out.num_tasks), strict=True):
        life.observe_each(xs.flatten(0, 1), ys.flatten(0, 1))
        stages.append(life.predict(grid)[:, 0])
    return torch.stack(stages)


def test_solving_at_every_look_is_the_recursion(held_out: HeldOut):
    features = GaussianBumps(12, width=1.5, domain=DOMAIN).double()
    found = live_solved(features, held_out, precision=0.01)
    for function in range(3):
        readout = RecursiveLeastSquares(12, precision=0.01, dtype=torch.float64)
        expected = one_by_one(held_out, readout, features, function)
        torch.testing.assert_close(found.predictions[:, function].double(), expected, rtol=1e-4, atol=1e-5)


def test_normalised_steps_side_by_side_are_those_of_one_life(held_out: HeldOut):
    features = GaussianBumps(12, width=1.5, domain=DOMAIN)
    found = live_lms(features, 0.3, held_out)
    double = GaussianBumps(12, width=1.5, domain=DOMAIN).double()
    for function in range(3):
        expected = one_by_one(held_out, NormalisedLMS(12, rate=0.3, dtype=torch.float64), double, function)
        torch.testing.assert_close(found.predictions[:, function].double(), expected, rtol=1e-3, atol=1e-4)


def test_solved_lives_keep_what_they_have_learned():
    """Few functions suffice: errors lie three orders of magnitude below the functions' own variance."""
    held_out = hold_out(StreamSettings(), 8, seed=6)
    methods = {method.name: method for method in closed_form_methods(seed=0)}
    variance = float(held_out.values.var())
    for name in ("rls", "random_ridge"):
        lives = methods[name].live(held_out)
        assert isinstance(lives, LifeErrors)
        assert float(continual.total_error(lives.errors).max()) < 1e-3 * variance
    same = errors_of(methods["rls"].live(held_out).predictions, held_out)
    assert torch.equal(same.errors, methods["rls"].live(held_out).errors)
