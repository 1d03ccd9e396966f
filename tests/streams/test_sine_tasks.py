"""OML's sine waves: what a life is made of."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.streams.sine_tasks import (
    SineTasks,
    draw_mixed_hyper_stream,
    draw_sine_hyper_stream,
    draw_sine_stream,
    draw_sine_tasks,
    encode,
    sine_grid,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_target_is_the_amplitude_times_the_sine_of_the_point_and_the_phase():
    functions = SineTasks(torch.tensor([[2.0, 3.0]]), torch.tensor([[0.5, 1.0]]))
    tasks, points = torch.tensor([[0, 1]]), torch.tensor([[0.25, -2.0]])
    assert functions(tasks, points)[0].tolist() == pytest.approx([2 * math.sin(0.75), 3 * math.sin(-1.0)], rel=1e-6)


def test_an_input_is_a_one_hot_code_and_the_point():
    assert encode(torch.tensor([1]), torch.tensor([0.5]), capacity=3).tolist() == [[0.0, 1.0, 0.0, 0.5]]


def test_a_task_without_a_place_in_the_code_is_refused():
    with pytest.raises(ValueError, match=r"Expected `capacity` to be above every task, but got 2 for task 2\."):
        encode(torch.tensor([2]), torch.tensor([0.5]), capacity=2)


@given(lives=st.integers(1, 3), tasks=st.integers(1, 4), updates=st.integers(1, 3), batch=st.integers(1, 3))
def test_tasks_come_one_after_another_and_targets_are_theirs(lives: int, tasks: int, updates: int, batch: int):
    functions = draw_sine_tasks(lives, tasks, seeded())
    stream = draw_sine_stream(functions, seeded(1), updates_per_task=updates, batch_size=batch, capacity=tasks + 1)
    assert stream.inputs.shape == (tasks * updates, lives, batch, tasks + 2)
    code, points = stream.inputs[..., :-1].argmax(-1), stream.inputs[..., -1]
    assert torch.equal(code, torch.arange(tasks).repeat_interleave(updates)[:, None, None].expand_as(code))
    assert torch.equal(stream.targets[..., 0], functions(code, points))
    assert bool((points.abs() <= 5).all())


def test_amplitudes_and_phases_are_in_the_published_ranges():
    functions = draw_sine_tasks(500, 10, seeded())
    assert 0.1 <= float(functions.amplitudes.min()) < 0.11
    assert 5.09 < float(functions.amplitudes.max()) <= 5.1
    assert 0 <= float(functions.phases.min()) < 0.01
    assert 3.13 < float(functions.phases.max()) <= math.pi


def test_a_hyper_loss_has_equally_many_points_of_every_task_one_in_each_cell():
    functions = draw_sine_tasks(2, 3, seeded())
    stream = draw_sine_hyper_stream(
        functions, seeded(1), updates_per_task=2, batch_size=1, points_per_task=5, capacity=3
    )
    assert stream.hyper_inputs.shape == (1, 1, 2, 15, 4)
    cells = ((stream.hyper_inputs[0, 0, ..., -1] + 5) / 2).floor().long()
    assert torch.equal(cells, torch.arange(5).repeat(3).expand(2, -1))


def test_mixed_batches_have_all_tasks():
    functions = draw_sine_tasks(1, 4, seeded())
    stream = draw_mixed_hyper_stream(functions, seeded(1), num_updates=3, batch_size=64, capacity=4)
    assert bool((stream.inputs[..., :-1].sum(2) > 0).all())
    assert stream.hyper_inputs.shape == (3, 1, 1, 64, 5)


def test_the_grid_goes_through_all_tasks_in_order():
    functions = draw_sine_tasks(2, 3, seeded())
    inputs, targets = sine_grid(functions, points_per_task=4, capacity=3)
    tasks = inputs[..., :-1].argmax(-1)
    assert tasks[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert inputs[0, :4, -1].tolist() == [-3.75, -1.25, 1.25, 3.75]
    assert torch.equal(targets[..., 0], functions(tasks, inputs[..., -1]))


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_no_lives_or_no_tasks_are_refused(sizes: tuple[int, int]):
    with pytest.raises(ValueError, match="Expected positive `num_lives` and `num_tasks`"):
        draw_sine_tasks(*sizes, seeded())
