"""Clusters of features by k-means, seeded by k-means++.

Shape suffixes: N things, D features, K clusters, R rows of a block.

Source: Lloyd (1982), "Least squares quantization in PCM"; seeds by `plus_plus`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.distances import blocks, without_noise
from hyperlearning.acquisition.plus_plus import draw_apart


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

    Cost: N K D multiply-adds for the seeds and for each pass. Memory: N numbers, K D numbers and blocks.

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
    def between(
        rows_R: Int64[Tensor, " rows"] | None, others_M: Int64[Tensor, " others"]
    ) -> Float[Tensor, "rows others"]:
        left_RD, left_R = (own if rows_R is None else own[rows_R] for own in (features_ND, lengths_N))
        return without_noise(left_RD @ features_ND[others_M].T, left_R, lengths_N[others_M])

    first = torch.randint(len(features_ND), (1,), generator=source, device=source.device).to(features_ND.device)
    return draw_apart(first, between, num, source, num_all=len(features_ND)).indices_B


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
