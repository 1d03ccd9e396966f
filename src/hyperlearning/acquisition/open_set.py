"""Asking by how unusual an image's latent is among those of its class: open-set recognition as an acquisition score.

Distances of labelled latents to the mean of their class, of images that the system gets right, have a Weibull distribution in
their largest ones; a pool image is the more unusual, the less likely a larger distance is.

Sources: dissertation, section 3.3.4 and chapter 4; Mundt et al. (2019). The text asks for the most unusual; the authors' code
for the least unusual in a pool of known classes, and for the most in a mixed one: `asks` says which.

Shape suffixes: N images of the pool, L labelled ones, C classes, D numbers of a latent.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from hyperlearning.acquisition.query import OF_REJECTS, Choose, Query, Strategy, Views, evenly, highest
from hyperlearning.acquisition.uncertainty import Probabilities, Scores, at_random, least_confidence
from hyperlearning.acquisition.weibull import Weibulls, fit_tails
from hyperlearning.core.errors import QueryError

Distance = Literal["cosine", "euclidean"]
Asks = Literal["outlier", "inlier", "boundary"]
_LEAST_IN_TAIL = 3


class ClassMeans(NamedTuple):
    """Where the latents of every class lie.

    Attributes:
        means_CD: Means; NaN of a class that nothing is labelled as.
        distances_L: Of labelled latents to the mean of their own class.
        counted_L: Which of them the means are of: those that the system gets right, or all of a class that has none of these.
    """

    means_CD: Float[Tensor, "classes latent"]
    distances_L: Float[Tensor, " labelled"]
    counted_L: Bool[Tensor, " labelled"]


def class_means(views: Views, distance: Distance) -> ClassMeans:
    """Finds the mean latent of every class, of labelled images that the system gets right.

    Raises:
        QueryError: If nothing is labelled.
    """
    latents_LD, labels_L = views.need("labelled_features_LD"), views.need("labels_L")
    said_LC = views.need("labelled_probabilities_LC")
    if not len(labels_L):
        raise QueryError("Expected labelled images, whose latents others are unusual among, but there are none.")
    right_L = said_LC.argmax(1) == labels_L
    any_right_C = torch.zeros(said_LC.shape[1], dtype=torch.bool).index_fill(0, labels_L[right_L], True)
    counted_L = right_L | ~any_right_C[labels_L]
    belongs_CL = (labels_L == torch.arange(said_LC.shape[1])[:, None]) & counted_L
    means_CD = (belongs_CL.to(latents_LD.dtype) @ latents_LD) / belongs_CL.sum(1, keepdim=True)
    own_L = distances_to(latents_LD, means_CD, distance).gather(1, labels_L[:, None])[:, 0]
    return ClassMeans(means_CD, own_L, counted_L)


def distances_to(
    latents_ND: Float[Tensor, "images latent"], means_CD: Float[Tensor, "classes latent"], distance: Distance
) -> Float[Tensor, "images classes"]:
    """Distances of all latents to all means: 1 - cosine, or Euclidean."""
    if distance == "cosine":
        return 1 - normalize(latents_ND, dim=1) @ normalize(means_CD, dim=1).T
    return torch.cdist(latents_ND, means_CD)


def fit_classes(means: ClassMeans, labels_L: Int64[Tensor, " labelled"], tail_share: float) -> Weibulls:
    """Fits a distribution to the largest `tail_share` of a class's distances, three of them at least where there are three."""
    num_classes = len(means.means_CD)
    counted_CL = (labels_L == torch.arange(num_classes)[:, None]) & means.counted_L
    own_CL = means.distances_L.expand(num_classes, -1).masked_fill(~counted_CL, -torch.inf)
    count_C = counted_CL.sum(1)
    size_C = (tail_share * count_C).round().long().clamp(min=_LEAST_IN_TAIL).minimum(count_C)
    widest = max(int(size_C.max()), 1)
    far_CT = own_CL.topk(widest, dim=1).values
    in_tail_CT = torch.arange(widest) < size_C[:, None]
    return fit_tails(far_CT.masked_fill(~in_tail_CT, 0.0), in_tail_CT)


