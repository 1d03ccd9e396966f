"""Elastic Weight Consolidation: after each task, parameters are held near where they are, each as firmly as it matters.

Source: Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks" (equation 3); the online form with one
running Fisher sum and the newest anchor is that of Schwarz et al., "Progress & Compress" (section 3, no decay).
"""

import torch
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.penalties import Penalty


def elastic_weight_consolidation(strength: float) -> Penalty:
    """Makes the penalty `strength / 2 * sum_k F_k (theta_k - theta*_k)^2`.

    `F` sums, over the tasks met, the mean squared gradient of the loss over the task's own steps; `theta*` is where the
    last task ended.

    Args:
        strength: The papers' lambda, 0 or more.

    Raises:
        ValueError: If it is negative.
    """
    if strength < 0:
        raise ValueError(f"Expected `strength` to be non-negative, but got {strength}.")

    def init(plastic: Params) -> Params:
        return _state({name: torch.zeros_like(tensor) for name, tensor in plastic.items()}, plastic)

    def penalty(state: Params, plastic: Params) -> Tensor:
        terms = [
            (strength / 2 * state[f"fisher/{name}"] * (tensor - state[f"anchor/{name}"]).square())
            for name, tensor in plastic.items()
        ]
        return torch.stack([term.reshape(len(term), -1).sum(1) for term in terms]).sum(0)

    def gradient(state: Params, plastic: Params) -> list[Tensor]:
        return [
            strength * state[f"fisher/{name}"] * (tensor - state[f"anchor/{name}"]) for name, tensor in plastic.items()
        ]

    def consolidate(
        state: Params, learner: Learner, plastic: Params, innate: Params, inputs: Tensor, targets: Tensor
    ) -> Params:
        importance = _mean_squared_gradient(learner, plastic, innate, inputs, targets)
        return _state({name: state[f"fisher/{name}"] + importance[name] for name in plastic}, plastic)

    return Penalty(init, penalty, consolidate, gradient)


def _state(fisher: Params, anchor: Params) -> Params:
    named = {f"anchor/{name}": tensor.detach() for name, tensor in anchor.items()}
    return named | {f"fisher/{name}": tensor for name, tensor in fisher.items()}


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
