"""The outer loop: births, moments, rates, lines; losses that are not finite."""

import math
from functools import lru_cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.jobs import POPULATION, STEPS_PER_EPOCH, draw, hyper_job
from torch import Tensor

from hyperlearning.core.errors import NonFiniteLossError
from hyperlearning.core.params import stack_members
from hyperlearning.engine.hyper_training import HyperTraining, Reset, outer_schedule
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, outer_parameters


@lru_cache
def _uninterrupted(reset: Reset):
    job = hyper_job(reset)
    return tuple(job.steps(job.begin()))


def _with_step(job: HyperTraining, step: Any):
    return HyperTraining(
        phases=tuple(phase._replace(step=step) for phase in job.phases), initial=job.initial, source=job.source
    )


def test_a_run_has_every_outer_step_of_every_epoch():
    steps = _uninterrupted("same")
    cursors = [tuple(step.state.cursor[:3]) for step in steps]
    first_phase = [(0, 0, 1), (0, 0, 2), (0, 0, 3), (0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 1, 3), (1, 0, 0)]
    assert cursors == [*first_phase, (1, 0, 1), (1, 0, 2), (1, 0, 3), (2, 0, 0)]
    assert [step.epoch for step in steps] == [None, None, None, 1, None, None, None, 2, None, None, None, 3]
    assert [step.same_pace_until for step in steps] == [16] * 8 + [24] * 4


def test_a_line_holds_the_mean_losses_since_the_line_before():
    single = [step.line for step in _uninterrupted("same") if step.line]
    job = hyper_job(record_every=2)
    paired = [step.line for step in job.steps(job.begin()) if step.line]
    assert [line.epoch for line in single] == [1, 2, 3]
    assert [line.epoch for line in paired] == [2, 3]
    assert paired[0].hyper_loss == pytest.approx((single[0].hyper_loss + single[1].hyper_loss) / 2)
    assert paired[1].task_loss == single[2].task_loss


def _births(reset: Reset):
    """The states that the first step of each epoch was given."""
    job, seen = hyper_job(reset), []

    def spy(hyper: HyperState, batch: HyperBatch, rate: Tensor):
        seen.append(hyper)
        return job.phases[0].step(hyper, batch, rate)

    list(_with_step(job, spy).steps(job.begin()))
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
    assert [step.line.outer_lr for step in _uninterrupted("same") if step.line] == [expected[i] for i in (3, 7, 11)]


@pytest.mark.parametrize(("outer_lr", "warmup_share"), [(0.0, 0.1), (-1.0, 0.1), (0.1, 1.0), (0.1, -0.1)])
def test_a_schedule_out_of_range_is_refused(outer_lr: float, warmup_share: float):
    with pytest.raises(ValueError, match=f"but got {warmup_share} and {outer_lr}"):
        outer_schedule("cosine", outer_lr, warmup_share=warmup_share)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step():
    job, calls = hyper_job(), []

    def broken(hyper: HyperState, batch: HyperBatch, rate: Tensor):
        hyper, losses = job.phases[0].step(hyper, batch, rate)
        calls.append(1)
        return hyper, losses._replace(hyper=losses.hyper * float("nan")) if len(calls) == 6 else losses

    with pytest.raises(NonFiniteLossError, match="at outer step 1 of epoch 1 in phase 0"):
        list(_with_step(job, broken).steps(job.begin()))


def test_a_step_makes_nothing_anywhere_else_than_its_state_and_data_are():
    stream = draw(torch.Generator().manual_seed(0))  # Streams are where their generator is.
    with torch.device("meta"):
        job = hyper_job("learned")
        phase, state = job.phases[0], job.begin().hyper
        plastic = stack_members(state.start, POPULATION)
        learned = outer_parameters(state.innate, state.start, learn_start=True)
        state = state._replace(
            plastic=plastic, plastic_moments=phase.inner.init(plastic), outer_moments=phase.outer.init(learned)
        )
        inputs, targets, hyper_inputs, hyper_targets = (part.to("meta") for part in stream)
        batch = HyperBatch(inputs[:2], targets[:2], hyper_inputs[0], hyper_targets[0])
        after, losses = phase.step(state, batch, torch.tensor(0.1))
    tensors = [*losses, *(tensor for params in after for tensor in params.values())]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