def weibull(
    *,
    asks: Asks,
    among: Literal["predicted", "nearest"] = "predicted",
    distance: Distance = "cosine",
    tail_share: float = 0.05,
    kept_quantile: float = 0.9,
    per_class: bool = False,
) -> Choose:
    """Makes a strategy that asks by how unusual a latent is.

    Args:
        asks: For the most unusual, the least, or, at the boundary, for what the system is least sure of among images that are no
            more unusual than the `kept_quantile` of labelled ones; images beyond it come last, the least unusual first.
        among: Unusual for the class that the system says, as the authors' code has it, or for the class that it is least so for.
        distance: To the mean of a class (code: cosine).
        tail_share: Of a class's distances, how many of the largest make its distribution (code: .05).
        kept_quantile: Of labelled images that the system gets right.
        per_class: Whether each class that the system says gets as many questions, as the authors' code has it in pools of known
            classes.

    Needs features of pool and labelled images, labels, and probabilities of both. Cost: O(N C D).
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        unusual_N, threshold = _unusual(views, among, distance, tail_share, kept_quantile)
        if asks == "boundary":
            scores_N = _at_boundary(unusual_N, threshold, least_confidence(views.need("probabilities_KNC")))
        else:
            scores_N = unusual_N if asks == "outlier" else -unusual_N
        if per_class:
            return evenly(scores_N, views.need("probabilities_KNC").mean(0).argmax(1), num, source)
        return highest(scores_N, num, source)

    return choose


def _unusual(
    views: Views, among: Literal["predicted", "nearest"], distance: Distance, tail_share: float, kept_quantile: float
) -> tuple[Scores, float]:
    """How unusual every image of the pool is, log h, and what `kept_quantile` of the labelled ones that are right stay below."""
    labels_L = views.need("labels_L")
    means = class_means(views, distance)
    fitted = fit_classes(means, labels_L, tail_share)
    pick = _of_predicted if among == "predicted" else _of_nearest
    pool_NC = fitted.log_hazard(distances_to(views.need("features_ND"), means.means_CD, distance))
    own_LC = fitted.log_hazard(distances_to(views.need("labelled_features_LD"), means.means_CD, distance))
    kept_L = pick(own_LC, views.need("labelled_probabilities_LC"))[means.counted_L]
    threshold = float(kept_L.quantile(kept_quantile, interpolation="higher")) if len(kept_L) else torch.inf
    return pick(pool_NC, views.need("probabilities_KNC").mean(0)), threshold


def _of_predicted(log_NC: Tensor, said_NC: Tensor) -> Tensor:
    """For the likeliest class of those with a distribution."""
    known_NC = said_NC.masked_fill(log_NC.isnan(), -1.0)
    return log_NC.gather(1, known_NC.argmax(1, keepdim=True))[:, 0]


def _of_nearest(log_NC: Tensor, _: Tensor) -> Tensor:
    return log_NC.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).amin(1)


def _at_boundary(unusual_N: Scores, threshold: float, unsure_N: Scores) -> Scores:
    """Unsure ones among the kept first, from 0 up; then the others, below 0, the least unusual first."""
    order_N = unusual_N.argsort(stable=True).argsort().to(unsure_N.dtype)
    return torch.where(unusual_N <= threshold, unsure_N.clamp(min=0), -1 - order_N)


def latent_distance(*, nearest: bool = True, distance: Distance = "euclidean") -> Choose:
    """Makes a strategy that asks by the distance of a latent to the mean of the class that the system says.

    Args:
        nearest: Whether the nearest come first, as in the authors' code, or the farthest.
        distance: Of latents.

    Needs what `weibull` needs.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        means = class_means(views, distance)
        apart_NC = distances_to(views.need("features_ND"), means.means_CD, distance)
        apart_N = _of_predicted(apart_NC, views.need("probabilities_KNC").mean(0))
        return highest(-apart_N if nearest else apart_N, num, source)

    return choose


def rejecting(score: Callable[[Probabilities], Scores]) -> Choose:
    """Makes a strategy for a system that learns what is none of ours: it asks by a score, weighed by how likely an image is ours.

    Args:
        score: Of probabilities of our classes; 0 or more.

    Needs probabilities, and those of being none of ours. Cost: that of the score.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        ours_N = 1 - views.need("foreign_KN").mean(0)
        return highest(ours_N * score(views.need("probabilities_KNC")), num, source)

    return choose


def known_first(score: Callable[[Probabilities], Scores], *, kept: float = 0.5) -> Choose:
    """Makes a strategy that asks by a score among what is surest to be ours.

    That is a share of as many images as are expected to be ours, the sum of 1 - P(none of ours), so that the bound follows what
    the oracle has rejected so far: of what is asked for by uncertainty alone, most is not ours, and of what is surest, most is
    known well. Before the first image is rejected chance chooses: what is rejected then is what later rounds learn from.

    Args:
        score: Of probabilities of our classes.
        kept: How many of the images that are expected to be ours, the surest, may be asked for; never fewer than are wanted.

    Needs probabilities, those of being none of ours, and features of rejected images, which say whether there are any. Cost: that
    of the score.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        if not len(views.need("rejected_features_RD")):
            return at_random(views, num, source)
        known_M = surest(views, num, source, kept=kept)
        found = highest(score(views.need("probabilities_KNC"))[known_M], num, source)
        return Query(known_M[found.indices_B], found.scores_B, found.num_tied)

    return choose


def surest(views: Views, num: int, source: torch.Generator, *, kept: float) -> Int64[Tensor, " kept"]:
    """Places in the pool of what is surest to be ours: a share of as many images as are expected to be.

    Args:
        views: With probabilities of being none of ours.
        num: No fewer than that, where the pool has as many.
        source: Of chance among equals.
        kept: The share.
    """
    foreign_N = views.need("foreign_KN").mean(0)
    num_kept = min(max(num, round(kept * float((1 - foreign_N).sum()))), len(foreign_N))
    return highest(-foreign_N, num_kept, source).indices_B


def among_ours(strategy: Strategy, *, kept: float = 0.9) -> Strategy:
    """Chooses by a strategy among what is surest to be ours, and among all images until the first is rejected.

    Chance, which looks at nothing, and strategies that look at rejected images themselves stay as they are.

    Args:
        strategy: For pools of our classes alone.
        kept: As in `known_first`.
    """
    if not strategy.needs or OF_REJECTS.intersection(strategy.needs):
        return strategy

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        if not bool(views.need("foreign_KN").any()):
            return strategy.choose(views, num, source)
        known_M = surest(views, num, source, kept=kept)
        found = strategy.choose(views.of(known_M), num, source)
        return Query(known_M[found.indices_B], found.scores_B, found.num_tied)

    title = f"{strategy.title}, of what is surest ours"
    return replace(strategy, title=title, choose=choose, needs=(*strategy.needs, "foreign_KN"))
