"""Streams in another order: joint training and replay."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.streams.hyper_stream import Stream
from hyperlearning.streams.orders import joint, replay


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _numbered(num_steps: int = 30, batch: int = 2, members: int = 2):
    """A stream whose inputs count the examples and whose targets say the same with the member's sign."""
    numbers = torch.arange(float(num_steps * batch)).reshape(num_steps, 1, batch, 1).expand(-1, members, -1, -1)
    return Stream(numbers.clone(), numbers + _signs())


def _signs(members: int = 2):
    return 1000 * torch.arange(members)[:, None, None]


@given(seed=st.integers(0, 1000))
def test_joint_training_meets_the_same_batches_in_another_order(seed: int):
    mixed = joint(_numbered(), _seeded(seed))
    first = mixed.inputs[:, 0, 0, 0]
    assert sorted(first.tolist()) == [2.0 * step for step in range(30)]
    assert first.tolist() != sorted(first.tolist())
    torch.testing.assert_close(mixed.inputs[:, 1], mixed.inputs[:, 0], rtol=0, atol=0)


@given(seed=st.integers(0, 1000))
def test_mixed_over_batches_every_member_meets_each_example_once(seed: int):
    mixed = joint(_numbered(), _seeded(seed), whole_batches=False)
    orders = mixed.inputs[..., 0].transpose(0, 1).flatten(1)
    assert (orders.sort(-1).values == torch.arange(60.0)).all()
    assert not torch.equal(orders[0], orders[1])


@pytest.mark.parametrize("whole_batches", [True, False])
def test_in_any_order_inputs_and_targets_belong_together(whole_batches: bool):
    mixed = joint(_numbered(), _seeded(), whole_batches=whole_batches)
    torch.testing.assert_close(mixed.targets, mixed.inputs + _signs(), rtol=0, atol=0)


@given(buffer_size=st.integers(1, 70), replay_batch_size=st.integers(1, 5), seed=st.integers(0, 50))
def test_replay_comes_only_from_the_past(buffer_size: int, replay_batch_size: int, seed: int):
    stream = replay(_numbered(), _seeded(seed), buffer_size=buffer_size, replay_batch_size=replay_batch_size)
    replayed = stream.inputs[1:, :, 2:, 0].flatten(1)
    assert (replayed.amax(1) < 2 * torch.arange(1, 30)).all()


@given(buffer_size=st.integers(1, 10), seed=st.integers(0, 50))
def test_between_two_steps_replay_knows_at_most_the_buffer(buffer_size: int, seed: int):
    stream = replay(_numbered(), _seeded(seed), buffer_size=buffer_size, replay_batch_size=200)
    distinct = [len(step.unique()) for step in stream.inputs[1:, 0, 2:, 0]]
    assert max(distinct) <= buffer_size


def test_the_first_step_repeats_its_own_examples():
    stream = replay(_numbered(), _seeded(), buffer_size=4, replay_batch_size=9)
    assert set(stream.inputs[0, 0, :, 0].tolist()) == {0.0, 1.0}


def test_replay_keeps_what_is_met_and_appends_to_it():
    stream = _numbered()
    longer = replay(stream, _seeded(), buffer_size=4, replay_batch_size=3)
    assert longer.inputs.shape == (30, 2, 5, 1)
    torch.testing.assert_close(longer.inputs[:, :, :2], stream.inputs, rtol=0, atol=0)


def test_replayed_inputs_and_targets_belong_together():
    longer = replay(_numbered(), _seeded(), buffer_size=4, replay_batch_size=3)
    torch.testing.assert_close(longer.targets, longer.inputs + _signs(), rtol=0, atol=0)


def test_a_reservoir_holds_every_example_with_equal_probability():
    counts = torch.zeros(58)
    for seed in range(400):
        stream = replay(_numbered(), _seeded(seed), buffer_size=10, replay_batch_size=300)
        counts[stream.inputs[-1, 0, 2:, 0].unique().long()] += 1
    # Each of the 58 examples before the last step is in a buffer of 10 with probability 10/58: a sum of 400 draws.
    share, probability = counts / 400, 10 / 58
    spread = (probability * (1 - probability) / 400) ** 0.5
    assert (share - probability).abs().max() < 4.5 * spread


@given(steps_per_batch=st.integers(1, 3), seed=st.integers(0, 50))
def test_without_a_bound_replay_comes_from_all_that_has_been_met(steps_per_batch: int, seed: int):
    stream = replay(_numbered(), _seeded(seed), replay_batch_size=3000, steps_per_batch=steps_per_batch)
    met = 2 * (torch.arange(30 * steps_per_batch) // steps_per_batch + 1)
    assert (stream.inputs[:, :, 2:, 0].amax(-1) < met[:, None]).all()
    assert set(stream.inputs[-1, 0, 2:, 0].tolist()) == set(range(60))
    torch.testing.assert_close(stream.targets, stream.inputs + _signs(), rtol=0, atol=0)
