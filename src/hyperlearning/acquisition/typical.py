"""TypiClust: the most typical image of each of many clusters, for budgets too small for anything else.

Shape suffixes: N images of the pool, L labelled images, D features, M images of a cluster, R rows of a block.

Source: Hacohen et al. (2022), "Active learning on a budget: opposite strategies suit high and low budgets", algorithm 1, with the
sizes of the authors' code: at most 500 clusters, 20 neighbours or half of a small cluster, clusters of 5 images and fewer last.
"""

import heapq

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.clusters import k_means
from hyperlearning.acquisition.distances import blocks, labelled_features, shuffled, squares, unit
from hyperlearning.acquisition.query import Choose, Query, Views

_SMALL = 5
"""A cluster of no more images comes after all larger ones."""


def typi_clust(*, max_clusters: int = 500, num_neighbours: int = 20) -> Choose:
    """Chooses the most typical images of the largest clusters that have the fewest labelled and chosen images.

    Looks at `features_ND` (best from self-supervision; taken at length 1) and, where there are, at `labelled_features_LD`. A
    score is the typicality in an image's own cluster: 1 over the mean distance to its nearest neighbours there; 0 of an image
    alone. Clusters are begun anew for every query, as many as there are labelled and wanted images.

    Cost: O(N K D) a pass of k-means and the sum of M^2 D over the clusters that are asked. Memory: a copy of all features,
    and blocks.

    Deviation: an image that is chosen from a cluster counts as labelled there from then on, and typicality is that before the
    query; the authors' code goes round all clusters instead, and measures again among what is left.

    Args:
        max_clusters: The most clusters.
        num_neighbours: Neighbours that typicality is measured by.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        features_ND, labelled_LD = unit(views.need("features_ND")), unit(labelled_features(views))
        all_AD = torch.cat([features_ND, labelled_LD])
        num_clusters = min(len(labelled_LD) + num, max_clusters, len(all_AD))
        members_A = k_means(all_AD, num_clusters, source).members_N
        sizes, known = (
            torch.bincount(own, minlength=num_clusters) for own in (members_A, members_A[len(features_ND) :])
        )
        order_N = shuffled(len(features_ND), source, features_ND.device)
        pool_N = members_A[order_N]
        asked = _turns(sizes.tolist(), known.tolist(), torch.bincount(pool_N, minlength=num_clusters).tolist(), num)
        ranked = {
            cluster: _ranked(features_ND, order_N[pool_N == cluster], num_neighbours)
            for cluster in dict.fromkeys(asked)
        }
        taken = dict.fromkeys(ranked, 0)
        found = []
        for cluster in asked:
            found.append((cluster, taken[cluster]))
            taken[cluster] += 1
        indices_B = torch.stack([ranked[cluster][0][place] for cluster, place in found])
        scores_B = torch.stack([ranked[cluster][1][place] for cluster, place in found])
        cluster, place = found[-1]
        return Query(indices_B, scores_B, int((ranked[cluster][1][place:] == scores_B[-1]).sum()))

    return choose


def typicality(features_MD: Float[Tensor, "members features"], num_neighbours: int) -> Float[Tensor, " members"]:
    """1 / (mean distance to the nearest neighbours + 1e-5), of half of all where these are few; 0 of one alone."""
    num_members = len(features_MD)
    if num_members == 1:
        return features_MD.new_zeros(1)
    nearest = min(num_neighbours, max(num_members // 2, 1))
    mean_M = features_MD.new_empty(num_members)
    for rows in blocks(num_members, num_members):
        squares_RM = squares(features_MD[rows], features_MD)
        squares_RM.diagonal(rows.start).fill_(torch.inf)
        mean_M[rows] = squares_RM.topk(nearest, largest=False, sorted=False).values.sqrt().mean(1)
    return 1 / (mean_M + 1e-5)


def _ranked(features_ND: Tensor, indices_M: Int64[Tensor, " members"], num_neighbours: int) -> tuple[Tensor, Tensor]:
    typical_M = typicality(features_ND[indices_M], num_neighbours)
    scores_M, order_M = typical_M.sort(descending=True, stable=True)
    return indices_M[order_M], scores_M


def _turns(sizes: list[int], known: list[int], unlabelled: list[int], num: int) -> list[int]:
    """Which cluster is asked each time: no small one before a large one, the fewest known first, of these the largest."""
    turns = [
        (size <= _SMALL, have, -size, cluster)
        for cluster, (size, have, left) in enumerate(zip(sizes, known, unlabelled, strict=True))
        if left
    ]
    heapq.heapify(turns)
    left, asked = list(unlabelled), []
    while len(asked) < num:
        small, have, size, cluster = turns[0]
        asked.append(cluster)
        left[cluster] -= 1
        if left[cluster]:
            heapq.heapreplace(turns, (small, have + 1, size, cluster))
        else:
            heapq.heappop(turns)
    return asked
