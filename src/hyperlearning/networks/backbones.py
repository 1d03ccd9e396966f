"""Ordinary networks that the methods are compared with, every parameter plastic."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

_CELLS_PER_WIDTH = 128
"""Of a table that is interpolated linearly: its error is relatively `(1 / 128)^2 / 16` at most, near the domain's ends alone."""


def mlp(sizes: Sequence[int], *, generator: torch.Generator | None = None) -> nn.Sequential:
    """Makes a multilayer perceptron with tanh between its layers and a linear output.

    Weights are uniform in `+-sqrt(6 / (fan_in + fan_out))`, biases in `+-1/sqrt(fan_in)`.

    Args:
        sizes: Units per layer, inputs first.
        generator: Source of the initial values; the global one if absent.

    Raises:
        ValueError: If there are fewer than two layers or a size is not positive.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"Expected `sizes` to be two or more positive sizes, but got {tuple(sizes)}.")
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.xavier_uniform_(linear.weight, generator=generator)
        nn.init.uniform_(linear.bias, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def mlp_width(num_parameters: int) -> int:
    """Finds the width w at which an MLP 1-w-w-1 comes closest to a number of parameters: w^2 + 4w + 1.

    Raises:
        ValueError: If even a width of 1 has more.
    """
    if num_parameters < 6:
        raise ValueError(f"Expected `num_parameters` to be at least 6, but got {num_parameters}.")
    return min(range(1, num_parameters), key=lambda width: abs(width**2 + 4 * width + 1 - num_parameters))


class RadialBasisNetwork(nn.Module):
    """Fixed Gaussian bumps along one input and a plastic linear readout: the cheapest learner that barely forgets.

    `f(x) = sum_k w_k * exp(-(x - c_k)^2 / (2 s^2)) / sqrt(K s sqrt(pi) / range)`, with K centres c_k evenly over the
    domain. The factor makes the features' squared norm about 1 away from the ends, whatever K is, so that a rate
    means the same for any number of bumps. Distant points share no feature, so learning one leaves the other alone.

    Args:
        num_features: Bumps, which is the number of plastic parameters.
        width: Standard deviation s of a bump, in units of the input.
        domain: Lowest and highest input.

    Raises:
        ValueError: If a size is not positive.
    """

    def __init__(self, num_features: int, *, width: float, domain: tuple[float, float]) -> None:
        super().__init__()
        if num_features < 1 or width <= 0:
            raise ValueError(f"Expected positive `num_features` and `width`, but got {num_features} and {width}.")
        self.width = width
        self.centres: Tensor
        self.register_buffer("centres", torch.linspace(*domain, num_features))
        self.domain = domain
        self.scale = (num_features * width * torch.pi**0.5 / (domain[1] - domain[0])) ** -0.5
        self.readout = nn.Parameter(torch.zeros(num_features))

    def forward(self, inputs: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch 1"]:
        """Sums the bumps."""
        bumps = torch.exp(-((inputs - self.centres) ** 2) / (2 * self.width**2))
        return (bumps @ self.readout)[..., None] * self.scale

    def kernel(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Makes the inner product of two points' features, for points (..., n) and (..., m) of the domain.

        `phi(x) . phi(x') = exp(-(x - x')^2 / (4 s^2)) * S((x + x') / 2)`, where
        `S(z) = sum_k exp(-(z - c_k)^2 / s^2) / scale^2` says how many bumps there are about z: constant but near the
        domain's ends, so that it is read off a fine table.
        """
        low, high = self.domain
        num_cells = math.ceil((high - low) / self.width * _CELLS_PER_WIDTH)
        places = torch.linspace(low, high, num_cells + 1, device=self.centres.device)
        around = [torch.exp(-(((some[:, None] - self.centres) / self.width) ** 2)).sum(1) for some in places.split(256)]
        table = torch.cat(around) * self.scale**2

        def product(first: Tensor, second: Tensor) -> Tensor:
            first, second = first[..., :, None], second[..., None, :]
            place = ((first + second) / 2 - low) * (num_cells / (high - low))
            cell = place.long().clamp(0, num_cells - 1)
            near = torch.lerp(table[cell], table[cell + 1], place - cell)
            return near * torch.exp(-(((first - second) / (2 * self.width)) ** 2))

        return product
