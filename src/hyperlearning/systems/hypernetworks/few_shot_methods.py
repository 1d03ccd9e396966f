"""Few-shot learners by name: what each is called, how it is built, and what it is trained on."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import nn

from hyperlearning.learners.few_shot.anil import AnilHead
from hyperlearning.learners.few_shot.embedded import Embedded
from hyperlearning.learners.few_shot.hyper_maml import HyperMamlHead, blend_share
from hyperlearning.learners.few_shot.hyper_shot import EquivariantHyperShotHead, HyperShotHead
from hyperlearning.learners.few_shot.linear_tuning import TunedHead
from hyperlearning.learners.few_shot.maml import Maml
from hyperlearning.learners.few_shot.matching import MatchingHead
from hyperlearning.learners.few_shot.prototypes import PrototypeHead
from hyperlearning.learners.few_shot.ridge import RidgeHead
from hyperlearning.networks.conv4 import Conv4
from hyperlearning.systems.hypernetworks.few_shot_settings import EpisodeTraining, LearnerName, LearnerSettings


class Wanted(NamedTuple):
    """What a learner is built for.

    Attributes:
        num_ways: Classes of an episode.
        num_classes: Classes of meta-training.
        image: Channels, height and width of an image.
        training: How it is trained.
        learners: What it does with a support.
        source: Source of first weights.
    """

    num_ways: int
    num_classes: int
    image: tuple[int, int, int]
    training: EpisodeTraining
    learners: LearnerSettings
    source: torch.Generator

    def conv4(self, *, of_batch: bool = False) -> Conv4:
        """The embedding, which normalises by running statistics, or by the batch at hand."""
        return Conv4(
            width=self.training.width,
            in_channels=self.image[0],
            side=self.image[1],
            last_relu=self.training.last_relu,
            statistics="batch" if of_batch else "running",
            generator=self.source,
        )


Head = Callable[[Wanted, int], nn.Module]
"""Makes a head for a number of features."""


class FewShotMethod(NamedTuple):
    """A learner.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        build: Makes it, untrained.
        targets: What its loss is of: queries; images of the support too; or classes of meta-training, whichever episode.
        any_ways: Whether it takes any number of classes, so that it is trained once for all tests.
        is_whole: Whether it adapts a whole network.
        is_written: Whether a hypernetwork writes weights, and gradient steps on the support may follow.
        at: Sets what changes in the course of training, given the share that is done.
    """

    title: str
    note: str
    build: Callable[[Wanted], nn.Module]
    targets: Literal["queries", "all", "classes"] = "queries"
    any_ways: bool = True
    is_whole: bool = False
    is_written: bool = False
    at: Callable[[nn.Module, LearnerSettings, float], None] | None = None


def _embedded(head: Head) -> Callable[[Wanted], nn.Module]:
    def build(wanted: Wanted) -> nn.Module:
        network = wanted.conv4()
        return Embedded(network, head(wanted, network.num_features))

    return build


def _maml(order: Literal["second", "first"]) -> Callable[[Wanted], nn.Module]:
    def build(wanted: Wanted) -> nn.Module:
        network, learners = wanted.conv4(of_batch=True), wanted.learners
        return Maml(
            network,
            network.num_features,
            wanted.num_ways,
            num_steps=learners.inner_steps,
            lr=learners.inner_lr,
            order=order,
            generator=wanted.source,
        )

    return build


def _tuned(kind: Literal["linear", "cosine"]) -> Callable[[Wanted], nn.Module]:
    return _embedded(
        lambda wanted, size: TunedHead(
            kind,
            size,
            wanted.num_classes,
            num_steps=wanted.learners.tuning_steps,
            lr=wanted.learners.tuning_lr,
            generator=wanted.source,
        )
    )


def _anil(wanted: Wanted, size: int) -> nn.Module:
    learners = wanted.learners
    return AnilHead(
        size, wanted.num_ways, num_steps=learners.inner_steps, lr=learners.inner_lr, generator=wanted.source
    )


def _blend(learner: nn.Module, learners: LearnerSettings, done: float) -> None:
    assert isinstance(learner, Embedded)
    assert isinstance(learner.head, HyperMamlHead)
    learner.head.gradient_share = blend_share(done) if learners.blend == "published" else 0.0


METHODS: Mapping[LearnerName, FewShotMethod] = {
    "prototypes": FewShotMethod(
        "prototypical network",
        "the nearest class mean",
        _embedded(lambda wanted, size: PrototypeHead("euclidean")),
    ),
    "cosine_prototypes": FewShotMethod(
        "prototypes by angle",
        "the class mean at the smallest angle",
        _embedded(lambda wanted, size: PrototypeHead("cosine")),
    ),
    "matching": FewShotMethod(
        "matching network",
        "attention to each image of the support, by angle",
        _embedded(lambda wanted, size: MatchingHead()),
    ),
    "ridge": FewShotMethod(
        "ridge head (R2-D2)",
        "a ridge regression, solved for each support",
        _embedded(lambda wanted, size: RidgeHead(size)),
    ),
    "baseline": FewShotMethod(
        "linear head, tuned (Baseline)",
        "an embedding that tells all classes of meta-training apart, then a linear classifier trained on each support",
        _tuned("linear"),
        targets="classes",
    ),
    "baseline_plus": FewShotMethod(
        "cosine head, tuned (Baseline++)",
        "the same with cosines",
        _tuned("cosine"),
        targets="classes",
    ),
    "anil": FewShotMethod("ANIL", "gradient steps of the last layer", _embedded(_anil), any_ways=False),
    "maml": FewShotMethod(
        "MAML",
        "gradient steps of the whole network, second order, queries normalised together",
        _maml("second"),
        any_ways=False,
        is_whole=True,
    ),
    "maml_first_order": FewShotMethod(
        "MAML, first order",
        "the same, first order",
        _maml("first"),
        any_ways=False,
        is_whole=True,
    ),
    "hyper_shot": FewShotMethod(
        "HyperShot",
        "the support's kernel in, a small network out, which reads a query's kernel values",
        _embedded(lambda wanted, size: HyperShotHead(wanted.num_ways, generator=wanted.source)),
        targets="all",
        any_ways=False,
        is_written=True,
    ),
    "equivariant_hyper_shot": FewShotMethod(
        "HyperShot, any order and number of classes",
        "a network for each class, written from its row of the kernel and a summary of all",
        _embedded(lambda wanted, size: EquivariantHyperShotHead(generator=wanted.source)),
        is_written=True,
    ),
    "hyper_maml": FewShotMethod(
        "HyperMAML",
        "a hypernetwork reads features and writes by how much a common classifier is moved",
        _embedded(lambda wanted, size: HyperMamlHead(size, wanted.num_ways, generator=wanted.source)),
        any_ways=False,
        at=_blend,
    ),
}
"""Every learner by name."""

HYPERNETWORKS: tuple[LearnerName, ...] = ("hyper_shot", "equivariant_hyper_shot", "hyper_maml")
"""Those of which a hypernetwork is a part."""
