"""Lives on streams of images that come without labels: what is asked about is learned at once, and nothing is kept.

A life's features are fixed: trained before, by others' classes. What learns on them is solved, or descends with phenotypes that
were trained for it.

Shape suffixes: N images, F features, K labels.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from hyperlearning.acquisition.stream_rules import Said, Standing, StreamRule, decided, typicality
from hyperlearning.core.losses import tempered_cross_entropy
from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares, RidgeClassifier
from hyperlearning.systems.images.trained import TrainedClassifier, head_deployment

LifeName = Literal["ridge", "dan"]

LIFE_TITLES: Mapping[str, str] = {"ridge": "ridge, solved", "dan": "DAN network, hyper-trained"}

_LOOK_AHEAD = 64
"""Images looked at together: until one of them is asked about, nothing that a life says of them changes."""
_NEVER = -1e30


class StreamLife(Protocol):
    """What lives on a stream: it says what it makes of images, and learns one."""

    def probabilities(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, "images labels"]:
        """What a rule sees of images, about from 0 to 1. Nothing changes."""
        ...

    def leverage(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, " images"]:
        """How unlike all that was learned images are. Nothing changes."""
        ...

    def learn(self, features_F: Float[Tensor, " features"], label: Int64[Tensor, ""]) -> None:
        """Learns an image, and forgets it."""
        ...

    def logits(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, "images labels"]:
        """A logit a label; one that was never met is never the highest."""
        ...


class SolvedLife:
    """A ridge head in double precision, one example after another: the same as one solved for all that was asked about.

    Args:
        num_features: Features of an image, F.
        num_labels: Labels, K.
        precision: Of the prior on weights; features are of length 1, and a constant 1 is beside them.
    """

    def __init__(self, num_features: int, num_labels: int, *, precision: float) -> None:
        self.head = RidgeClassifier(num_features + 1, num_labels, precision=precision, dtype=torch.float64)
        self._met = torch.zeros(num_labels, dtype=torch.bool)

    def probabilities(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, "images labels"]:
        """The head's own numbers, about 1 for the label of an image and 0 for others."""
        return self.head.predict(with_constant(features_NF))

    def leverage(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, " images"]:
        """The variance of what the head says, in units of the noise's."""
        return self.head.leverage(with_constant(features_NF))

    def learn(self, features_F: Float[Tensor, " features"], label: Int64[Tensor, ""]) -> None:
        """One step of recursive least squares."""
        self.head.learn(with_constant(features_F), label)
        self._met[label] = True

    def logits(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, "images labels"]:
        """The head's numbers of labels that were met."""
        return self.head.predict(with_constant(features_NF)).masked_fill(~self._met, _NEVER)


class DescendingLife:
    """The head of a hyper-trained network: updates on every image asked about, by plain backpropagation on its synapses.

    A batch of its training had several images of one class; the rate is divided by their number, so that as many of them one by
    one move synapses as far. Beside it stands, for rules that want it, the inverse of what was asked about; it learns nothing.

    Args:
        run: What was hyper-trained.
        num_features: Features of an image, F.
        precision: As of `SolvedLife`.
    """

    def __init__(self, run: TrainedClassifier, num_features: int, *, precision: float) -> None:
        settings, training = run.settings, run.settings.training
        self._life = head_deployment(
            settings.network.build(settings.data, settings.seed),
            run.start,
            run.innate,
            inner_lr=training.inner_lr / settings.life.num_instances,
            inner_optimizer=training.inner_optimizer,
            loss_fn=tempered_cross_entropy(training.temperature),
        )
        self._scale = num_features**0.5  # Of features as its layers have them, whose mean square is 1.
        self._temperature, self._updates = training.temperature, settings.life.steps_per_task
        self._asked = RecursiveLeastSquares(num_features + 1, precision=precision, dtype=torch.float64)
        self._met = torch.zeros(settings.network.num_outputs, dtype=torch.bool)

    def probabilities(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, "images labels"]:
        """Under the temperature that it was trained with, over all outputs."""
        return (self._life.predict(self._scale * features_NF).double() / self._temperature).softmax(-1)

    def leverage(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, " images"]:
        """As a solved head would have it."""
        return self._asked.leverage(with_constant(features_NF))

    def learn(self, features_F: Float[Tensor, " features"], label: Int64[Tensor, ""]) -> None:
        """As many updates as a class had in its training."""
        for _ in range(self._updates):
            self._life.observe(self._scale * features_F[None], label[None])
        self._asked.learn(with_constant(features_F), torch.zeros(1, dtype=torch.float64))
        self._met[label] = True

    def logits(self, features_NF: Float[Tensor, "images features"]) -> Float[Tensor, "images labels"]:
        """The network's logits of labels that were met."""
        return self._life.predict(self._scale * features_NF).masked_fill(~self._met, _NEVER)


def with_constant(features: Float[Tensor, "*images features"]) -> Float[Tensor, "*images wider"]:
    """Features in double precision, and a constant 1."""
    return pad(features.double(), (0, 1), value=1.0)


class Lived(NamedTuple):
    """A life on a stream.

    Attributes:
        life: As it stands at the end.
        asked: Places of the images that it asked about.
    """

    life: StreamLife
    asked: tuple[int, ...]


@torch.no_grad()
def live_stream(
    begin: Callable[[], StreamLife],
    rule: StreamRule,
    features_NF: Float[Tensor, "images features"],
    labels_N: Int64[Tensor, " images"],
    *,
    budget: int,
    source: torch.Generator,
) -> Lived:
    """Lives a stream: image by image, a life says what it makes of it, a rule decides whether to ask, and an answer is learned.

    Args:
        begin: Begins the life.
        rule: What decides.
        features_NF: Of the images, in the order in which they come.
        labels_N: The answers; only those asked for are looked at.
        budget: Questions, from 0 to N.
        source: Of the rule's chance.

    Raises:
        QueryError: If the budget is none.
    """
    life, standing, asked = begin(), Standing(num_images=len(features_NF), budget=budget), []
    typical_N = typicality(features_NF)
    while standing.seen < standing.num_images and standing.left:
        first = standing.seen
        ahead = slice(first, first + _LOOK_AHEAD)
        said = Said(life.probabilities(features_NF[ahead]), life.leverage(features_NF[ahead]), typical_N[ahead])
        for place, score in enumerate(rule.score(said).tolist(), start=first):
            asks, standing = decided(rule.decide, standing, score, source)
            if asks:
                life.learn(features_NF[place], labels_N[place])
                asked.append(place)
                break
    return Lived(life, tuple(asked))


def live_all(
    begin: Callable[[], StreamLife],
    features_NF: Float[Tensor, "images features"],
    labels_N: Int64[Tensor, " images"],
) -> Lived:
    """Lives a stream and asks about every image: the ceiling."""
    life = begin()
    for features_F, label in zip(features_NF, labels_N, strict=True):
        life.learn(features_F, label)
    return Lived(life, tuple(range(len(labels_N))))
