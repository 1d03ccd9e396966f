"""Clusters of features by k-means, seeded by greedy k-means++.

Shape suffixes: N things, D features, K clusters, R rows of a block.

Source: Lloyd (1982), "Least squares quantization in PCM"; Arthur and Vassilvitskii (2007) for the seeds, the best of
2 + log K candidates each, as scikit-learn has it.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.distances import blocks, shuffled, without_noise
from hyperlearning.acquisition.plus_plus import drawn

_CANDIDATES = 256
"""Candidates for seeds that are drawn at once."""
_JUDGED = 2048
"""Things by which candidates are compared."""


class Clusters(NamedTuple):
    """Who belongs where.

    Attributes:
        members_N: The cluster of each.
        centres_KD: Means of clusters; a cluster that lost all its members stays where it was.
        squares_N: Squared distance of each to its centre.
    """

    members_N: Int64[Tensor, " things"]
    centres_KD: Float[Tensor, "clusters features"]
    squares_N: Float[Tensor, " things"]


def k_means(
    features_ND: Float[Tensor, "things features"],
    num_clusters: int,
    source: torch.Generator,
    *,
    max_passes: int = 100,
    tolerance: float = 1e-4,
) -> Clusters:
    """Clusters until a pass lowers the mean squared distance by less than `tolerance` of it.

    Cost: N K D multiply-adds for each pass, and as many for the seeds. Memory: N numbers, K D numbers and blocks.

    Args:
        features_ND: What to cluster.
        num_clusters: How many, no more than there are things.
        source: Of the seeds.
        max_passes: The most passes.
        tolerance: Relative.
    """
    lengths_N = features_ND.square().sum(-1)
    centres_KD = features_ND[_seeds(features_ND, lengths_N, num_clusters, source)]
    found = _nearest(features_ND, lengths_N, centres_KD)
    for _ in range(max_passes):
        before = found.squares_N.sum()
        found = _nearest(features_ND, lengths_N, _means(features_ND, found))
        if bool(before - found.squares_N.sum() <= tolerance * before):
            break
    return found


def _seeds(features_ND: Tensor, lengths_N: Tensor, num: int, source: torch.Generator) -> Int64[Tensor, " clusters"]:
    """Draws candidates as k-means++ does, a few for each seed, and takes the one that lowers the sum of squares most.

    Candidates of many seeds are drawn at once, and those rejected that seeds drawn since have made less likely, as in
    `plus_plus`. The sum is one over things drawn by chance, all where there are no more.
    """
    tries = 2 + int(math.log(num))
    order_N = shuffled(len(features_ND), source, features_ND.device)
    judged_J = order_N[:_JUDGED]
    seeds_K, squares_N = order_N[-1:], torch.full_like(lengths_N, torch.inf)
    latest_M = seeds_K
    while True:
        for rows in blocks(len(features_ND), len(latest_M)):
            products_RM = features_ND[rows] @ features_ND[latest_M].T
            nearer_R = without_noise(products_RM, lengths_N[rows], lengths_N[latest_M]).amin(1)
            squares_N[rows] = torch.minimum(squares_N[rows], nearer_R)
        squares_N[latest_M] = 0
        if len(seeds_K) == num or not bool(squares_N.any()):
            break
        candidates_M = drawn(squares_N.double(), _CANDIDATES, source)
        seen_A = torch.cat([candidates_M, judged_J])
        apart_MA = without_noise(
            features_ND[candidates_M] @ features_ND[seen_A].T, lengths_N[candidates_M], lengths_N[seen_A]
        )
        chances_M = torch.rand(_CANDIDATES, generator=source, device=source.device).to(squares_N)
        latest_M = candidates_M[_best(apart_MA, squares_N[seen_A], chances_M, tries)][: num - len(seeds_K)]
        seeds_K = torch.cat([seeds_K, latest_M])
    left = order_N[~torch.isin(order_N, seeds_K)]
    return torch.cat([seeds_K, left[: num - len(seeds_K)]])


def _best(apart_MA: Tensor, squares_A: Tensor, chances_M: Tensor, tries: int) -> list[int]:
    """The best of every few candidates that are not rejected.

    Args:
        apart_MA: Squared distances of candidates to one another, and then to what the sum is taken over.
        squares_A: Those of the same to the nearest seed, before any candidate.
        chances_M: Below the ratio of a candidate's squared distance to that before, it is kept.
        tries: How many a seed is the best of; at the end of the candidates there are none left over but for the first.
    """
    num, begin, best = len(apart_MA), 0, []
    least_M = chances_M * squares_A[:num]
    while True:
        kept = (least_M[begin:] < squares_A[begin:num]).nonzero()[:tries, 0] + begin
        if not len(kept) or (best and len(kept) < tries):
            return best
        sums = torch.minimum(apart_MA[kept, num:], squares_A[num:]).sum(1)
        best.append(int(kept[sums.argmin()]))
        squares_A = torch.minimum(squares_A, apart_MA[best[-1]])
        squares_A[best[-1]] = 0
        begin = int(kept[-1]) + 1


def _nearest(features_ND: Tensor, lengths_N: Tensor, centres_KD: Tensor) -> Clusters:
    members_N = torch.empty(len(features_ND), dtype=torch.int64, device=features_ND.device)
    squares_N = torch.empty_like(lengths_N)
    half_K = centres_KD.square().sum(-1) / 2
    for rows in blocks(len(features_ND), len(centres_KD)):
        half_RK = torch.addmm(half_K, features_ND[rows], centres_KD.T, alpha=-1)
        half_R, members_N[rows] = half_RK.min(1)
        squares_N[rows] = (2 * half_R + lengths_N[rows]).clamp_(min=0)
    return Clusters(members_N, centres_KD, squares_N)


def _means(features_ND: Tensor, found: Clusters) -> Float[Tensor, "clusters features"]:
    sums_KD = torch.zeros_like(found.centres_KD).index_add_(0, found.members_N, features_ND)
    counts_K1 = torch.bincount(found.members_N, minlength=len(sums_KD))[:, None]
    return torch.where(counts_K1 > 0, sums_KD / counts_K1.clamp(min=1), found.centres_KD)
