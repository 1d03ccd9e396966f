"""What is trained on answers, and what it says of images: one contract for heads that are solved and for whole networks.

Shape suffixes: N all images of a pool, P those still asked about, L labelled ones, D features, C classes, K draws.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from hyperlearning.acquisition.query import OF_REJECTS, Need, Views
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

    def views(self, pool_P: Int64[Tensor, " pool"], source: torch.Generator, needs: Collection[Need] = ()) -> Views:
        """Says of the images at these places what it can, and of what it was trained on.

        Args:
            pool_P: Their places.
            source: Of whatever is drawn.
            needs: What is looked at; what takes another training is said only if it is among it.
        """
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
        balanced: Whether every class of ours counts the same to the head, however many labels it has.
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
            rejected_RD = self._features_ND[labelled.rejected_R] if self._reject else None
            return _Unlabelled(self._features_ND, rejected_RD, len(self._test_features_TD), self._num_classes)
        places_L, labels_L = labelled.places_L, labelled.labels_L
        if self._reject:
            places_L, labels_L = with_rejected(labelled, self._num_classes)
        rejects = self._reject and len(labelled.rejected_R) > 0
        head = fit_ridge_head(
            self._features_ND[places_L],
            labels_L,
            self._num_classes + rejects,
            balanced=self._balanced,
            num_others=int(rejects),
        )
        return _Solved(
            head, self._features_ND, self._test_features_TD, labelled, self._num_classes, self._num_draws, self._reject
        )


class _Unlabelled:
    def __init__(self, features_ND: Tensor, rejected_RD: Tensor | None, num_tests: int, num_classes: int) -> None:
        self._features_ND, self._rejected_RD = features_ND, rejected_RD
        self._said_TC = torch.full((num_tests, num_classes), 1 / num_classes)

    def views(self, pool_P: Int64[Tensor, " pool"], source: torch.Generator, needs: Collection[Need] = ()) -> Views:
        """Says features, that all classes are as likely, and, of rejected images, nothing yet but where they lie."""
        features_PD, rejected_RD = self._features_ND[pool_P], self._rejected_RD
        learns = rejected_RD is not None
        return Views(
            probabilities_KNC=self._said_TC[:1].expand(len(pool_P), -1)[None],
            features_ND=features_PD,
            labelled_features_LD=features_PD[:0],
            labels_L=pool_P[:0],
            labelled_probabilities_LC=self._said_TC[:0],
            foreign_KN=features_PD.new_zeros(1, len(pool_P)) if learns else None,
            open_features_ND=features_PD if learns else None,
            open_labelled_LD=features_PD[:0] if learns else None,
            rejected_features_RD=rejected_RD,
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
        reject: bool,
    ) -> None:
        self._head, self._features_ND, self._test_features_TD = head, features_ND, test_features_TD
        self._labelled, self._num_classes, self._num_draws, self._reject = labelled, num_classes, num_draws, reject

    def views(self, pool_P: Int64[Tensor, " pool"], source: torch.Generator, needs: Collection[Need] = ()) -> Views:
        """Says what heads drawn from the posterior say, and the features."""
        features_PD = self._features_ND[pool_P]
        own_LD = self._features_ND[self._labelled.places_L]
        said_KNC = self._head.draws(features_PD, self._num_draws, source)
        return Views(
            probabilities_KNC=_given_ours(said_KNC, self._num_classes),
            features_ND=features_PD,
            labelled_features_LD=own_LD,
            labels_L=self._labelled.labels_L,
            labelled_probabilities_LC=_given_ours(self._head.probabilities(own_LD), self._num_classes),
            **(self._open(said_KNC, features_PD, own_LD) if self._reject else {}),
        )

    def _open(self, said_KNC: Tensor, features_PD: Tensor, own_LD: Tensor) -> dict[str, Tensor]:
        return {
            "foreign_KN": said_KNC[..., self._num_classes :].sum(-1),
            "open_features_ND": features_PD,
            "open_labelled_LD": own_LD,
            "rejected_features_RD": self._features_ND[self._labelled.rejected_R],
        }

    def test_probabilities(self) -> Float[Tensor, "tests classes"]:
        """Says what tests are, given that they are ours."""
        said_TC = self._head.probabilities(self._test_features_TD)[:, : self._num_classes]
        return said_TC / said_TC.sum(1, keepdim=True).clamp(min=1e-12)


def with_rejected(labelled: Labelled, num_classes: int) -> tuple[Tensor, Tensor]:
    """Places and classes, rejected images among them as a class of their own."""
    rejected_R = labelled.rejected_R
    labels = torch.cat([labelled.labels_L, labelled.labels_L.new_full((len(rejected_R),), num_classes)])
    return torch.cat([labelled.places_L, rejected_R]), labels


def _given_ours(said: Float[Tensor, "... classes"], num_classes: int) -> Float[Tensor, "... ours"]:
    """Probabilities of our classes alone, where there is another one for what is none of ours."""
    if said.shape[-1] == num_classes:
        return said
    ours = said[..., :num_classes]
    return ours / ours.sum(-1, keepdim=True).clamp(min=torch.finfo(said.dtype).tiny)


class TrainedNetworks:
    """Recipe: a network, or several beside one another, trained from the beginning on what is labelled.

    Args:
        problem: What is asked about.
        settings: Network and training.
        reject: Whether another network learns our classes and, as a further one, images that are none of ours, when it is
            first needed. What classifies learns from ours alone.
        encoder: One of the settings' kind, with the weights that every network's begins with; random ones if absent.
        title: What a figure calls it.
    """

    def __init__(
        self,
        problem: Problem,
        settings: RecipeSettings,
        *,
        reject: bool = False,
        encoder: nn.Module | None = None,
        title: str = "",
    ) -> None:
        self.title = title or settings.model
        self._problem, self._settings, self._reject, self._encoder = problem, settings, reject, encoder

    def fit(self, labelled: Labelled, source: torch.Generator) -> Fitted:
        """Trains, and chooses checkpoints on what the settings say.

        Raises:
            ValueError: If nothing is labelled, or checkpoints are chosen on validation of which there is none.
        """
        problem, settings = self._problem, self._settings
        if not len(labelled.places_L):
            raise ValueError("Expected labelled images to train a network on, but got none.")
        networks = [
            self._trained(labelled.places_L, labelled.labels_L, problem.num_classes, source)
            for _ in range(settings.members)
        ]
        if not self._reject:
            return _Trained(networks, problem, settings, labelled, None)

        def detector() -> nn.Module:
            if not len(labelled.rejected_R):
                return networks[0]
            return self._trained(*with_rejected(labelled, problem.num_classes), problem.num_classes + 1, source)

        return _Trained(networks, problem, settings, labelled, detector)

    def _trained(self, places: Tensor, labels: Tensor, num_outputs: int, source: torch.Generator) -> nn.Module:
        problem, settings = self._problem, self._settings
        network = make_network(settings, problem.images[0], num_outputs, source, encoder=self._encoder)
        train_network(
            network, Examples(problem.images[places], labels, problem.images), settings, source, score=self._score()
        )
        return network

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
        self,
        networks: Sequence[nn.Module],
        problem: Problem,
        settings: RecipeSettings,
        labelled: Labelled,
        detector: Callable[[], nn.Module] | None,
    ) -> None:
        self._networks, self._problem, self._settings, self._labelled = networks, problem, settings, labelled
        self._detector = detector

    def views(self, pool_P: Int64[Tensor, " pool"], source: torch.Generator, needs: Collection[Need] = ()) -> Views:
        """Says what the pool's images are, draw by draw, and where they and the labelled ones lie."""
        problem, labelled, detector = self._problem, self._labelled, self._detector
        seen = [look(network, problem.images[pool_P], self._settings, source) for network in self._networks]
        own = [look(network, problem.images[labelled.places_L], self._settings, None) for network in self._networks]
        return Views(
            probabilities_KNC=torch.cat([one.probabilities_KNC for one in seen]),
            features_ND=seen[0].features_ND,
            labelled_features_LD=own[0].features_ND,
            labels_L=labelled.labels_L,
            labelled_probabilities_LC=torch.cat([one.probabilities_KNC for one in own]).mean(0),
            **(self._open(detector(), pool_P) if detector is not None and OF_REJECTS.intersection(needs) else {}),
        )

    def _open(self, detector: nn.Module, pool_P: Tensor) -> dict[str, Tensor]:
        """What the network says that learns from rejected images."""
        images, labelled = self._problem.images, self._labelled
        pool, own = (look(detector, images[places], self._settings, None) for places in (pool_P, labelled.places_L))
        rejected_RD = own.features_ND[:0]
        if len(labelled.rejected_R):
            rejected_RD = look(detector, images[labelled.rejected_R], self._settings, None).features_ND
        return {
            "foreign_KN": pool.probabilities_KNC[..., self._problem.num_classes :].sum(-1),
            "open_features_ND": pool.features_ND,
            "open_labelled_LD": own.features_ND,
            "rejected_features_RD": rejected_RD,
        }

    def test_probabilities(self) -> Float[Tensor, "tests classes"]:
        """Says what tests are, given that they are ours."""
        problem = self._problem
        seen = [look(network, problem.test_images, self._settings, None) for network in self._networks]
        said_TC = torch.cat([one.probabilities_KNC for one in seen]).mean(0)
        return said_TC / said_TC.sum(1, keepdim=True).clamp(min=1e-12)
