"""Scores of continual learning on matrices worked by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hyperlearning.evaluation.continual import (
    backward_transfer,
    forgetting,
    memory_curve,
    memory_error,
    total_curve,
    total_error,
)

# Rows: before learning, after task 1, 2, 3. Columns: error on task 1, 2, 3.
ERRORS = torch.tensor(
    [
        [9.0, 8.0, 7.0],
        [1.0, 6.0, 9.0],
        [3.0, 2.0, 5.0],
        [4.0, 6.0, 1.0],
    ],
    dtype=torch.float64,
)


def test_total_error_is_the_mean_of_the_last_row():
    assert total_error(ERRORS).item() == pytest.approx((4 + 6 + 1) / 3)


def test_memory_curve_averages_the_tasks_met():
    torch.testing.assert_close(memory_curve(ERRORS), torch.tensor([1.0, 2.5, 11 / 3], dtype=torch.float64))


def test_total_curve_averages_every_row():
    torch.testing.assert_close(total_curve(ERRORS), torch.tensor([8.0, 16 / 3, 10 / 3, 11 / 3], dtype=torch.float64))


def test_memory_error_is_the_mean_of_the_memory_curve():
    assert memory_error(ERRORS).item() == pytest.approx((1 + 2.5 + 11 / 3) / 3)


def test_forgetting_is_the_rise_above_the_best_since_learned():
    # Task 1: best of 1 and 3, now 4. Task 2: 2, now 6.
    assert forgetting(ERRORS).item() == pytest.approx(((4 - 1) + (6 - 2)) / 2)


def test_forgetting_counts_the_best_even_if_it_came_later_than_learning():
    errors = ERRORS.clone()
    errors[2, 0] = 0.5
    assert forgetting(errors).item() == pytest.approx(((4 - 0.5) + (6 - 2)) / 2)


def test_forgetting_is_negative_where_the_last_task_improved_the_earlier_ones():
    errors = ERRORS.clone()
    errors[3, :2] = 0.0
    assert forgetting(errors).item() == pytest.approx(((0 - 1) + (0 - 2)) / 2)


def test_forgetting_ignores_errors_from_before_a_task_was_learned():
    errors = ERRORS.clone()
    errors[0, 0] = errors[1, 1] = -100.0
    assert forgetting(errors).item() == forgetting(ERRORS).item()


def test_backward_transfer_compares_with_the_error_when_learned():
    assert backward_transfer(ERRORS).item() == pytest.approx(((1 - 4) + (2 - 6)) / 2)


@pytest.mark.parametrize("score", [total_error, memory_curve, total_curve, memory_error, forgetting, backward_transfer])
def test_lives_on_leading_axes_are_scored_one_by_one(score: Callable[[Tensor], Tensor]):
    lives = torch.stack([ERRORS, ERRORS.flip(0), 2 * ERRORS]).reshape(3, 1, 4, 3)
    expected = torch.stack([score(life[0]) for life in lives]).unsqueeze(1)
    torch.testing.assert_close(score(lives), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("score", [total_error, memory_curve, total_curve, memory_error, forgetting, backward_transfer])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3)])
def test_a_matrix_without_its_first_row_is_refused(score: Callable[[Tensor], Tensor], shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=f"T \\+ 1 rows and T columns, but got shape \\({shape[0]}, 3\\)"):
        score(torch.zeros(shape))


@pytest.mark.parametrize("score", [forgetting, backward_transfer])
def test_one_task_alone_cannot_be_forgotten(score: Callable[[Tensor], Tensor]):
    with pytest.raises(ValueError, match="at least 2 tasks, but got 1"):
        score(torch.zeros(2, 1))
