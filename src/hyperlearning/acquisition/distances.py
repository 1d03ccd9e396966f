"""Distances between features: fast in blocks, and where ties matter exact.

Shape suffixes: R rows, M others, D features, N images of the pool, L labelled images.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from hyperlearning.acquisition.query import Views

BLOCK_NUMBERS = 1 << 23
"""Numbers of a block of distances: 32 MB in single precision, whatever the pool."""


class Grid(NamedTuple):
    """Rounds features to whole numbers so small that every distance is exact, in whatever order its terms are summed.

    Products of matrices differ in their last bits with shapes, threads and processors, so that equals are none and a greedy
    choice goes another way. With D features and numbers of at most sqrt(2^51 / D) (21 bits at D = 512), squared distances
    stay below 2^53: double precision holds each of them. Equal features are at distance 0, ties are ties, and no two ways to
    compute a distance differ. A feature is moved by at most half a step.

    Attributes:
        origin_D: What becomes 0: the middle of each feature's range.
        step: What becomes 1.
    """

    origin_D: Float64[Tensor, " features"]
    step: float

    def __call__(self, features_RD: Float[Tensor, "rows features"]) -> Float64[Tensor, "rows features"]:
        """Gives whole numbers in double precision."""
        return features_RD.sub(self.origin_D).div_(self.step).round_()


def grid_of(*sets: Float[Tensor, "_ features"]) -> Grid:
    """Lays a grid over all of some features, as fine as exact sums allow."""
    some = [own for own in sets if len(own)]
    low_D = torch.stack([own.amin(0) for own in some]).amin(0).double()
    high_D = torch.stack([own.amax(0) for own in some]).amax(0).double()
    largest = float((high_D - low_D).amax()) / 2
    most = math.isqrt(2**51 // len(low_D)) - 1
    return Grid((low_D + high_D) / 2, largest / most or 1.0)


def exact_squares(
    left_RD: Float64[Tensor, "rows features"],
    left_R: Float64[Tensor, " rows"],
    right_MD: Float64[Tensor, "others features"],
) -> Float64[Tensor, "rows others"]:
    """Squared distances between whole numbers of one `Grid`, without any error.

    Args:
        left_RD: Rows.
        left_R: Their squared lengths.
        right_MD: What they are measured from.
    """
    return torch.addmm(right_MD.square().sum(-1), left_RD, right_MD.T, alpha=-2).add_(left_R[:, None])


def squares(
    left_RD: Float[Tensor, "rows features"], right_MD: Float[Tensor, "others features"]
) -> Float[Tensor, "rows others"]:
    """Squared distances by one product of matrices; what could be rounding alone is 0."""
    return without_noise(left_RD @ right_MD.T, left_RD.square().sum(-1), right_MD.square().sum(-1))


def without_noise(
    products_RM: Float[Tensor, "rows others"], left_R: Float[Tensor, " rows"], right_M: Float[Tensor, " others"]
) -> Float[Tensor, "rows others"]:
    """|x|^2 + |y|^2 - 2 xy, which is 0 where it is less than rounding makes of equals; overwrites the products.

    Args:
        products_RM: Inner products.
        left_R: Squared lengths of the rows.
        right_M: Squared lengths of the others.
    """
    lengths_RM = left_R[:, None] + right_M
    squares_RM = products_RM.mul_(-2).add_(lengths_RM)
    noise = 8 * torch.finfo(products_RM.dtype).eps
    return squares_RM.masked_fill_(squares_RM < lengths_RM.mul_(noise), 0)


def blocks(num_rows: int, num_columns: int, *, numbers: int = BLOCK_NUMBERS) -> Iterator[slice]:
    """Cuts rows so that a block of them by all columns has about so many numbers; the last block may be shorter."""
    size = max(1, numbers // max(num_columns, 1))
    return (slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size))


def unit(features_RD: Float[Tensor, "rows features"]) -> Float[Tensor, "rows features"]:
    """Features of length 1; zeros stay zeros."""
    return torch.nn.functional.normalize(features_RD, dim=-1)


def labelled_features(views: Views) -> Float[Tensor, "labelled features"]:
    """Of the labelled images; none where the system says nothing of them."""
    none_yet = views.need("features_ND")[:0]
    return none_yet if views.labelled_features_LD is None else views.labelled_features_LD


def shuffled(num: int, source: torch.Generator, device: torch.device) -> Int64[Tensor, " num"]:
    """The numbers below `num` by chance, where they are needed."""
    return torch.randperm(num, generator=source, device=source.device).to(device)
