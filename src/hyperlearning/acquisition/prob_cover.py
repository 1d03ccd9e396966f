"""ProbCover: balls around few images that cover as many images as possible.

Shape suffixes: N images of the pool, L labelled images, D features, R rows of a block, S newly covered images.

Source: Yehuda et al. (2022), "Active learning through a covering lens", algorithm 1 and section 3.2 for the radius.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hyperlearning.acquisition.clusters import k_means
from hyperlearning.acquisition.distances import blocks, labelled_features, shuffled, squares, unit
from hyperlearning.acquisition.query import Choose, Query, Views

_JUDGED = 1024
"""Images of the pool, drawn by chance, by which the radius is chosen; all where there are no more."""


def prob_cover(*, radius: float | None = None, purity: float = 0.95, num_classes: int | None = None) -> Choose:
    """Chooses the image whose ball covers most of what no ball covers yet.

    Looks at `features_ND` (best from self-supervision; taken at length 1) and, where there are, at `labelled_features_LD`,
    whose balls cover too. A score is how many images of the pool an image newly covers; where all are covered, chance takes
    the rest at 0.

    Cost: N^2 D / 2 multiply-adds for how many neighbours each image has, and at most N D for each image when it is covered.
    Memory: a copy of the features, N numbers and blocks: the graph of neighbours is never kept, as dense as it may be.

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
        query = _cover(_placed(features_ND[order_N]), _placed(unit(labelled_features(views))), num, chosen_radius)
        return query._replace(indices_B=order_N[query.indices_B])

    return choose


def pure_radius(
    features_ND: Float[Tensor, "pool features"], num_classes: int, source: torch.Generator, *, purity: float
) -> float:
    """The largest radius at which the wanted share of open balls holds members of one cluster alone.

    A ball is pure up to the distance to the nearest member of another cluster, so that the radius is a quantile of these
    distances, less what rounding may hide; infinite if there is one cluster only. Taken over 1,024 images drawn by chance.
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


class _Placed(NamedTuple):
    """Features, and half of their squared lengths."""

    features_ND: Tensor
    halves_N: Tensor

    def at(self, rows: slice | Tensor) -> "_Placed":
        return _Placed(self.features_ND[rows], self.halves_N[rows])


def _placed(features_ND: Float[Tensor, "rows features"]) -> _Placed:
    return _Placed(features_ND, features_ND.square().sum(-1) / 2)


def _cover(placed_N: _Placed, labelled_L: _Placed, num: int, radius: float) -> Query:
    open_N = ~_covered(placed_N, labelled_L, radius)
    gains_N = _neighbours(placed_N, open_N.to(placed_N.halves_N.dtype), radius)
    chosen, scores, tied = [], [], 1
    for _ in range(num):
        gain, place = gains_N.max(0)
        tied = int((gains_N == gain).sum())
        chosen.append(place)
        scores.append(gain)
        gains_N[place] = -torch.inf
        if gain > 0:
            products_N = placed_N.features_ND @ placed_N.features_ND[place]
            half_squares_N = placed_N.halves_N + placed_N.halves_N[place] - products_N
            new_N = open_N & (half_squares_N < radius**2 / 2)
            open_N &= ~new_N
            # Who shares a newly covered image with a ball is no farther from its centre than twice the radius.
            near_N = (gains_N > 0) & (half_squares_N < (2.001 * radius) ** 2 / 2)
            rows = near_N.nonzero()[:, 0] if near_N.sum() < len(near_N) / 2 else slice(None)
            lost = _counts(placed_N.at(rows), placed_N.at(new_N), radius)
            gains_N[rows] -= lost.minimum(gains_N[rows].clamp(min=0))
    return Query(torch.stack(chosen), torch.stack(scores), tied)


def _counts(placed_R: _Placed, others_S: _Placed, radius: float) -> Float[Tensor, " rows"]:
    """How many others each ball holds."""
    counts_R, even_S = torch.zeros_like(placed_R.halves_N), torch.ones_like(others_S.halves_N)
    for rows in blocks(len(counts_R), len(even_S)):
        counts_R[rows] = _inside(placed_R.at(rows), others_S, radius).to(counts_R.dtype) @ even_S
    return counts_R


def _inside(placed_R: _Placed, others_S: _Placed, radius: float) -> Bool[Tensor, "rows others"]:
    """Whether |x - y| < radius, as xy - |y|^2 / 2 > |x|^2 / 2 - radius^2 / 2."""
    nearness_RS = torch.addmm(-others_S.halves_N, placed_R.features_ND, others_S.features_ND.T)
    return nearness_RS > (placed_R.halves_N - radius**2 / 2)[:, None]


def _covered(placed_N: _Placed, centres_L: _Placed, radius: float) -> Bool[Tensor, " pool"]:
    covered_N = torch.zeros_like(placed_N.halves_N, dtype=torch.bool)
    for rows in blocks(len(covered_N), len(centres_L.halves_N)):
        covered_N[rows] = _inside(placed_N.at(rows), centres_L, radius).any(1)
    return covered_N


def _neighbours(placed_N: _Placed, open_N: Float[Tensor, " pool"], radius: float) -> Float[Tensor, " pool"]:
    """How many open images each image's ball holds; every pair is measured once."""
    counts_N = torch.zeros_like(open_N)
    for rows in blocks(len(open_N), len(open_N)):
        inside_RN = _inside(placed_N.at(rows), placed_N.at(slice(rows.start, None)), radius).to(open_N.dtype)
        counts_N[rows] += inside_RN @ open_N[rows.start :]
        beyond = rows.stop - rows.start
        counts_N[rows.stop :] += open_N[rows] @ inside_RN[:, beyond:]
    return counts_N
