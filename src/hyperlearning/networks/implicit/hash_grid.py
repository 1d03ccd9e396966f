"""A small hash grid: features on grids of several resolutions, found by a hash, interpolated, and read out by dense layers.

Shape suffixes: P points, D coordinates, L levels, F features of a level.

Source: Müller et al., "Instant Neural Graphics Primitives with a Multiresolution Hash Encoding" (2022), section 3.
"""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

_PRIMES = (1, 2_654_435_761, 805_459_861)


class HashGrid(nn.Module):
    """Features of points from -1 to 1, learned at the corners of cells: `L * F` numbers a point.

    A level whose corners are fewer than the table has a place for each; others share places by a hash.

    Args:
        num_coordinates: Of a point, D: 1, 2 or 3.
        num_levels: Resolutions, L.
        num_features: Numbers of a place, F.
        coarsest: Cells along an axis at the first level.
        finest: At the last; those between are in geometric progression.
        table_size: Places of a level, at most.
        generator: Source of first features, uniform in `+-1e-4`; the global one if absent.

    Raises:
        ValueError: If a size is not positive, `finest` is below `coarsest`, or there are other coordinates.
    """

    table: nn.Parameter
    _corners: Tensor

    def __init__(
        self,
        num_coordinates: int,
        *,
        num_levels: int = 8,
        num_features: int = 2,
        coarsest: int = 4,
        finest: int = 128,
        table_size: int = 4096,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= num_coordinates <= len(_PRIMES):
            raise ValueError(f"Expected 1 to {len(_PRIMES)} coordinates, but got {num_coordinates}.")
        if min(num_levels, num_features, coarsest, table_size) < 1 or finest < coarsest:
            got = f"{num_levels}, {num_features}, {coarsest}, {finest} and {table_size}"
            raise ValueError(f"Expected positive sizes, the finest the largest, but got {got}.")
        growth = (finest / coarsest) ** (1 / max(1, num_levels - 1))
        self.resolutions = tuple(round(coarsest * growth**level) for level in range(num_levels))
        self.sizes = tuple(min(table_size, (cells + 1) ** num_coordinates) for cells in self.resolutions)
        self.table = nn.Parameter(torch.empty(sum(self.sizes), num_features).uniform_(-1e-4, 1e-4, generator=generator))
        corners = list(itertools.product((0, 1), repeat=num_coordinates))
        self.register_buffer("_corners", torch.tensor(corners), persistent=False)

    def forward(self, points_PD: Float[Tensor, "P D"]) -> Float[Tensor, "P features"]:
        """Interpolates linearly between the corners of each point's cell, level by level."""
        found, start = [], 0
        for cells, size in zip(self.resolutions, self.sizes, strict=True):
            scaled = (points_PD.clamp(-1, 1) + 1) / 2 * cells
            low = scaled.detach().floor().clamp(max=cells - 1)
            inside = (scaled - low)[:, None]
            corners = low.long()[:, None] + self._corners
            shares = torch.where(self._corners.bool(), inside, 1 - inside).prod(-1)
            places = start + self._places(corners, cells, size)
            found.append((shares[..., None] * self.table[places]).sum(1))
            start += size
        return torch.cat(found, 1)

    def _places(self, corners: Tensor, cells: int, size: int) -> Tensor:
        num_coordinates = corners.shape[-1]
        if size == (cells + 1) ** num_coordinates:
            steps = torch.tensor([(cells + 1) ** axis for axis in range(num_coordinates)], device=corners.device)
            return (corners * steps).sum(-1)
        hashed = corners[..., 0] * _PRIMES[0]
        for axis in range(1, num_coordinates):
            hashed = hashed ^ (corners[..., axis] * _PRIMES[axis])
        return hashed % size


def hash_grid_network(
    grid: HashGrid, num_outputs: int, *, width: int = 32, generator: torch.Generator | None = None
) -> nn.Sequential:
    """Makes a grid and a small network that reads it out.

    Args:
        grid: The grid.
        num_outputs: Numbers at a point.
        width: Units of its hidden layer.
        generator: Source of first weights; the global one if absent.
    """
    first = nn.Linear(len(grid.resolutions) * grid.table.shape[1], width)
    last = nn.Linear(width, num_outputs)
    for layer in (first, last):
        nn.init.kaiming_normal_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(grid, first, nn.ReLU(), last)
