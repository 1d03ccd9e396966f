"""EOAL: asks for what classifiers of single classes are sure of, and what is not near to any kind of rejected images.

Source: Safaei, Vibashan, de Melo and Patel (2024), "Entropic open-set active learning", equations 3 to 6, and its code.

Shape suffixes: N images of the pool, C classes, K kinds of rejected images.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.acquisition.clusters import k_means
from hyperlearning.acquisition.detector import fit_detector, fit_own_detectors
from hyperlearning.acquisition.query import Query, Views, evenly, highest


def eoal(views: Views, num: int, source: torch.Generator) -> Query:
    """Asks for the lowest difference of two entropies among what a detector takes for ours, evenly over its clusters.

    One entropy is of classifiers of a class each, small where they are sure; the other of softmax(-distance) to the centres of
    kinds of rejected images, small near one of them; it is 0 while there are fewer than two. What the detector takes for none of
    ours comes last, the lowest first. There are as many clusters and kinds as classes, fewer where there is less to cluster.

    Needs features, those of labelled and rejected images, labels, and probabilities for the number of classes. Cost: O(N C D).
    """
    labelled = views.need("open_labelled_LD"), views.need("labels_L"), views.need("rejected_features_RD")
    features_ND, num_classes = views.need("open_features_ND").double(), views.need("probabilities_KNC").shape[-1]
    ours_N = fit_detector(*labelled, num_classes)(features_ND).argmax(1) < num_classes
    scores_N = -own_entropy(fit_own_detectors(*labelled, num_classes)(features_ND))
    rejected_RD = labelled[2].double()
    if len(rejected_RD):
        centres_KD = k_means(rejected_RD, min(num_classes, len(rejected_RD)), source).centres_KD
        scores_N = scores_N + distance_entropy(features_ND, centres_KD)
    return _spread(features_ND, scores_N, ours_N.nonzero()[:, 0], num_classes, num, source)


def own_entropy(logits_NC: Float[Tensor, "pool classes"]) -> Float[Tensor, " pool"]:
    """Mean entropy of yes and no over classes, in units of log 2: 0 to 1."""
    both_NC2 = torch.stack([logits_NC.sigmoid(), (-logits_NC).sigmoid()], -1)
    return torch.special.entr(both_NC2).sum(-1).mean(-1) / math.log(2)


def distance_entropy(
    features_ND: Float[Tensor, "pool features"], centres_KD: Float[Tensor, "kinds features"]
) -> Float[Tensor, " pool"]:
    """Entropy of softmax(-distance), in units of log K: 0 to 1; 0 of a single centre."""
    if len(centres_KD) < 2:
        return features_ND.new_zeros(len(features_ND))
    near_NK = (-torch.cdist(features_ND, centres_KD)).softmax(1)
    return torch.special.entr(near_NK).sum(1) / math.log(len(centres_KD))


def _spread(
    features_ND: Tensor, scores_N: Tensor, ours_M: Tensor, num_clusters: int, num: int, source: torch.Generator
) -> Query:
    """As many of every cluster of what is taken for ours, and then of the others."""
    first = Query(ours_M[:0], scores_N[:0])
    if len(ours_M):
        members_M = k_means(features_ND[ours_M], min(num_clusters, len(ours_M)), source).members_N
        found = evenly(scores_N[ours_M], members_M, min(num, len(ours_M)), source)
        first = Query(ours_M[found.indices_B], found.scores_B, found.num_tied)
    missing = num - len(first.indices_B)
    if not missing:
        return first
    others_N = scores_N.index_fill(0, ours_M, -torch.inf)
    rest = highest(others_N, missing, source)
    return Query(
        torch.cat([first.indices_B, rest.indices_B]), torch.cat([first.scores_B, rest.scores_B]), rest.num_tied
    )
