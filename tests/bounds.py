"""How far apart two right ways of computing the same numbers may be, on any processor and with any number of threads.

A rounded operation is off by at most half an `eps` of its result. What n of them, one on another, make of a number is off by at
most `n * eps / 2` of the largest number on the way, in whatever order they are done: blocks, vector registers, fused
multiply-adds and threads change the order and nothing else (Higham, "Accuracy and Stability of Numerical Algorithms", section
3.1). Two ways are so far from the truth each, `n * eps` from one another. That is `rounding`, for what depends smoothly on its
inputs.

Adam does not: it divides a gradient by the root of its mean square, so that a gradient which cancels to almost nothing moves
its parameter by the whole rate, in a direction that rounding decides. A bound has to know how near to nothing the problem's
gradients come. `conditioned` measures it in double precision, where the processor does not matter: by how much the result
changes when every input changes by what n operations of the lower precision could make of it.
"""

from collections.abc import Callable

import torch

from hyperlearning.core.params import Params

_NUM_NUDGES, _SAFETY = 4, 10.0
"""A result is a sum over many inputs of random sign. That all four nudges leave less than a tenth of a standard deviation of it
has the probability .08^4: one in 25,000 numbers."""


def rounding(dtype: torch.dtype, operations: int) -> float:
    """Greatest relative difference between two ways of so many operations, one on another.

    Args:
        dtype: Of the numbers.
        operations: On the longest way from an input to a result: terms of the sums, layers and steps together.
    """
    return operations * torch.finfo(dtype).eps


def adams_correction(dtype: torch.dtype, *, rate: float, updates: int, beta2: float = 0.999) -> float:
    """How far so many updates of Adam may lead astray because `1 - beta2**t` is computed in the type itself.

    The power is near 1 and off by `eps / 2`, so that the difference, `1 - beta2` at first, is off by `eps / 2 / (1 - beta2)` of
    itself, and its root by half of that. PyTorch's own Adam computes it in double precision.
    """
    return updates * rate * torch.finfo(dtype).eps / (1 - beta2) / 4


def conditioned(
    run: Callable[[Params], Params], inputs: Params, dtype: torch.dtype, operations: int, *, own: float = 0.0
) -> tuple[Params, Params]:
    """Computes what is exact but for double precision, and how far a way in another type may be from it, number by number.

    Args:
        run: Maps inputs to results, in double precision.
        inputs: All that rounding touches: data and parameters, as the other type holds them.
        dtype: The other type.
        operations: As for `rounding`.
        own: What the way adds of its own to every number at most, such as `adams_correction`.
    """
    inputs = {name: tensor.double() for name, tensor in inputs.items()}
    exact, source, size = run(inputs), torch.Generator().manual_seed(0), rounding(dtype, operations) / 2
    reach = {name: torch.zeros_like(tensor) for name, tensor in exact.items()}
    for _ in range(_NUM_NUDGES):
        nudged = run({name: tensor * (1 + size * _signs(tensor, source)) for name, tensor in inputs.items()})
        reach = {name: reach[name].maximum((nudged[name] - exact[name]).abs()) for name in exact}
    return exact, {name: _SAFETY * reach[name] + size * exact[name].abs() + own for name in exact}


def check_within(found: Params, exact: Params, bounds: Params) -> None:
    """Asserts that all numbers are within their bounds, and names the one that is farthest out if not."""
    assert found.keys() == exact.keys()
    for name, tensor in found.items():
        excess = ((tensor.double() - exact[name]).abs() / bounds[name].clamp(min=torch.finfo(torch.float64).tiny)).max()
        assert excess <= 1, f"'{name}' is {float(excess):.2f} times its bound away"


def _signs(tensor: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 2, tensor.shape, generator=source).to(tensor) * 2 - 1
