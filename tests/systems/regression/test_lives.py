"""Functions that are held out, and what lives on them are measured by."""

import pytest
import torch

from hyperlearning.systems.regression.lives import evaluation_grid, hold_out
from hyperlearning.systems.regression.scores import settled
from hyperlearning.systems.regression.settings import StreamSettings


def test_every_method_meets_the_same_functions():
    first, again = (hold_out(StreamSettings(updates_per_task=4), 5, seed=3) for _ in range(2))
    assert torch.equal(first.stream.targets, again.stream.targets)


def test_no_validation_function_is_among_the_held_out_ones():
    held_out = hold_out(StreamSettings(), 20, seed=0).values
    validation = hold_out(StreamSettings(), 20, seed=0, purpose="validation").values
    assert torch.cdist(held_out[..., 0], validation[..., 0]).min() > 1e-3


def test_the_evaluation_grid_has_equally_many_points_in_every_window():
    grid = evaluation_grid(5)[:, 0]
    assert torch.bincount(((grid + 5) / 2).floor().long()).tolist() == [50] * 5


def test_joint_training_meets_the_same_examples_in_another_order():
    held_out = hold_out(StreamSettings(updates_per_task=6), 3, seed=0)
    joint = held_out.joint(0).stream
    assert not torch.equal(joint.targets, held_out.stream.targets)
    assert torch.equal(joint.targets.sort(0).values, held_out.stream.targets.sort(0).values)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_life_that_diverged_counts_with_a_fixed_error(value: float):
    errors = torch.zeros(3, 4, 3)
    errors[1, 2, 0] = value
    kept, num_diverged = settled(errors, instead=2.0)
    assert num_diverged == 1
    assert kept[:, 0, 0].tolist() == [0.0, 2.0, 0.0]
