"""Streams of incremental regression: windows, hyper-scopes, stratification."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hyperlearning.streams.incremental_functions import (
    Windows,
    draw_hyper_stream,
    draw_stream,
)

WINDOWS = Windows(-5.0, 5.0, 5)
ROUNDING = 1e-5


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _square(points: Tensor):
    return points**2


def _stream(seed: int = 0, updates_per_task: int = 20, **options: Any):
    settings = {"num_members": 3, "updates_per_task": updates_per_task, "batch_size": 4}
    return draw_stream(_square, WINDOWS, _seeded(seed), **(settings | options))


def _hyper_stream(seed: int = 0, **options: Any):
    settings = {"num_members": 3, "updates_per_task": 20, "batch_size": 2, "hyper_batch_size": 8}
    return draw_hyper_stream(_square, WINDOWS, _seeded(seed), **(settings | options))


def _window_ends(num_steps: int, updates_per_task: int = 20):
    """The upper end of the window current at each step."""
    return -5.0 + 2.0 * (torch.arange(num_steps) // updates_per_task + 1)


def test_every_point_lies_in_its_steps_window():
    points = _stream().inputs.flatten(1)
    ends = _window_ends(100)[:, None]
    assert (points >= ends - 2.0 - ROUNDING).all()
    assert (points <= ends + ROUNDING).all()


def test_points_fill_their_window():
    first = _stream(updates_per_task=500).inputs[:500]
    assert first.min() < -4.99
    assert first.max() > -3.01
    assert first.mean().item() == pytest.approx(-4.0, abs=0.05)


def test_targets_are_the_functions_of_the_inputs():
    stream = _stream()
    torch.testing.assert_close(stream.targets, stream.inputs**2, rtol=0, atol=0)


def test_member_m_sees_function_m():
    def functions(points: Tensor):
        return points * torch.arange(3.0)[:, None]

    stream = draw_stream(functions, WINDOWS, _seeded(), num_members=3, updates_per_task=2, batch_size=4)
    torch.testing.assert_close(stream.targets, stream.inputs * torch.arange(3.0)[:, None, None], rtol=0, atol=0)


def test_members_meet_points_of_their_own():
    inputs = _stream().inputs
    assert not torch.isclose(inputs[:, 0], inputs[:, 1]).any()


def test_noise_has_each_members_own_standard_deviation_and_no_mean():
    wanted = torch.tensor([0.0, 0.1, 0.5])
    stream = _stream(updates_per_task=2000, noise_sd=wanted)
    noise = (stream.targets - stream.inputs**2).transpose(0, 1).flatten(1)
    torch.testing.assert_close(noise.std(1), wanted, rtol=0.02, atol=1e-5)
    assert noise.mean(1).abs().max() < 0.01


def test_noise_reaches_the_hyper_targets_too():
    stream = _hyper_stream(noise_sd=torch.full((3,), 0.3))
    noise = stream.hyper_targets - stream.hyper_inputs**2
    assert noise.std().item() == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("update_every", [1, 5, 20, 50])
def test_memory_never_reaches_beyond_the_current_window(update_every: int):
    stream = _hyper_stream(scope="memory", update_every=update_every)
    last_steps = torch.arange(update_every - 1, 100, update_every)
    ends = _window_ends(100)[last_steps]
    highest = stream.hyper_inputs.flatten(1).amax(1)
    assert (highest <= ends + ROUNDING).all()
    assert stream.hyper_inputs.min() >= -5.0


def test_memory_covers_all_that_was_met():
    stream = _hyper_stream(scope="memory", hyper_batch_size=64)
    covered = stream.hyper_inputs.flatten(1)
    ends = _window_ends(100)
    assert ((covered.amax(1) - ends).abs() < 0.02 * (ends + 5)).all()
    assert (covered.amin(1) < -4.8).all()


def test_memory_and_future_take_one_half_each():
    stream = _hyper_stream(scope="memory_and_future")
    ends = _window_ends(100)[:, None]
    memory, future = (half.flatten(1) for half in stream.hyper_inputs.squeeze(-1).chunk(2, dim=-1))
    assert (memory <= ends + ROUNDING).all()
    assert (future[:80] >= ends[:80] - ROUNDING).all()
    assert future.max() <= 5.0 + ROUNDING


def test_after_the_last_window_the_future_half_covers_the_whole_domain():
    stream = _hyper_stream(scope="memory_and_future", hyper_batch_size=64)
    future = stream.hyper_inputs[80:, ..., 32:, :]
    assert future.min() < -4.5
    assert future.max() > 4.5


def test_the_stream_scope_covers_the_whole_domain_at_every_step():
    points = _hyper_stream(hyper_batch_size=10).hyper_inputs.flatten(1)
    assert (points.amin(1) <= -4.0).all()
    assert (points.amax(1) >= 4.0).all()


@given(hyper_batch_size=st.integers(1, 40), seed=st.integers(0, 1000))
def test_hyper_points_are_stratified_one_in_each_equal_part(hyper_batch_size: int, seed: int):
    points = _hyper_stream(seed, hyper_batch_size=hyper_batch_size, updates_per_task=1).hyper_inputs.squeeze(-1)
    part = (points + 5) / 10 * hyper_batch_size - torch.arange(hyper_batch_size)
    assert (part >= -1e-4).all()
    assert (part <= 1 + 1e-4).all()


@pytest.mark.parametrize(("update_every", "num_outer_updates"), [(1, 1), (5, 3), (100, 2)])
def test_there_is_one_hyper_batch_for_every_outer_update(update_every: int, num_outer_updates: int):
    stream = _hyper_stream(update_every=update_every, num_outer_updates=num_outer_updates)
    assert stream.hyper_inputs.shape == (100 // update_every, num_outer_updates, 3, 8, 1)


def test_hyper_targets_are_the_functions_of_the_hyper_inputs():
    stream = _hyper_stream()
    torch.testing.assert_close(stream.hyper_targets, stream.hyper_inputs**2, rtol=0, atol=0)


def test_the_same_seed_gives_the_same_stream():
    torch.testing.assert_close(_hyper_stream(), _hyper_stream(), rtol=0, atol=0)


def test_another_seed_gives_another_stream():
    assert not torch.isclose(_hyper_stream().inputs, _hyper_stream(1).inputs).all()


@pytest.mark.parametrize("update_every", [3, 7, 101])
def test_outer_updates_that_do_not_fit_a_life_are_refused(update_every: int):
    with pytest.raises(ValueError, match=f"`update_every` to divide the 100 updates of a life, but got {update_every}"):
        _hyper_stream(update_every=update_every)


def test_a_batch_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="even `hyper_batch_size` for memory and future, but got 7"):
        _hyper_stream(scope="memory_and_future", hyper_batch_size=7)
