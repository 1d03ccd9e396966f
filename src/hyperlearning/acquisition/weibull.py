"""Weibull distributions of the largest distances of several classes, fitted side by side, and how unusual a distance is.

P(X <= x) = 1 - exp(-h(x)) with h(x) = ((x - location) / scale) ** shape. In single precision the probability of many images
that are none of ours is exactly 1, so that an order by it is one of chance; everything here speaks of log h, which keeps it.

Shape suffixes: C classes, T distances of a tail, N images.

Source: Scheirer et al., "Meta-Recognition" (2011), whose library shifts a tail so that its smallest distance is 1; Mundt et al.
(2019) for distances of latents.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_STEEPEST = 1e4
"""The largest shape: distances that are all alike have no other."""
_MOST_STEPS = 100
_SHIFT = 1.0
"""What the smallest distance of a tail becomes, as in Meta-Recognition's library."""


class Weibulls(NamedTuple):
    """A distribution a class.

    Attributes:
        location_C: Below it nothing is unusual.
        scale_C: In the unit of distances.
        shape_C: The larger, the steeper; NaN where a class has none.
    """

    location_C: Float[Tensor, " classes"]
    scale_C: Float[Tensor, " classes"]
    shape_C: Float[Tensor, " classes"]

    def log_hazard(self, distances_NC: Float[Tensor, "images classes"]) -> Float[Tensor, "images classes"]:
        """Gives log h of distances to every class: minus infinity below its location, NaN for a class without a distribution."""
        over_NC = (distances_NC.double() - self.location_C).clamp(min=0)
        return self.shape_C * (over_NC.log() - self.scale_C.log())


def fit_tails(distances_CT: Float[Tensor, "classes tail"], in_tail_CT: Bool[Tensor, "classes tail"]) -> Weibulls:
    """Fits a distribution to the distances of every class by maximum likelihood, in double precision.

    The shape k solves sum(x^k log x) / sum(x^k) - 1/k = mean(log x), whose left side grows with k; the scale is mean(x^k)^(1/k).

    Args:
        distances_CT: Distances, x before the shift.
        in_tail_CT: Which of them count; a class with none has no distribution.
    """
    distances_CT = distances_CT.double()
    count_C = in_tail_CT.sum(1)
    smallest_C = distances_CT.masked_fill(~in_tail_CT, torch.inf).amin(1)
    location_C = smallest_C - _SHIFT
    log_CT = (distances_CT - location_C[:, None]).masked_fill(~in_tail_CT, 1.0).log()
    shape_C = _shapes(log_CT, in_tail_CT, count_C)
    powers_CT = (shape_C[:, None] * log_CT).masked_fill(~in_tail_CT, -torch.inf)
    scale_C = ((powers_CT.logsumexp(1) - count_C.log()) / shape_C).exp()
    absent_C = count_C == 0
    return Weibulls(*(own_C.masked_fill(absent_C, torch.nan) for own_C in (location_C, scale_C, shape_C)))


def _shapes(log_CT: Tensor, in_tail_CT: Tensor, count_C: Tensor) -> Tensor:
    """Newton's steps for the shape of every class, kept inside an interval that shrinks around it."""
    mean_C = (log_CT * in_tail_CT).sum(1) / count_C.clamp(min=1)
    low_C, high_C = torch.full_like(mean_C, 1e-3), torch.full_like(mean_C, _STEEPEST)
    spread_C = (((log_CT - mean_C[:, None]) * in_tail_CT).square().sum(1) / count_C.clamp(min=1)).sqrt()
    # The moment estimate: the log of a Weibull number has standard deviation pi / (sqrt(6) * shape).
    shape_C = (1.2825 / spread_C.clamp(min=1e-300)).clamp(1e-3, _STEEPEST)
    for _ in range(_MOST_STEPS):
        weight_CT = (shape_C[:, None] * log_CT).masked_fill(~in_tail_CT, -torch.inf).softmax(1).nan_to_num()
        first_C = (weight_CT * log_CT).sum(1)
        slope_C = (weight_CT * (log_CT - first_C[:, None]).square()).sum(1) + 1 / shape_C.square()
        gap_C = first_C - 1 / shape_C - mean_C
        low_C, high_C = torch.where(gap_C < 0, shape_C, low_C), torch.where(gap_C > 0, shape_C, high_C)
        newton_C = shape_C - gap_C / slope_C
        outside_C = (newton_C < low_C) | (newton_C > high_C)
        moved_C = torch.where(outside_C & (gap_C != 0), (low_C + high_C) / 2, newton_C)
        if bool(((moved_C - shape_C).abs() <= 1e-13 * shape_C).all()):
            break
        shape_C = moved_C
    return shape_C
