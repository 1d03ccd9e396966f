"""Optimizers as pure functions on named parameters, differentiable so that an outer gradient can pass through them."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.kernels import adam as adam_kernel
from hyperlearning.kernels.adam import AdamRule, Moved

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
        values, names = list(params.values()), list(params)
        before = [[moments[f"{kind}/{name}"] for name in names] for kind in ("first", "second")]
        move = adam_kernel.update if adam_kernel.fits([*values, *grads, *before[0], *before[1]]) else _move
        rule = AdamRule(beta1, beta2, eps, tiny=torch.finfo(count.dtype).tiny)
        moved = move(rule, values, grads, *before, correction=1 - beta2**count, rate=lr / (1 - beta1**count))
        fresh = {"count": count}
        for name, first, second in zip(names, moved.first, moved.second, strict=True):
            fresh[f"first/{name}"], fresh[f"second/{name}"] = first, second
        return dict(zip(names, moved.values, strict=True)), fresh

    return Optimizer(init=init, update=update)


def _move(
    rule: AdamRule,
    values: Sequence[Tensor],
    grads: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    *,
    correction: Tensor,
    rate: Tensor,
) -> Moved:
    """What `adam_kernel.update` does, differentiable. The order of operations is the same in both."""
    moved = Moved([], [], [])
    for value, grad, one, two in zip(values, grads, first, second, strict=True):
        one = one * rule.beta1 + grad * (1 - rule.beta1)
        two = two * rule.beta2 + grad * grad * (1 - rule.beta2)
        # With a zero gradient sqrt'(0) is infinite; the smallest normal number keeps gradients through the update finite
        # and, unlike a larger offset, leaves small gradients' steps as they are.
        new = value - one / ((two / correction + rule.tiny).sqrt() + rule.eps) * rate
        for kind, tensor in zip(moved, (new, one, two), strict=True):
            kind.append(tensor)
    return moved


def clamped(inner: Optimizer, bound: float) -> Optimizer:
    """Makes a rule that first bounds every number of the gradients: `g <- min(max(g, -bound), bound)`, then applies `inner`.

    Args:
        inner: The rule.
        bound: Largest magnitude, positive.

    Raises:
        ValueError: If the bound is not positive.
    """
    if not bound > 0:
        raise ValueError(f"Expected `bound` to be positive, but got {bound}.")

    def update(params: Params, grads: Sequence[Tensor], moments: Params, lr: Tensor | float) -> tuple[Params, Params]:
        return inner.update(params, [grad.clamp(-bound, bound) for grad in grads], moments, lr)

    return Optimizer(init=inner.init, update=update)


def clip_by_global_norm(grads: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    """Scales all gradients down together so that their joint Euclidean norm is at most `max_norm`."""
    norm = torch.stack([grad.square().sum() for grad in grads]).sum().sqrt()
    scale = torch.clamp(max_norm / (norm + 1e-12), max=1.0)
    return [grad * scale for grad in grads]
