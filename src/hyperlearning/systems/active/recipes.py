"""What is trained on answers, and what it says of images: one contract for solved heads and whole networks.

Shape suffixes: N all images of a pool, P those still asked about, L labelled ones, D features, C classes, K draws.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.query import Views
from hyperlearning.learners.ridge_head import RidgeHead, fit_ridge_head


class Labelled(NamedTuple):
    """What answers come to.

    Attributes:
        places_L: Of labelled images among all.
        labels_L: Their classes.
        rejected_R: Places of images that are none of ours.
    """

    places_L: Int64[Tensor, " labelled"]
    labels_L: Int64[Tensor, " labelled"]
    rejected_R: Int64[Tensor, " rejected"]


@runtime_checkable
class Fitted(Protocol):
    """Something trained."""

    def views(self, pool_P: Int64[Tensor, " pool"], source: torch.Generator) -> Views:
        """Says of the images at these places what it can, and of what it was trained on."""
        ...

    def test_probabilities(self) -> Float[Tensor, "tests classes"]:
        """Says what tests are, of our classes alone."""
        ...


@runtime_checkable
class Recipe(Protocol):
    """Trains."""

    title: str

    def fit(self, labelled: Labelled, source: torch.Generator) -> Fitted:
        """Trains on what is labelled, from the beginning."""
        ...


class FrozenFeatures:
    """Recipe: features that stay as they are, and a head that is solved.

    Args:
        features_ND: Of all images that can be asked about.
        test_features_TD: Of tests.
        num_classes: Classes of ours.
        num_draws: Heads drawn from the posterior, for strategies that look at how they differ.
        reject: Whether images that are none of ours make a class of their own.
        title: What a figure calls it.
    """

    def __init__(
        self,
        features_ND: Float[Tensor, "images features"],
        test_features_TD: Float[Tensor, "tests features"],
        num_classes: int,
        *,
        num_draws: int = 20,
        reject: bool = False,
        title: str = "frozen features, solved head",
    ) -> None:
        self.title = title
        self._features_ND, self._test_features_TD = features_ND, test_features_TD
        self._num_classes, self._num_draws, self._reject = num_classes, num_draws, reject

    def fit(self, labelled: Labelled, source: torch.Generator) -> Fitted:
        """Solves a head; before the first label there is none, and features are all there is to say."""
        if not len(labelled.places_L):
            return _Unlabelled(self._features_ND, len(self._test_features_TD), self._num_classes)
        places_L, labels_L = labelled.places_L, labelled.labels_L
        rejects = self._reject and len(labelled.rejected_R) > 0
        if rejects:
            places_L = torch.cat([places_L, labelled.rejected_R])
            labels_L = torch.cat([labels_L, labels_L.new_full((len(labelled.rejected_R),), self._num_classes)])
        head = fit_ridge_head(self._features_ND[places_L], labels_L, self._num_classes + rejects)
        return _Solved(
            head, self._features_ND, self._test_features_TD, labelled, self._num_classes, self._num_draws, rejects
        )


class _Unlabelled:
    def __init__(self, features_ND: Tensor, num_tests: int, num_classes: int) -> None:
        self._features_ND = features_ND
        self._said_TC = torch.full((num_tests, num_classes), 1 / num_classes)

    def views(self, pool_P: Int64[Tensor, " pool"], source: torch.Generator) -> Views:
        """Says features, and that all classes are as likely."""
        features_PD = self._features_ND[pool_P]
        return Views(
            probabilities_KNC=self._said_TC[:1].expand(len(pool_P), -1)[None],
            features_ND=features_PD,
            labelled_features_LD=features_PD[:0],
            labels_L=pool_P[:0],
            labelled_probabilities_LC=self._said_TC[:0],
        )

    def test_probabilities(self) -> Float[Tensor, "tests classes"]:
        """Says that all classes are as likely."""
        return self._said_TC


class _Solved:
    def __init__(
        self,
        head: RidgeHead,
        features_ND: Tensor,
        test_features_TD: Tensor,
        labelled: Labelled,
        num_classes: int,
        num_draws: int,
        rejects: bool,
    ) -> None:
        self._head, self._features_ND, self._test_features_TD = head, features_ND, test_features_TD
        self._labelled, self._num_classes, self._num_draws, self._rejects = labelled, num_classes, num_draws, rejects

    def views(self, pool_P: Int64[Tensor, " pool"], source: torch.Generator) -> Views:
        """Says what heads drawn from the posterior say, and the features."""
        features_PD = self._features_ND[pool_P]
        own_LD = self._features_ND[self._labelled.places_L]
        return Views(
            probabilities_KNC=self._head.draws(features_PD, self._num_draws, source),
            features_ND=features_PD,
            labelled_features_LD=own_LD,
            labels_L=self._labelled.labels_L,
            labelled_probabilities_LC=self._head.probabilities(own_LD),
            rejected_features_RD=self._features_ND[self._labelled.rejected_R],
        )

    def test_probabilities(self) -> Float[Tensor, "tests classes"]:
        """Says what tests are, given that they are ours."""
        said_TC = self._head.probabilities(self._test_features_TD)[:, : self._num_classes]
        return said_TC / said_TC.sum(1, keepdim=True).clamp(min=1e-12)
