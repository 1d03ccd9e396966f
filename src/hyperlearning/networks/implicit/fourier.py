"""Fourier features before dense layers: what lets plain networks learn details.

Source: Tancik et al., "Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains" (2020).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """`[cos(2 pi B x), sin(2 pi B x)]` with a fixed normal B.

    Args:
        num_coordinates: Of a point, D.
        num_frequencies: Rows of B; features are twice as many.
        spread: The standard deviation of B, in periods a unit.
        generator: Source of B; the global one if absent.

    Raises:
        ValueError: If a size or the spread is not positive.
    """

    frequencies: Tensor

    def __init__(
        self, num_coordinates: int, num_frequencies: int, *, spread: float, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if min(num_coordinates, num_frequencies) < 1 or spread <= 0:
            got = f"{num_coordinates}, {num_frequencies} and {spread}"
            raise ValueError(f"Expected positive sizes and a positive `spread`, but got {got}.")
        drawn = torch.randn(num_frequencies, num_coordinates, generator=generator)
        self.register_buffer("frequencies", spread * drawn)

    def forward(self, points: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch features"]:
        """Makes features of points."""
        angles = 2 * torch.pi * points @ self.frequencies.T
        return torch.cat([angles.cos(), angles.sin()], -1)


def fourier_network(
    sizes: Sequence[int], num_frequencies: int, *, spread: float, generator: torch.Generator | None = None
) -> nn.Sequential:
    """Makes Fourier features and dense layers with ReLU between them on top.

    Args:
        sizes: Coordinates, units of each hidden layer, outputs.
        num_frequencies: Of the features.
        spread: Likewise.
        generator: Source of frequencies and first weights, those of He et al. (2015); the global one if absent.

    Raises:
        ValueError: If there are fewer than two sizes, or one is not positive.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"Expected `sizes` to be two or more positive sizes, but got {tuple(sizes)}.")
    layers: list[nn.Module] = [FourierFeatures(sizes[0], num_frequencies, spread=spread, generator=generator)]
    for fan_in, fan_out in pairwise((2 * num_frequencies, *sizes[1:])):
        layer = nn.Linear(fan_in, fan_out)
        nn.init.kaiming_normal_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
