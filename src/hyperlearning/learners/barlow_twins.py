"""Learning without labels: projections of two views of an image are to agree, and no two of their numbers to say the same.

Shape suffixes: B images, D numbers of a projection.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import batch_norm, normalize

Correlation = Literal["centred", "uncentred"]
"""Whether the batch's mean is taken off before correlating: the published text and code do so; the published equation and the
dissertation's (4.1) do not."""


def cross_correlation(
    first: Float[Tensor, "B D"], second: Float[Tensor, "B D"], *, correlation: Correlation = "centred"
) -> Float[Tensor, "D D"]:
    """Correlates every number of the first views' projections with every one of the second views', over the batch.

    `C_ij = sum_b z1_bi z2_bj / (|z1_i| |z2_j|)`, with norms over the batch; centred, each z less its mean.

    Args:
        first: (B, D), B at least 2.
        second: Likewise.
        correlation: Whether means are taken off.

    Raises:
        ValueError: If there are fewer than two images.
    """
    one_BD, two_BD = _normalized(first, correlation), _normalized(second, correlation)
    return one_BD.mT @ two_BD


def barlow_twins_loss(
    first: Float[Tensor, "B D"],
    second: Float[Tensor, "B D"],
    *,
    redundancy_weight: float | None = None,
    correlation: Correlation = "centred",
) -> Float[Tensor, ""]:
    """`sum_i (1 - C_ii)^2 + lambda * sum_i sum_(j != i) C_ij^2`, C as `cross_correlation` has it; in float32 at least.

    C itself is made only where a batch has more images than a projection has numbers: else the sum of all its squares is had from
    the images' inner products, `|A'B|^2 = sum((AA') * (BB'))`, with D / B times fewer multiplications.

    Args:
        first: Projections of the first views, (B, D), B at least 2.
        second: Of the second views of the same images.
        redundancy_weight: Lambda, from 0; 1/D if absent, which others use with 128 numbers; the authors have .0051 with 8192.
        correlation: Whether means are taken off.

    Raises:
        ValueError: If there are fewer than two images, or the weight is negative.

    Source: Zbontar et al., "Barlow Twins" (2021), equations 1 and 2; dissertation, equation 4.1.
    """
    weight = 1 / first.shape[1] if redundancy_weight is None else redundancy_weight
    if weight < 0:
        raise ValueError(f"Expected `redundancy_weight` to be non-negative, but got {weight}.")
    with torch.autocast(first.device.type, enabled=False):
        one_BD, two_BD = _normalized(first, correlation), _normalized(second, correlation)
        diagonal_D = (one_BD * two_BD).sum(0)
        of_diagonal = diagonal_D.square().sum()
        if len(one_BD) < one_BD.shape[1]:
            of_all = ((one_BD @ one_BD.mT) * (two_BD @ two_BD.mT)).sum()
        else:
            of_all = (one_BD.mT @ two_BD).square().sum()
        return (1 - diagonal_D).square().sum() + weight * (of_all - of_diagonal)


def _normalized(projections: Float[Tensor, "B D"], correlation: Correlation) -> Float[Tensor, "B D"]:
    """Each number of a unit norm over the batch, but for one that hardly varies."""
    if len(projections) < 2:
        raise ValueError(f"Expected two images or more to correlate over, but got {len(projections)}.")
    wide = projections.to(torch.promote_types(projections.dtype, torch.float32))
    if correlation == "uncentred":
        return normalize(wide, dim=0)
    return batch_norm(wide, None, None, training=True) / len(wide) ** 0.5
