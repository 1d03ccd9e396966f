"""Lives of a linear readout on fixed features, in closed form.

Every update of plain SGD adds features of the points at hand to the readout, so that the readout is a weighted sum of the
features met, and all that is ever needed of features is how alike those of two points are, `k(x, x') = phi(x) . phi(x')`:
a life costs as many operations as there are pairs of points, however many features there are.

Source: Liu, Pokharel and Principe, "The Kernel Least-Mean-Square Algorithm" (2008), equations 8 and 9; here with batches.

Shape suffixes: F lives, T batches, B batch, P points of the grid.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]
"""Maps points (..., n) and (..., m) of one input to `k`, (..., n, m)."""


def predictions_of_linear_lives(
    kernel: Kernel,
    inputs: Float[Tensor, "batches lives batch 1"],
    targets: Float[Tensor, "batches lives batch 1"],
    grid: Float[Tensor, "lives points 1"],
    *,
    inner_lr: float,
    every: int,
) -> Iterator[Float[Tensor, "lives points"]]:
    """Lives one life per row with SGD on the mean squared error, the readout 0 at birth.

    Args:
        kernel: Inner products of features.
        inputs: One batch after another.
        targets: Their targets.
        grid: Where predictions are made.
        inner_lr: The rate.
        every: Batches between looks.

    Yields:
        Predictions on the grid before the first update and after every `every` batches.
    """
    batch_size = inputs.shape[2]
    points_FN = inputs[..., 0].transpose(0, 1).flatten(1)  # N = T * B
    wanted_FN = targets[..., 0].transpose(0, 1).flatten(1)
    weights_FN = torch.zeros_like(points_FN)
    predictions_FP = torch.zeros_like(grid[..., 0])
    yield predictions_FP
    for first in range(0, points_FN.shape[1], every * batch_size):
        last = first + every * batch_size
        for begin in range(first, last, batch_size):
            own = slice(begin, begin + batch_size)
            errors = _read(kernel, points_FN[:, own], points_FN[:, :begin], weights_FN[:, :begin]) - wanted_FN[:, own]
            weights_FN[:, own] = -inner_lr * 2 / batch_size * errors
        look = slice(first, last)
        predictions_FP = predictions_FP + _read(kernel, grid[..., 0], points_FN[:, look], weights_FN[:, look])
        yield predictions_FP


def _read(kernel: Kernel, points: Tensor, met: Tensor, weights: Tensor) -> Tensor:
    """What a readout that is a sum of the features met says at points."""
    return torch.bmm(kernel(points, met), weights[..., None])[..., 0]
