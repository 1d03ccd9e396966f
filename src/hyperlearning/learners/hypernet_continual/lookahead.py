"""The step that an optimizer would take on gradients, without taking it.

Source: von Oswald et al., "Continual learning with hypernetworks" (2020), equation 2: the candidate change of the hypernetwork,
which is taken as a constant.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


@torch.no_grad()
def next_step(optimizer: torch.optim.Optimizer, params: Sequence[Tensor]) -> list[Tensor]:
    """Computes how far an optimizer would move parameters by the gradients that they have.

    Args:
        optimizer: SGD, with or without momentum, or Adam; without weight decay. Neither it nor its state changes.
        params: Parameters that it moves, all of the same group; those without a gradient stay.

    Raises:
        TypeError: If it is another optimizer.
    """
    (group,) = optimizer.param_groups
    if isinstance(optimizer, torch.optim.Adam):
        return [_adam_step(group, optimizer.state.get(tensor, {}), tensor) for tensor in params]
    if isinstance(optimizer, torch.optim.SGD):
        return [_sgd_step(group, optimizer.state.get(tensor, {}), tensor) for tensor in params]
    raise TypeError(f"Expected SGD or Adam, but got {type(optimizer).__name__}.")


def _sgd_step(group: dict, state: dict, tensor: Tensor) -> Tensor:
    if tensor.grad is None:
        return torch.zeros_like(tensor)
    velocity = state.get("momentum_buffer")
    drive = tensor.grad if velocity is None else group["momentum"] * velocity + tensor.grad
    return -group["lr"] * drive


def _adam_step(group: dict, state: dict, tensor: Tensor) -> Tensor:
    if tensor.grad is None:
        return torch.zeros_like(tensor)
    beta1, beta2 = group["betas"]
    first = (1 - beta1) * tensor.grad
    second = (1 - beta2) * tensor.grad.square()
    count = 1
    if state:
        first = beta1 * state["exp_avg"] + first
        second = beta2 * state["exp_avg_sq"] + second
        count = int(state["step"]) + 1
    root = (second / (1 - beta2**count)).sqrt_().add_(group["eps"])
    return first.div_(root).mul_(-group["lr"] / (1 - beta1**count))


@contextmanager
def moved(params: Sequence[Tensor], steps: Sequence[Tensor]) -> Iterator[None]:
    """Lets parameters stand elsewhere while the block runs; then they are what they were, to the bit."""
    before = [tensor.detach().clone() for tensor in params]
    with torch.no_grad():
        for tensor, step in zip(params, steps, strict=True):
            tensor.add_(step)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, own in zip(params, before, strict=True):
                tensor.copy_(own)
