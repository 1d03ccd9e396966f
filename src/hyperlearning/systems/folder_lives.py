"""All lives that a user's folder of images is given to: the run's own, and what it must stand beside.

Sizes, rates and priors are the same for every folder, chosen on lives of meta-train classes and never on a user's images.

Shape suffixes: B images of a class, F features, K classes.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.seeding import generator
from hyperlearning.learners.closed_form.class_means import ClassMeans
from hyperlearning.learners.closed_form.conjugate_bayes import ConjugateBayes, flat_prior
from hyperlearning.learners.closed_form.discriminant import LinearDiscriminant, shrunk
from hyperlearning.learners.closed_form.least_squares import RidgeClassifier
from hyperlearning.learners.closed_form.life import ClosedFormLife, Readout
from hyperlearning.learners.deployment import Deployment
from hyperlearning.systems.innate import NUM_PROJECTIONS, Innate

SHRINKAGE = 0.3
"""Of the innate covariance. On lives of meta-train classes 1, which is class means, does as well."""
STREAMING_LEVEL, STREAMING_STRENGTH = 0.2, 256.0
"""The streaming discriminant's first covariance, about that of features within classes, and how many examples it is worth."""
RIDGE_PRECISION = 0.1
"""In units of the projected features' mean square length."""
REPLAY_BATCH = 20
"""Images of earlier classes that each update of a plain network with replay meets besides."""
PLAIN_UPDATES = 10
"""Of a plain network on each class."""
PLAIN_LR, JOINT_LR = 0.001, 0.003
"""Of its Adam, class after class and with classes mixed."""


Sees = Literal["images", "features", "features and pixels"]
"""What a life learns from."""


@runtime_checkable
class Learner(Protocol):
    """What learns classes, one after another; labels are numbers from 0 in the order of their first meeting."""

    @property
    def num_stored(self) -> int:
        """Numbers that change in life and have to be kept."""
        ...

    def learn(self, inputs: Float[Tensor, "B *inputs"], labels: Int64[Tensor, " B"]) -> None:
        """Learns a batch, met once."""
        ...

    def predict(self, inputs: Float[Tensor, "B *inputs"]) -> Float[Tensor, "B K"]:
        """A logit a class. Nothing changes."""
        ...


class FolderLife(NamedTuple):
    """A life that a folder is given to.

    Attributes:
        name: Its key.
        title: What a table calls it.
        note: What it is.
        begin: Begins it.
        sees: What it learns from: images, or what the trained convolutions make of them, or these with the pixels behind them.
        rounds: Where it meets all classes mixed, how often it meets each image: not a life but a bound. 0 for lives.
        pixel_errors: If it reconstructs images: of what has begun and of inputs, the mean squared error of each image's pixels.
    """

    name: str
    title: str
    note: str
    begin: Callable[[], Learner]
    sees: Sees = "features"
    rounds: int = 0
    pixel_errors: Callable[[Any, Tensor], Tensor] | None = None


