"""Conjugate Bayes as a head: what a class's images say of it does not depend on the other classes, nor on their order.

Densities of all images under all classes of a split are therefore computed once, in double precision, and a run compares those
of its own classes.

Shape suffixes: K classes of a split, n images of a class, F features.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.evaluation.recognition import ClassFeatures
from hyperlearning.learners.closed_form.conjugate_bayes import NormalGamma, class_logits, fitted_prior, predictive

_QUERIES_AT_A_TIME = 16


class Densities(NamedTuple):
    """The logarithm of every class's predictive density, after the images that a run may learn.

    Attributes:
        train: At those images.
        held_out: At the others.
    """

    train: Float[Tensor, "K n K"]
    held_out: Float[Tensor, "K h K"]


def prior_for(features: ClassFeatures) -> NormalGamma:
    """Fits a prior to all images of meta-train classes, for features that were trained without one."""
    return fitted_prior(torch.cat((features.train, features.held_out), dim=1).double())


def densities(features: ClassFeatures, prior: NormalGamma) -> Densities:
    """Learns every class of a split, and looks at all of its images."""
    own = NormalGamma(*(part.double() for part in prior))
    apart_KnF = features.train.double() - own.mean
    counts_K = apart_KnF.new_full((len(apart_KnF),), apart_KnF.shape[1])
    seen = predictive(counts_K, apart_KnF.sum(1), apart_KnF.square().sum(1), own)

    def at(images_KnF: Tensor) -> Tensor:
        parts = images_KnF.double().flatten(0, 1).split(_QUERIES_AT_A_TIME)
        return torch.cat([class_logits(part, seen, own) for part in parts]).unflatten(0, images_KnF.shape[:2])

    return Densities(at(features.train), at(features.held_out))
