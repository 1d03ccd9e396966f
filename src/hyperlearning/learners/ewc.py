"""Elastic Weight Consolidation: after each task, parameters are held near where they are, each as firmly as it matters.

Source: Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks" (equation 3); the online form with one
running Fisher sum and the newest anchor is that of Schwarz et al., "Progress & Compress" (section 3, no decay).
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.optimizers import Optimizer


def live_with_ewc(
    learner: Learner,
    plastic: Params,
    innate: Params,
    inputs: Float[Tensor, "steps members batch *inputs"],
    targets: Shaped[Tensor, "steps members batch *targets"],
    *,
    num_tasks: int,
    strength: float,
) -> Iterator[Params]:
    """Lives one life per member with the penalty `strength / 2 * sum_k F_k (theta_k - theta*_k)^2`.

    `F` sums, over the tasks met, the mean squared gradient of the loss over the task's own steps; `theta*` is where the
    last task ended. Nothing of a task is kept but these.

    Args:
        learner: Network, loss and inner optimizer.
        plastic: Plastic parameters at birth, (M, ...) each.
        innate: Innate parameters.
        inputs: Training data, tasks one after another and equally long.
        targets: Its targets.
        num_tasks: How many tasks.
        strength: The papers' lambda, 0 or more.

    Yields:
        The plastic parameters before the first update and after every one.

    Raises:
        ValueError: If the strength is negative or the tasks do not divide the steps.
    """
    if strength < 0:
        raise ValueError(f"Expected `strength` to be non-negative, but got {strength}.")
    if len(inputs) % num_tasks:
        raise ValueError(f"Expected `num_tasks` to divide {len(inputs)} steps, but got {num_tasks}.")
    with torch.no_grad():
        inputs = learner.prepared(innate, inputs)
    learner = learner._replace(prepare=None)
    fisher = {name: torch.zeros_like(tensor) for name, tensor in plastic.items()}
    anchored = learner
    yield plastic
    for task_inputs, task_targets in zip(inputs.chunk(num_tasks), targets.chunk(num_tasks), strict=True):
        life = live(anchored, plastic, innate, task_inputs, task_targets)
        next(life)
        for plastic in life:
            yield plastic
        importance = _mean_squared_gradient(learner, plastic, innate, task_inputs, task_targets)
        fisher = {name: fisher[name] + importance[name] for name in fisher}
        anchored = learner._replace(optimizer=_pulled(learner.optimizer, fisher, plastic, strength))


def _pulled(inner: Optimizer, fisher: Params, anchor: Params, strength: float) -> Optimizer:
    """Adds the penalty's gradient `strength * F * (theta - theta*)` before the inner optimizer's update."""

    def update(params: Params, grads: Sequence[Tensor], moments: Params, lr: Tensor | float) -> tuple[Params, Params]:
        pulled = [
            grad + strength * fisher[name] * (params[name] - anchor[name])
            for name, grad in zip(params, grads, strict=True)
        ]
        return inner.update(params, pulled, moments, lr)

    return Optimizer(init=inner.init, update=update)


def _mean_squared_gradient(
    learner: Learner, plastic: Params, innate: Params, inputs: Tensor, targets: Tensor
) -> Params:
    total = {name: torch.zeros_like(tensor) for name, tensor in plastic.items()}
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in plastic.items()}
    for step_inputs, step_targets in zip(inputs, targets, strict=True):
        losses = learner.loss_fn(learner.forward(leaves, innate, step_inputs), step_targets)
        for name, grad in zip(total, torch.autograd.grad(losses.sum(), list(leaves.values())), strict=True):
            total[name] += grad.square()
    return {name: tensor / len(inputs) for name, tensor in total.items()}
