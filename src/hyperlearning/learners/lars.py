"""Gradient descent with a rate of its own for every layer, for batches so large that one rate for all does not do."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.optimizers import Optimizer


def lars(
    *, momentum: float = 0.9, weight_decay: float = 1e-6, trust: float = 0.001, vector_rate: float = 1.0
) -> Optimizer:
    """Layer-wise adaptive rates: `g <- g + wd p`, `g <- g * trust |p| / |g|`, `m <- momentum m + g`, `p <- p - lr * m`.

    Biases and scales of norms, all parameters of one axis or none, keep their gradients as they are: no decay, no adaptation. A
    layer whose weights or gradients are all 0 keeps its gradient, too.

    Args:
        momentum: Decay of the sum of updates, from 0 to below 1.
        weight_decay: From 0.
        trust: A layer's update as a share of its weights' norm, at a rate of 1; positive.
        vector_rate: Rate of parameters of one axis or none, as a multiple of that of the others; Barlow Twins has .024.

    Raises:
        ValueError: If a setting is out of range.

    Source: You et al., "Large Batch Training of Convolutional Networks" (2017), algorithm 1, with the exceptions that are usual
    in learning without labels.
    """
    if not 0 <= momentum < 1 or weight_decay < 0 or trust <= 0 or vector_rate <= 0:
        raise ValueError(
            "Expected `momentum` from 0 to below 1, a non-negative `weight_decay`, positive `trust` and `vector_rate`, but got "
            f"{momentum}, {weight_decay}, {trust} and {vector_rate}."
        )

    def update(params: Params, grads: Sequence[Tensor], moments: Params, lr: Tensor | float) -> tuple[Params, Params]:
        after, fresh = {}, {}
        for (name, tensor), grad in zip(params.items(), grads, strict=True):
            is_vector = tensor.ndim < 2
            step = grad * vector_rate if is_vector else _adapted(tensor, grad + weight_decay * tensor, trust)
            fresh[name] = momentum * moments[name] + step
            after[name] = tensor - lr * fresh[name]
        return after, fresh

    return Optimizer(
        init=lambda params: {name: torch.zeros_like(tensor) for name, tensor in params.items()}, update=update
    )


def _adapted(tensor: Tensor, grad: Tensor, trust: float) -> Tensor:
    own, of_grad = torch.linalg.vector_norm(tensor), torch.linalg.vector_norm(grad)
    moves = (own > 0) & (of_grad > 0)
    return grad * torch.where(moves, trust * own / torch.where(moves, of_grad, 1), 1)
