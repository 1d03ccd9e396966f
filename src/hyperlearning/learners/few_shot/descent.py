"""Gradient steps on the weights of many small problems at once, which an outer gradient may pass through.

Shape suffixes: E episodes.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.optimizers import Optimizer, sgd

Order = Literal["second", "first", "none"]
"""What of the steps an outer gradient sees: all, all but how gradients follow from weights, or nothing."""


def descend(
    loss_of: Callable[[Params], Float[Tensor, " episodes"]],
    weights: Params,
    *,
    num_steps: int,
    lr: float | Tensor,
    order: Order,
    optimizer: Optimizer | None = None,
) -> Params:
    """Takes gradient steps: `w <- w - lr * dL/dw`, each episode's on its own loss.

    Args:
        loss_of: Maps weights to a loss an episode.
        weights: Where steps begin; each episode's own, (E, ...), or those of a single problem.
        num_steps: Steps.
        lr: Their rate.
        order: What an outer gradient sees of them; nothing where gradients are off.
        optimizer: The rule, plain gradient descent if absent.

    Returns:
        The weights after the steps.

    Source: Finn et al., "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks" (2017), equation 1, section 5.2 for
    the first order.
    """
    rule = optimizer or sgd()
    moments = rule.init(weights)
    order = order if torch.is_grad_enabled() else "none"
    with torch.set_grad_enabled(True):
        for _ in range(num_steps):
            leaves = {
                name: tensor if tensor.requires_grad and order != "none" else tensor.detach().requires_grad_()
                for name, tensor in weights.items()
            }
            losses = loss_of(leaves)
            grads = torch.autograd.grad(losses.sum(), list(leaves.values()), create_graph=order == "second")
            weights, moments = rule.update(leaves, grads, moments, lr)
    return weights if order != "none" else {name: tensor.detach() for name, tensor in weights.items()}


def mean_losses(logits: Float[Tensor, "E N W"], labels: Tensor) -> Float[Tensor, " E"]:
    """Cross-entropy of each episode, a mean over its images.

    Args:
        logits: Of images.
        labels: Of each, the same for all episodes.
    """
    own = logits.log_softmax(-1)[:, torch.arange(len(labels), device=labels.device), labels]
    return -own.mean(-1)
