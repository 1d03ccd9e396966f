"""Mixtures of two Gaussians on a line, one for every group of numbers, fitted side by side by expectation-maximisation.

Shape suffixes: G groups, N numbers, 2 components, the one of the lower mean first at the start.

Source: Dempster et al. (1977); the start is the best cut of a group in two (k-means of two centres, found exactly).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_EMPTY = 1e-300


class GaussianPairs(NamedTuple):
    """A mixture a group.

    Attributes:
        weights_G2: Shares.
        means_G2: Means.
        variances_G2: Variances.
    """

    weights_G2: Float[Tensor, "groups 2"]
    means_G2: Float[Tensor, "groups 2"]
    variances_G2: Float[Tensor, "groups 2"]

    def log_joint(self, numbers_GN: Float[Tensor, "groups numbers"]) -> Float[Tensor, "groups numbers 2"]:
        """Log of the share of a component times its density."""
        apart_GN2 = numbers_GN[..., None] - self.means_G2[:, None]
        variances_G12 = self.variances_G2[:, None]
        densities = apart_GN2.square() / variances_G12 + (2 * torch.pi * variances_G12).log()
        return self.weights_G2.clamp(min=_EMPTY).log()[:, None] - densities / 2

    def log_odds_of_higher(self, numbers_GN: Float[Tensor, "groups numbers"]) -> Float[Tensor, "groups numbers"]:
        """Log odds that a number is of the component of the higher mean; where means are equal, of the second."""
        joint_GN2 = self.log_joint(numbers_GN)
        turned_G1 = (self.means_G2[:, 0] > self.means_G2[:, 1])[:, None]
        odds_GN = joint_GN2[..., 1] - joint_GN2[..., 0]
        return torch.where(turned_G1, -odds_GN, odds_GN)


def fit_pairs(
    numbers_GN: Float[Tensor, "groups numbers"],
    there_GN: Bool[Tensor, "groups numbers"],
    *,
    most_steps: int = 10,
    tolerance: float = 0.01,
    least_variance: float = 5e-4,
) -> GaussianPairs:
    """Fits mixtures in double precision, until a step raises no group's mean log likelihood by `tolerance`.

    Args:
        numbers_GN: Numbers.
        there_GN: Which of them there are; a group needs one at least to mean anything.
        most_steps: Steps at most (code of LfOSA: 10, as `tolerance` and `least_variance`).
        tolerance: In nats; a group that has gained less stays as it is.
        least_variance: Added to every variance.
    """
    numbers_GN = numbers_GN.double()
    high_GN = _upper_half(numbers_GN, there_GN)
    shares_GN2 = torch.stack([there_GN & ~high_GN, there_GN & high_GN], -1).double()
    pairs = _moments(numbers_GN, shares_GN2, least_variance)
    likely_G, goes_on_G1 = torch.full_like(numbers_GN[:, 0], -torch.inf), torch.ones_like(there_GN[:, :1])
    for _ in range(most_steps):
        joint_GN2 = pairs.log_joint(numbers_GN)
        all_GN = joint_GN2.logsumexp(-1)
        now_G = all_GN.masked_fill(~there_GN, 0).sum(1) / there_GN.sum(1).clamp(min=1)
        shares_GN2 = (joint_GN2 - all_GN[..., None]).exp() * there_GN[..., None]
        moved = _moments(numbers_GN, shares_GN2, least_variance)
        pairs = GaussianPairs(*(torch.where(goes_on_G1, new, old) for new, old in zip(moved, pairs, strict=True)))
        goes_on_G1 = goes_on_G1 & ((now_G - likely_G).abs() >= tolerance)[:, None]
        likely_G = now_G
        if not bool(goes_on_G1.any()):
            break
    return pairs


def _upper_half(numbers_GN: Tensor, there_GN: Tensor) -> Tensor:
    """Which numbers lie above the cut that leaves least squares on both sides; none of a group whose numbers are all equal."""
    num = numbers_GN.shape[1]
    sorted_GN = numbers_GN.masked_fill(~there_GN, torch.inf).sort(1).values
    count_G1 = there_GN.sum(1, keepdim=True)
    places_N = torch.arange(1, num + 1)
    known_GN = sorted_GN.masked_fill(places_N > count_G1, 0.0)
    mean_G1 = known_GN.sum(1, keepdim=True) / count_G1.clamp(min=1)
    below_GN = (known_GN - mean_G1).masked_fill(places_N > count_G1, 0.0).cumsum(1)
    gained_GN = below_GN.square() * (1 / places_N + 1 / (count_G1 - places_N).clamp(min=1))
    best_G1 = gained_GN.masked_fill(places_N >= count_G1, -1.0).argmax(1, keepdim=True)
    return there_GN & (numbers_GN > sorted_GN.gather(1, best_G1))


def _moments(numbers_GN: Tensor, shares_GN2: Tensor, least_variance: float) -> GaussianPairs:
    """Weights, means and variances; a component without any number has those of all."""
    all_GN2 = shares_GN2.sum(-1, keepdim=True).expand_as(shares_GN2)
    total_G2 = shares_GN2.sum(1)
    used_GN2 = torch.where((total_G2 > 0)[:, None], shares_GN2, all_GN2)
    sum_G2 = used_GN2.sum(1).clamp(min=_EMPTY)
    means_G2 = (used_GN2 * numbers_GN[..., None]).sum(1) / sum_G2
    apart_GN2 = numbers_GN[..., None] - means_G2[:, None]
    variances_G2 = (used_GN2 * apart_GN2.square()).sum(1) / sum_G2 + least_variance
    return GaussianPairs(total_G2 / total_G2.sum(1, keepdim=True).clamp(min=_EMPTY), means_G2, variances_G2)
