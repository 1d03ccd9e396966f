"""DropQuery: images on which draws of a system disagree, and of these one near the middle of each cluster.

Shape suffixes: K draws of a system, N images of the pool, C classes, D features, A candidates, B images of a query.

Source: Gupte et al. (2024), "Revisiting active learning in the era of vision foundation models", section 4.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.acquisition.clusters import k_means
from hyperlearning.acquisition.distances import shuffled
from hyperlearning.acquisition.query import Choose, Query, Views


def drop_query(*, least_share: float = 0.5, plain_first: bool = False) -> Choose:
    """Chooses images on which draws disagree with the prediction, one for each cluster of them.

    Candidates are images of which more than `least_share` of the draws say another class; k-means makes as many clusters of
    them as images are wanted, and the nearest to each centre is chosen. Looks at `probabilities_KNC`, of two draws or more
    (dropout of features, in the paper three), and at `features_ND`. Where fewer images than wanted are candidates, those
    follow on which most draws disagree, chance deciding among equals, which `num_tied` counts then. Large clusters come
    first; a score is the share of draws that disagree.

    Cost: O(K N C) and k-means of the candidates into B clusters. Memory: the candidates' features, and blocks.

    Args:
        least_share: A candidate has more.
        plain_first: Whether the first draw is the system without dropout and gives the prediction, as in the paper; otherwise the
            mean over draws does.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        features_ND = views.need("features_ND")
        shares_N = disagreement(views.need("probabilities_KNC"), plain_first=plain_first)
        order_N = shuffled(len(shares_N), source, shares_N.device)
        order_N = order_N[shares_N[order_N].argsort(descending=True, stable=True)]
        num_candidates = max(int((shares_N > least_share).sum()), num)
        candidates_A = order_N[:num_candidates]
        chosen_B = candidates_A[_nearest_to_centres(features_ND[candidates_A], num, source)]
        last = shares_N[candidates_A[-1]]
        return Query(chosen_B, shares_N[chosen_B], int((shares_N == last).sum()) if last <= least_share else 1)

    return choose


def disagreement(
    probabilities_KNC: Float[Tensor, "draws pool classes"], *, plain_first: bool = False
) -> Float[Tensor, " pool"]:
    """The share of draws that say another class than the prediction."""
    draws_KNC = probabilities_KNC[1:] if plain_first else probabilities_KNC
    prediction_N = (probabilities_KNC[0] if plain_first else probabilities_KNC.mean(0)).argmax(-1)
    return (draws_KNC.argmax(-1) != prediction_N).to(probabilities_KNC.dtype).mean(0)


def _nearest_to_centres(features_AD: Tensor, num: int, source: torch.Generator) -> Tensor:
    """Places of the member nearest to each centre, largest clusters first; clusters without members leave theirs to the rest."""
    found = k_means(features_AD, num, source)
    nearest_first_A = found.squares_N.argsort(stable=True)
    by_cluster_A = nearest_first_A[found.members_N[nearest_first_A].argsort(stable=True)]
    members_A = found.members_N[by_cluster_A]
    begins_A = torch.ones_like(members_A, dtype=torch.bool)
    begins_A[1:] = members_A[1:] != members_A[:-1]
    nearest_K = by_cluster_A[begins_A]
    sizes_K = torch.bincount(members_A, minlength=num)[members_A[begins_A]]
    chosen = nearest_K[sizes_K.argsort(descending=True, stable=True)]
    rest = torch.ones_like(members_A, dtype=torch.bool).index_fill(0, chosen, False).nonzero()[:, 0]
    return torch.cat([chosen, rest[: num - len(chosen)]])
