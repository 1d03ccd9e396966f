"""The outer loop: stopped and continued equals uninterrupted; births; rates; losses that are not finite."""

import math
from functools import lru_cache, partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.engine.hyper_training import (
    NonFiniteLossError,
    Phase,
    TrainingState,
    begin,
    hyper_train,
    outer_schedule,
    pack,
    unpack,
)
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.incremental_functions import Windows, draw_hyper_stream

POPULATION, UPDATE_EVERY, STEPS_PER_EPOCH = 2, 2, 4
EPOCHS = (2, 1)
"""Epochs of the first phase, which looks through one update, and of the second, which looks through none."""
NUM_STEPS = STEPS_PER_EPOCH * sum(EPOCHS)


def _draw(source: torch.Generator):
    amplitudes = torch.rand(POPULATION, 1, generator=source)
    return draw_hyper_stream(
        lambda points: amplitudes * torch.sin(points),
        Windows(-5.0, 5.0, 2),
        source,
        num_members=POPULATION,
        updates_per_task=4,
        batch_size=2,
        hyper_batch_size=4,
        update_every=UPDATE_EVERY,
    )


def _problem(reset: str):
    """Two phases and the state before the first."""
    network = DANNetwork(
        (1, 2, 1),
        num_channels=3,
        phenotype=partial(MLPPhenotype, hidden_sizes=(2,)),
        generator=torch.Generator().manual_seed(0),
    )
    start, innate = partition(network, network.is_innate)
    learner = Learner(population_forward(network, start), mean_squared_error, optimizer("adam"), 0.05)
    outer, learn_start = optimizer("adam"), reset == "learned"

    def redraw(_: Params, stream: HyperStream, source: torch.Generator):
        return {n: torch.randn(POPULATION, *t.shape, generator=source) for n, t in start.items()}

    phases = [
        Phase(
            step=make_hyper_step(learner, outer, update_every=UPDATE_EVERY, through=through, learn_start=learn_start),
            inner=learner.optimizer,
            outer=outer,
            learn_start=learn_start,
            draw=_draw,
            births=redraw if reset == "redraw" else None,
            population=POPULATION,
            update_every=UPDATE_EVERY,
            num_epochs=num_epochs,
            steps_per_epoch=STEPS_PER_EPOCH,
            outer_lr=outer_schedule("cosine", 0.01, warmup_share=0.25),
        )
        for through, num_epochs in zip((1, 0), EPOCHS, strict=True)
    ]
    return phases, begin(innate, start, generator(0, "training"))


def _bits(state: TrainingState):
    return {name: tensor.numpy().tobytes() for name, tensor in pack(state).items()}


@lru_cache
def _uninterrupted(reset: str):
    phases, state = _problem(reset)
    return tuple(hyper_train(phases, state, generator(0, "training")))


@given(stop=st.integers(0, NUM_STEPS), reset=st.sampled_from(["same", "redraw", "learned"]))
def test_stopped_anywhere_saved_and_continued_ends_in_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, stop: int, reset: str
):
    phases, state = _problem(reset)
    first = [state] + [progress.state for progress in _uninterrupted(reset)]
    path = tmp_path_factory.mktemp("stopped") / "state.safetensors"
    save_tensors(path, pack(first[stop]), {})
    cursor = first[stop].cursor
    back = unpack(load_tensors(path).tensors, cursor.phase, cursor.epoch, cursor.outer_step)
    # A generator in any other state: all that counts is in the cursor.
    rest = [progress.state for progress in hyper_train(phases, back, torch.Generator().manual_seed(99))]
    assert [_bits(s) for s in rest] == [_bits(s) for s in first[stop + 1 :]]


def test_a_run_from_the_same_seed_ends_in_the_same_bits():
    phases, state = _problem("same")
    *_, last = hyper_train(phases, state, generator(0, "training"))
    assert _bits(last.state) == _bits(_uninterrupted("same")[-1].state)


def test_a_run_has_every_outer_step_of_every_epoch():
    records = _uninterrupted("same")
    cursors = [tuple(record.state.cursor[:3]) for record in records]
    first_phase = [(0, 0, 1), (0, 0, 2), (0, 0, 3), (0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 1, 3), (1, 0, 0)]
    assert cursors == [*first_phase, (1, 0, 1), (1, 0, 2), (1, 0, 3), (2, 0, 0)]
    assert [record.epoch_ended for record in records] == [False, False, False, True] * 3


