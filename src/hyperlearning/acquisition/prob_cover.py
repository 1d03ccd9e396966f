"""ProbCover: balls around few images that cover as many images as possible.

Shape suffixes: N images of the pool, L labelled images, D features, R rows of a block, S newly covered images.

Source: Yehuda et al. (2022), "Active learning through a covering lens", algorithm 1 and section 3.2 for the radius.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hyperlearning.acquisition.clusters import k_means
from hyperlearning.acquisition.distances import blocks, labelled_features, shuffled, squares, unit
from hyperlearning.acquisition.query import Choose, Query, Views

_JUDGED = 4096
"""Images of the pool, drawn by chance, by which the radius is chosen; all where there are no more."""


def prob_cover(*, radius: float | None = None, purity: float = 0.95, num_classes: int | None = None) -> Choose:
    """Chooses the image whose ball covers most of what no ball covers yet.

    Looks at `features_ND` (best from self-supervision; taken at length 1) and, where there are, at `labelled_features_LD`,
    whose balls cover too. A score is how many images of the pool an image newly covers; where all are covered, chance takes
    the rest at 0.

    Cost: N^2 D / 2 multiply-adds for how many neighbours each image has, and N D for each image when it is covered. Memory: a
    copy of the features, N numbers and blocks: the graph of neighbours is never kept, as dense as it may be.

    Args:
        radius: Of balls (the paper's delta), between 0 and 2; none takes the largest whose balls are pure.
        purity: The share of balls that shall hold one pseudo-class alone.
        num_classes: Pseudo-classes, by k-means; none takes as many as `probabilities_KNC` has, else as `labels_L` holds, and
            2 at least.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        features_ND = unit(views.need("features_ND"))
        chosen_radius = radius
        if chosen_radius is None:
            pseudo = min(num_classes or _classes(views), len(features_ND))
            chosen_radius = pure_radius(features_ND, pseudo, source, purity=purity)
        order_N = shuffled(len(features_ND), source, features_ND.device)
        query = _cover(features_ND[order_N], unit(labelled_features(views)), num, chosen_radius)
        return query._replace(indices_B=order_N[query.indices_B])

    return choose


def pure_radius(
    features_ND: Float[Tensor, "pool features"], num_classes: int, source: torch.Generator, *, purity: float
) -> float:
    """The largest radius at which the wanted share of open balls holds members of one cluster alone.

    A ball is pure up to the distance to the nearest member of another cluster, so that the radius is a quantile of these
    distances, less what rounding may hide; infinite if there is one cluster only. Taken over 4,096 images drawn by chance.
    """
    members_N = k_means(features_ND, num_classes, source).members_N
    judged_J = shuffled(len(features_ND), source, features_ND.device)[:_JUDGED]
    foreign_J = features_ND.new_empty(len(judged_J))
    for rows in blocks(len(judged_J), len(features_ND)):
        own_R = judged_J[rows]
        squares_RN = squares(features_ND[own_R], features_ND)
        foreign_J[rows] = squares_RN.masked_fill_(members_N[own_R, None] == members_N, torch.inf).amin(1)
    impure = min(int((1 - purity) * len(judged_J) + 1e-9), len(judged_J) - 1)
    rounding = 32 * torch.finfo(foreign_J.dtype).eps
    return float((foreign_J.sort().values[impure] - rounding).clamp(min=0).sqrt())


def _classes(views: Views) -> int:
    if views.probabilities_KNC is not None:
        return max(views.probabilities_KNC.shape[-1], 2)
    return 2 if views.labels_L is None else max(len(views.labels_L.unique()), 2)


def _cover(features_ND: Tensor, labelled_LD: Tensor, num: int, radius: float) -> Query:
    open_N = ~_covered(features_ND, labelled_LD, radius)
    gains_N = _neighbours(features_ND, open_N.to(features_ND.dtype), radius)
    chosen, scores, tied = [], [], 1
    for _ in range(num):
        gain, place = gains_N.max(0)
        tied = int((gains_N == gain).sum())
        chosen.append(place)
        scores.append(gain)
        gains_N[place] = -torch.inf
        if gain > 0:
            new_S = (open_N & _inside(features_ND, features_ND[place, None], radius)[:, 0]).nonzero()[:, 0]
            open_N[new_S] = False
            for rows in blocks(len(new_S), len(features_ND)):
                covered_NS = _inside(features_ND, features_ND[new_S[rows]], radius)
                gains_N = torch.where(gains_N >= 0, (gains_N - covered_NS.sum(1)).clamp_(min=0), gains_N)
    return Query(torch.stack(chosen), torch.stack(scores), tied)


def _inside(features_ND: Tensor, centres_RD: Tensor, radius: float) -> Bool[Tensor, "pool rows"]:
    return squares(features_ND, centres_RD) < radius**2


def _covered(features_ND: Tensor, centres_LD: Tensor, radius: float) -> Bool[Tensor, " pool"]:
    covered_N = torch.zeros(len(features_ND), dtype=torch.bool, device=features_ND.device)
    for rows in blocks(len(features_ND), len(centres_LD)):
        covered_N[rows] = _inside(features_ND[rows], centres_LD, radius).any(1)
    return covered_N


def _neighbours(features_ND: Tensor, open_N: Float[Tensor, " pool"], radius: float) -> Float[Tensor, " pool"]:
    """How many open images each image's ball holds; every pair is measured once."""
    counts_N = torch.zeros_like(open_N)
    for rows in blocks(len(features_ND), len(features_ND)):
        inside_RN = _inside(features_ND[rows], features_ND[rows.start :], radius).to(open_N.dtype)
        counts_N[rows] += inside_RN @ open_N[rows.start :]
        beyond = rows.stop - rows.start
        counts_N[rows.stop :] += open_N[rows] @ inside_RN[:, beyond:]
    return counts_N
