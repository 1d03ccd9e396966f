"""Scores of continual learning from an error matrix, as pure functions.

An error matrix has `error[i, j]`, the error on task j after learning the first i tasks: i from 0 (before any learning) to T,
j from 0 to T - 1. Task j is learned when the row index reaches j + 1. Any leading axes (lives) are kept. Lower is better.

Shape suffix: L lives, T tasks.
"""

import torch
from jaxtyping import Float
from torch import Tensor

ErrorMatrix = Float[Tensor, "*lives stages tasks"]


def total_error(errors: ErrorMatrix) -> Float[Tensor, "*lives"]:
    """Error over all tasks after the last: `1/T sum_j E[T, j]` (the paper's total loss, figure 4 top-left)."""
    return _checked(errors)[..., -1, :].mean(-1)


def memory_curve(errors: ErrorMatrix) -> Float[Tensor, "*lives tasks"]:
    """Error over the tasks met so far, after each: `1/i sum_{j<i} E[i, j]` for i = 1..T (memory loss, figure 4 top-right)."""
    num_tasks = _checked(errors).shape[-1]
    met = torch.ones(num_tasks, num_tasks, dtype=errors.dtype, device=errors.device).tril()
    return (errors[..., 1:, :] * met).sum(-1) / met.sum(-1)


def total_curve(errors: ErrorMatrix) -> Float[Tensor, "*lives stages"]:
    """Error over all tasks before learning and after each task: `1/T sum_j E[i, j]` for i = 0..T."""
    return _checked(errors).mean(-1)


def memory_error(errors: ErrorMatrix) -> Float[Tensor, "*lives"]:
    """Memory loss averaged over a life: the mean of `memory_curve`."""
    return memory_curve(errors).mean(-1)


def forgetting(errors: ErrorMatrix) -> Float[Tensor, "*lives"]:
    """How far errors rose above their best since learned: `1/(T-1) sum_{j<T-1} (E[T, j] - min_{j<i<T} E[i, j])`.

    Rows count from 1 as learned tasks do. Negative if the last task improved the earlier ones beyond their best.

    Raises:
        ValueError: If there is only one task: nothing can be forgotten.

    Source: Chaudhry et al., "Riemannian Walk for Incremental Learning", section 3, with errors in place of accuracies.
    """
    num_tasks = _several(errors)
    best = [errors[..., j + 1 : num_tasks, j].amin(-1) for j in range(num_tasks - 1)]
    return (errors[..., -1, :-1] - torch.stack(best, dim=-1)).mean(-1)


def backward_transfer(errors: ErrorMatrix) -> Float[Tensor, "*lives"]:
    """What later learning did to earlier tasks: `1/(T-1) sum_{j<T-1} (E[j+1, j] - E[T, j])`; negative is forgetting.

    The sign is that of the source, so that positive is better: there accuracies, here errors.

    Raises:
        ValueError: If there is only one task.

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", section 2.
    """
    num_tasks = _several(errors)
    when_learned = torch.stack([errors[..., j + 1, j] for j in range(num_tasks - 1)], dim=-1)
    return (when_learned - errors[..., -1, :-1]).mean(-1)


def _checked(errors: Tensor) -> Tensor:
    if errors.ndim < 2 or errors.shape[-2] != errors.shape[-1] + 1:
        raise ValueError(f"Expected an error matrix of T + 1 rows and T columns, but got shape {tuple(errors.shape)}.")
    return errors


def _several(errors: Tensor) -> int:
    num_tasks = _checked(errors).shape[-1]
    if num_tasks < 2:
        raise ValueError(f"Expected at least 2 tasks, but got {num_tasks}.")
    return num_tasks