def _births(reset: str):
    """The states that the first step of each epoch was given."""
    phases, state = _problem(reset)
    seen = []

    def spy(hyper: HyperState, batch: HyperBatch, rate: Tensor):
        seen.append(hyper)
        return phases[0].step(hyper, batch, rate)

    list(hyper_train([phase._replace(step=spy) for phase in phases], state, generator(0, "training")))
    return seen[::STEPS_PER_EPOCH]


def test_reset_same_gives_every_life_the_first_start():
    first, second, _ = _births("same")
    expected = stack_members(first.start, POPULATION)
    torch.testing.assert_close((first.plastic, second.plastic), (expected, expected), rtol=0, atol=0)


def test_reset_redraw_gives_every_life_and_member_a_start_of_its_own():
    first, second, _ = _births("redraw")
    values = torch.stack([*first.plastic["synapses.1_2.weight"], *second.plastic["synapses.1_2.weight"]])
    assert len(values.flatten(1).unique(dim=0)) == 2 * POPULATION


def test_reset_learned_gives_a_life_the_start_as_learned_so_far():
    _, second, _ = _births("learned")
    torch.testing.assert_close(second.plastic, stack_members(second.start, POPULATION), rtol=0, atol=0)


def test_a_learned_start_moves():
    first, second, _ = _births("learned")
    assert all(not torch.equal(first.start[name], second.start[name]) for name in first.start)


def test_a_start_that_is_not_learned_stays():
    first, second, _ = _births("same")
    torch.testing.assert_close(first.start, second.start, rtol=0, atol=0)


def test_inner_moments_are_born_with_every_life():
    _, second, _ = _births("same")
    assert all(not tensor.any() for tensor in second.plastic_moments.values())


def test_outer_moments_outlive_every_life_and_begin_anew_with_a_phase():
    counts = [state.outer_moments["count"].item() for state in _births("same")]
    assert counts == [0, STEPS_PER_EPOCH, 0]


def test_what_is_innate_passes_from_phase_to_phase():
    _, _, third = _births("same")
    torch.testing.assert_close(third.innate, _uninterrupted("same")[7].state.hyper.innate, rtol=0, atol=0)


@given(done=st.floats(0, 1), warmup=st.sampled_from([0.0, 0.1, 0.5]))
def test_the_cosine_schedule_is_its_closed_form(done: float, warmup: float):
    rate = outer_schedule("cosine", 0.2, warmup_share=warmup)(done)
    if done < warmup:
        assert rate == pytest.approx(0.2 * max(done / warmup, 0.01))
    else:
        assert rate == pytest.approx(0.2 * math.cos(math.pi / 2 * (done - warmup) / (1 - warmup)) ** 2, abs=1e-12)


@pytest.mark.parametrize(("done", "expected"), [(0.0, 0.002), (0.05, 0.1), (0.1, 0.2), (0.7, 0.2), (1.0, 0.2)])
def test_the_constant_schedule_warms_up_and_stays(done: float, expected: Any):
    assert outer_schedule("constant", 0.2, warmup_share=0.1)(done) == pytest.approx(expected)


@given(first=st.floats(0, 0.5), second=st.floats(0, 0.5))
def test_a_warm_up_never_falls(first: float, second: float):
    rate = outer_schedule("cosine", 0.2, warmup_share=0.5)
    assert rate(min(first, second)) <= rate(max(first, second))


def test_every_phase_runs_through_its_own_schedule():
    rate = outer_schedule("cosine", 0.01, warmup_share=0.25)
    expected = [rate(step / 8) for step in range(8)] + [rate(step / 4) for step in range(4)]
    assert [record.outer_lr for record in _uninterrupted("same")] == expected


@pytest.mark.parametrize(("outer_lr", "warmup_share"), [(0.0, 0.1), (-1.0, 0.1), (0.1, 1.0), (0.1, -0.1)])
def test_a_schedule_out_of_range_is_refused(outer_lr: float, warmup_share: float):
    with pytest.raises(ValueError, match=f"but got {warmup_share} and {outer_lr}"):
        outer_schedule("cosine", outer_lr, warmup_share=warmup_share)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step():
    phases, state = _problem("same")

    def broken(hyper: HyperState, batch: HyperBatch, rate: Tensor):
        hyper, losses = phases[0].step(hyper, batch, rate)
        calls.append(1)
        return hyper, losses._replace(hyper=losses.hyper * float("nan")) if len(calls) == 6 else losses

    calls = []
    with pytest.raises(NonFiniteLossError, match="at outer step 1 of epoch 1 in phase 0"):
        list(hyper_train([phases[0]._replace(step=broken)], state, generator(0, "training")))
