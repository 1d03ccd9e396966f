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

from hyperlearning.acquisition.distances import BLOCK_NUMBERS, blocks, shuffled, squares, without_noise
from hyperlearning.acquisition.plus_plus import drawn

_CANDIDATES = 256
"""Candidates for seeds that are drawn at once, where the pool allows as many."""


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

    Cost: N K D multiply-adds for each pass, and 2 + log K times as many for the seeds. Memory: N numbers, K D numbers and blocks.

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
    `plus_plus`.
    """
    tries = 2 + int(math.log(num))
    batch = max(tries, min(_CANDIDATES, BLOCK_NUMBERS // len(features_ND)))
    seeds = torch.randint(len(features_ND), (1,), generator=source, device=source.device).tolist()
    squares_N = squares(features_ND[seeds], features_ND)[0].index_fill(
        0, torch.tensor(seeds, device=features_ND.device), 0
    )
    while len(seeds) < num and bool(squares_N.any()):
        candidates_M = drawn(squares_N.double(), batch, source)
        chances_M = torch.rand(batch, generator=source, device=source.device).to(squares_N)
        apart_MN = without_noise(features_ND[candidates_M] @ features_ND.T, lengths_N[candidates_M], lengths_N)
        stale_M, begin = squares_N[candidates_M], 0
        while len(seeds) < num:
            kept = (chances_M * stale_M < squares_N[candidates_M]).nonzero()[:, 0]
            kept = kept[kept >= begin][:tries]
            if not len(kept) or (begin and len(kept) < tries):
                break
            best = kept[torch.minimum(apart_MN[kept], squares_N).sum(1).argmin()]
            seeds.append(int(candidates_M[best]))
            squares_N = torch.minimum(squares_N, apart_MN[best])
            squares_N[candidates_M[best]] = 0
            begin = int(kept[-1]) + 1
    left = shuffled(len(features_ND), source, features_ND.device)
    left = left[~torch.isin(left, torch.tensor(seeds, device=features_ND.device))]
    return torch.cat([torch.tensor(seeds, device=features_ND.device), left[: num - len(seeds)]])


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