@runtime_checkable
class FolderRun(Protocol):
    """What a folder's lives need of what a run has trained."""

    @property
    def side(self) -> int:
        """Height and width of its images, S."""
        ...

    @property
    def num_learned(self) -> int:
        """Images of a class that its own lives learn."""
        ...

    @property
    def most_classes(self) -> int | None:
        """Classes that its own life can tell apart; nothing if as many as there are."""
        ...

    def features(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N F"]:
        """What no life changes makes of images from 0 to 1."""
        ...

    def own_lives(self, *, num_classes: int, seed: int) -> tuple[FolderLife, ...]:
        """The life that it was trained for, and others beside it, of which only this run can have any."""
        ...

    def plain_network(self, *, num_classes: int, seed: int) -> nn.Module:
        """A network of the same form drawn anew, of images from 0 to 1, with as many outputs as classes or more."""
        ...


class Descending:
    """A network that descends: so many updates on every batch, beside some of the images that it keeps, if it keeps any.

    Args:
        life: What learns.
        updates: Updates on a batch.
        replayed: Images of earlier batches in each update, or as many as are new if these are more; all that were met are kept.
            0: none is kept.
        source: Which of them.
        one_by_one: Whether updates are made on one image after another, and not on the batch as a whole.
    """

    def __init__(
        self,
        life: Deployment,
        updates: int,
        *,
        replayed: int = 0,
        source: torch.Generator | None = None,
        one_by_one: bool = False,
    ) -> None:
        self._one_by_one = one_by_one
        self._life, self._updates, self._replayed, self._source = life, updates, replayed, source
        self._kept: list[tuple[Tensor, Tensor]] = []

    @property
    def num_stored(self) -> int:
        """Numbers of the network, its optimizer, and the images and labels kept."""
        return self._life.num_stored + sum(tensor.numel() for pair in self._kept for tensor in pair)

    def learn(self, inputs: Float[Tensor, "B *inputs"], labels: Int64[Tensor, " B"]) -> None:
        """Learns a batch, met once."""
        size = 1 if self._one_by_one else len(inputs)
        for met, own in zip(inputs.split(size), labels.split(size), strict=True):
            self._update(met, own)
        if self._replayed:
            self._kept.append((inputs, labels))

    def _update(self, inputs: Tensor, labels: Tensor) -> None:
        past = tuple(torch.cat(parts) for parts in zip(*self._kept, strict=True))
        for _ in range(self._updates):
            if not past:
                self._life.observe(inputs, labels)
                continue
            chosen = torch.randint(len(past[0]), (max(self._replayed, len(inputs)),), generator=self._source)
            self._life.observe(torch.cat([inputs, past[0][chosen]]), torch.cat([labels, past[1][chosen]]))

    def predict(self, inputs: Float[Tensor, "B *inputs"]) -> Float[Tensor, "B K"]:
        """A logit a class."""
        return torch.cat([self._life.predict(part) for part in inputs.split(_AT_A_TIME)])


class Solving:
    """A readout that is solved.

    Args:
        life: What learns.
    """

    def __init__(self, life: ClosedFormLife) -> None:
        self._life = life

    @property
    def num_stored(self) -> int:
        """Numbers of the readout."""
        return self._life.num_stored

    def learn(self, inputs: Float[Tensor, "B features"], labels: Int64[Tensor, " B"]) -> None:
        """Takes a batch in."""
        self._life.observe(inputs, labels)

    def predict(self, inputs: Float[Tensor, "B features"]) -> Float[Tensor, "B K"]:
        """A logit a class."""
        return torch.cat([self._life.predict(part) for part in inputs.split(_AT_A_TIME)])


_AT_A_TIME = 128
"""Images looked at together."""


def folder_lives(
    run: FolderRun, innate: Innate | None, *, num_classes: int, num_features: int, square: float, seed: int
) -> list[FolderLife]:
    """Lists all lives, the run's own first, and of these the one that it was trained for.

    Args:
        run: What was trained.
        innate: What its meta-train classes say of its features; without it, a life less.
        num_classes: Classes of the folder.
        num_features: Features of an image, F.
        square: Mean squared length of features, where `innate` does not say it.
        seed: For projections, first weights and what is replayed.
    """
    size = innate.square if innate is not None else square
    return [
        *run.own_lives(num_classes=num_classes, seed=seed),
        *_solved(innate, num_classes, num_features, size, seed),
        *_plain_lives(run, num_classes, seed),
    ]


def _solved(
    innate: Innate | None, num_classes: int, num_features: int, square: float, seed: int
) -> Iterator[FolderLife]:
    own, scale = "of the network's own features", (num_features / square) ** 0.5

    def unit(features: Tensor) -> Tensor:
        """Features of about unit mean square, which sizes and priors below are meant for."""
        return features * scale

    yield FolderLife("means", "class means", own, _solving(lambda: ClassMeans(num_features, num_classes)))
    streaming = partial(
        LinearDiscriminant, num_features, num_classes, covariance=STREAMING_LEVEL, strength=STREAMING_STRENGTH
    )
    yield FolderLife(
        "streaming_discriminant",
        "streaming discriminant",
        "class means, covariance learned in life",
        _solving(streaming, unit),
    )
    if innate is not None:
        covariance = shrunk(innate.covariance.double(), SHRINKAGE)
        fixed = partial(LinearDiscriminant, num_features, num_classes, covariance=covariance, strength=float("inf"))
        note = f"class means under the covariance of meta-train classes, shrinkage {SHRINKAGE:g}"
        yield FolderLife("innate_discriminant", "innate discriminant", note, _solving(fixed))
    weight = torch.randn(num_features, NUM_PROJECTIONS, generator=generator(seed, "projection")) / square**0.5
    precision = RIDGE_PRECISION * NUM_PROJECTIONS / 2  # A ReLU leaves half of the mean square.
    yield FolderLife(
        "projected_ridge",
        "random projection and ridge",
        f"{NUM_PROJECTIONS:,} random units, solved",
        _solving(
            lambda: RidgeClassifier(NUM_PROJECTIONS, num_classes, precision=precision),
            lambda features: torch.relu(features @ weight),
        ),
    )
    title = "conjugate Bayes"
    if innate is None:
        note, flat = "a Gaussian a class and feature, flat prior", flat_prior(num_features)
        yield FolderLife("bayes", title, note, _solving(lambda: ConjugateBayes(num_classes, flat), unit))
        return
    note, prior = "a Gaussian a class and feature, prior of meta-train classes", innate.prior
    yield FolderLife("bayes", title, note, _solving(lambda: ConjugateBayes(num_classes, prior)))


def _solving(
    readout: Callable[[], Readout], features: Callable[[Tensor], Tensor] | None = None
) -> Callable[[], Solving]:
    return lambda: Solving(ClosedFormLife(readout(), features))


def _plain_lives(run: FolderRun, num_classes: int, seed: int) -> Iterator[FolderLife]:
    """The same network without hyper-training, all of it plastic."""

    def begin(lr: float, updates: int, replayed: int = 0) -> Descending:
        network = run.plain_network(num_classes=num_classes, seed=seed)
        life = Deployment(network, {}, inner_lr=lr, inner_optimizer="adam", loss_fn=cross_entropy)
        return Descending(life, updates, replayed=replayed, source=generator(seed, "replay"))

    note = f"the same network drawn anew, all of it plastic, Adam {PLAIN_LR:g}, {PLAIN_UPDATES} updates a class"
    yield FolderLife("plain", "plain network", note, partial(begin, PLAIN_LR, PLAIN_UPDATES), "images")
    yield FolderLife(
        "plain_replay",
        "plain network with replay",
        f"likewise; keeps every image and replays {REPLAY_BATCH} with each update",
        partial(begin, PLAIN_LR, PLAIN_UPDATES, REPLAY_BATCH),
        "images",
    )
    yield FolderLife(
        "plain_joint",
        "plain network, all classes mixed",
        f"what it would learn if it kept everything: not a life, a bound; Adam {JOINT_LR:g}",
        partial(begin, JOINT_LR, 1),
        "images",
        rounds=PLAIN_UPDATES,
    )
