"""What is trained on answers, and what it says of images: one contract for heads that are solved and for whole networks.

Shape suffixes: N all images of a pool, P those still asked about, L labelled ones, D features, C classes, K draws.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from hyperlearning.acquisition.query import Views
from hyperlearning.learners.ridge_head import RidgeHead, fit_ridge_head
from hyperlearning.systems.active.networks import Examples, look, make_network, train_network
from hyperlearning.systems.active.problem import Problem
from hyperlearning.systems.active.settings import RecipeSettings


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
        balanced: Whether every class counts the same to the head, however many labels it has.
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
        balanced: bool = False,
        title: str = "frozen features, solved head",
    ) -> None:
        self.title = title
        self._features_ND, self._test_features_TD = features_ND, test_features_TD
        self._num_classes, self._num_draws, self._reject = num_classes, num_draws, reject
        self._balanced = balanced

    def fit(self, labelled: Labelled, source: torch.Generator) -> Fitted:
        """Solves a head; before the first label there is none, and features are all there is to say."""
        if not len(labelled.places_L):
            return _Unlabelled(self._features_ND, len(self._test_features_TD), self._num_classes)
        places_L, labels_L = labelled.places_L, labelled.labels_L
        rejects = self._reject and len(labelled.rejected_R) > 0
        if rejects:
            places_L = torch.cat([places_L, labelled.rejected_R])
            labels_L = torch.cat([labels_L, labels_L.new_full((len(labelled.rejected_R),), self._num_classes)])
        head = fit_ridge_head(
            self._features_ND[places_L], labels_L, self._num_classes + rejects, balanced=self._balanced
        )
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


class TrainedNetworks:
    """Recipe: a network, or several beside one another, trained from the beginning on what is labelled.

    Args:
        problem: What is asked about.
        settings: Network and training.
        reject: Whether images that are none of ours make a class of their own.
        title: What a figure calls it.
    """

    def __init__(self, problem: Problem, settings: RecipeSettings, *, reject: bool = False, title: str = "") -> None:
        self.title = title or settings.model
        self._problem, self._settings, self._reject = problem, settings, reject

    def fit(self, labelled: Labelled, source: torch.Generator) -> Fitted:
        """Trains, and chooses checkpoints on what the settings say.

        Raises:
            ValueError: If nothing is labelled, or checkpoints are chosen on validation of which there is none.
        """
        problem, settings = self._problem, self._settings
        if not len(labelled.places_L):
            raise ValueError("Expected labelled images to train a network on, but got none.")
        rejects = self._reject and len(labelled.rejected_R) > 0
        places_L, labels_L = labelled.places_L, labelled.labels_L
        if rejects:
            places_L = torch.cat([places_L, labelled.rejected_R])
            labels_L = torch.cat([labels_L, labels_L.new_full((len(labelled.rejected_R),), problem.num_classes)])
        examples = Examples(problem.images[places_L], labels_L, problem.images)
        networks = []
        for _ in range(settings.members):
            network = make_network(settings, problem.images[0], problem.num_classes + rejects, source)
            train_network(network, examples, settings, source, score=self._score())
            networks.append(network)
        return _Trained(networks, problem, settings, labelled)

    def _score(self) -> Callable[[nn.Module], float] | None:
        problem, settings = self._problem, self._settings
        if settings.chosen_on == "nothing":
            return None
        on_tests = settings.chosen_on == "test"
        images = problem.test_images if on_tests else problem.validation_images
        labels = problem.test_labels if on_tests else problem.validation_labels
        if not len(labels):
            raise ValueError(
                "Expected `validation_images` for checkpoints that are chosen on validation, but there are none."
            )

        def score(network: nn.Module) -> float:
            said = look(network, images, settings, None).probabilities_KNC[0, :, : problem.num_classes]
            return float((said.argmax(1) == labels).float().mean())

        return score


class _Trained:
    def __init__(
        self, networks: Sequence[nn.Module], problem: Problem, settings: RecipeSettings, labelled: Labelled
    ) -> None:
        self._networks, self._problem, self._settings, self._labelled = networks, problem, settings, labelled

    def views(self, pool_P: Int64[Tensor, " pool"], source: torch.Generator) -> Views:
        """Says what the pool's images are, draw by draw, and where they and the labelled ones lie."""
        problem, labelled = self._problem, self._labelled
        seen = [look(network, problem.images[pool_P], self._settings, source) for network in self._networks]
        own = [look(network, problem.images[labelled.places_L], self._settings, None) for network in self._networks]
        rejected_RD = own[0].features_ND[:0]
        if len(labelled.rejected_R):
            rejected_RD = look(self._networks[0], problem.images[labelled.rejected_R], self._settings, None).features_ND
        return Views(
            probabilities_KNC=torch.cat([one.probabilities_KNC for one in seen]),
            features_ND=seen[0].features_ND,
            labelled_features_LD=own[0].features_ND,
            labels_L=labelled.labels_L,
            labelled_probabilities_LC=torch.cat([one.probabilities_KNC for one in own]).mean(0),
            rejected_features_RD=rejected_RD,
            pool_images=problem.images[pool_P],
            labelled_images=problem.images[labelled.places_L],
        )

    def test_probabilities(self) -> Float[Tensor, "tests classes"]:
        """Says what tests are, given that they are ours."""
        problem = self._problem
        seen = [look(network, problem.test_images, self._settings, None) for network in self._networks]
        said_TC = torch.cat([one.probabilities_KNC for one in seen]).mean(0)[:, : problem.num_classes]
        return said_TC / said_TC.sum(1, keepdim=True).clamp(min=1e-12)
