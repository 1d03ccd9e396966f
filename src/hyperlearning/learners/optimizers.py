"""Optimizers as pure functions on named parameters, differentiable so that an outer gradient can pass through them."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.params import Params

OptimizerName = Literal["sgd", "adam"]


class Optimizer(NamedTuple):
    """A rule that turns gradients into new parameters.

    Attributes:
        init: Makes the moments for some parameters: named tensors, empty for SGD.
        update: Maps parameters, their gradients in the same order, moments and a rate to new parameters and moments.
    """

    init: Callable[[Params], Params]
    update: Callable[[Params, Sequence[Tensor], Params, Tensor | float], tuple[Params, Params]]


def optimizer(name: OptimizerName) -> Optimizer:
    """Finds an optimizer by its name.

    Raises:
        ValueError: If there is none of this name.
    """
    known = {"sgd": sgd, "adam": adam}
    if name not in known:
        raise ValueError(f"Expected an optimizer among {sorted(known)}, but got '{name}'.")
    return known[name]()


def sgd() -> Optimizer:
    """Plain gradient descent: `p <- p - lr * g`."""

    def update(params: Params, grads: Sequence[Tensor], moments: Params, lr: Tensor | float) -> tuple[Params, Params]:
        pairs = zip(params.items(), grads, strict=True)
        return {name: tensor - lr * grad for (name, tensor), grad in pairs}, moments

    return Optimizer(init=lambda params: {}, update=update)


def adam(*, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Adam: `m <- b1 m + (1-b1) g`, `v <- b2 v + (1-b2) g^2`, `p <- p - lr * m^ / (sqrt(v^) + eps)`, bias-corrected.

    Args:
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        eps: Added to the root of the second moment.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", algorithm 1.
    """

    def init(params: Params) -> Params:
        tensor = next(iter(params.values()))
        moments = {"count": torch.zeros((), dtype=tensor.dtype, device=tensor.device)}
        for name, tensor in params.items():
            moments[f"first/{name}"] = torch.zeros_like(tensor)
            moments[f"second/{name}"] = torch.zeros_like(tensor)
        return moments

    def update(params: Params, grads: Sequence[Tensor], moments: Params, lr: Tensor | float) -> tuple[Params, Params]:
        count = moments["count"] + 1
        rate, correction = lr / (1 - beta1**count), 1 - beta2**count
        # With a zero gradient sqrt'(0) is infinite; the smallest normal number keeps gradients through the update finite
        # and, unlike a larger offset, leaves small gradients' steps as they are.
        tiny = torch.finfo(count.dtype).tiny
        new, fresh = {}, {"count": count}
        for (name, tensor), grad in zip(params.items(), grads, strict=True):
            first = moments[f"first/{name}"] * beta1 + grad * (1 - beta1)
            second = moments[f"second/{name}"] * beta2 + grad * grad * (1 - beta2)
            new[name] = tensor - first / ((second / correction + tiny).sqrt() + eps) * rate
            fresh[f"first/{name}"], fresh[f"second/{name}"] = first, second
        return new, fresh

    return Optimizer(init=init, update=update)


def clip_by_global_norm(grads: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    """Scales all gradients down together so that their joint Euclidean norm is at most `max_norm`."""
    norm = torch.stack([grad.square().sum() for grad in grads]).sum().sqrt()
    scale = torch.clamp(max_norm / (norm + 1e-12), max=1.0)
    return [grad * scale for grad in grads]
