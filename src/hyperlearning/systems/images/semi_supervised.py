"""Networks with two outputs, labels and pixels: built, trained and lived on images of which few have a label.

Shape suffixes: L lives, B images.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.expect import AtLeast, Count, Rate, check_ranges
from hyperlearning.core.image_losses import pack_targets, semi_supervised_loss
from hyperlearning.core.params import Params, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.core.tensor_files import load_tensors
from hyperlearning.data.user_images import as_images
from hyperlearning.evaluation.accuracy import LifeAccuracy, among_own, life_accuracy, recognised
from hyperlearning.learners.deployment import Deployment
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.prototypes import SCALE
from hyperlearning.learners.refined_prototypes import refined_prototype_logits
from hyperlearning.networks.dan.image_networks import dan_classifier
from hyperlearning.networks.dan.network import DANNetwork, Synapses
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.streams.semi_supervised import as_semi_supervised, lives_as_semi_supervised, small_images
from hyperlearning.systems.class_labels import ClassLabel, MetClasses
from hyperlearning.systems.class_life import kind_of, warn_of_light_ground
from hyperlearning.systems.images.build import Losses, assemble, build_learner, drawing
from hyperlearning.systems.images.embedding import PrototypeEmbedding
from hyperlearning.systems.images.lines import ClassMethod, scores_of
from hyperlearning.systems.images.lives import LIVES_AT_A_TIME, deploy_prototypes, scored_on_features, tested_images
from hyperlearning.systems.images.methods import Newborn
from hyperlearning.systems.images.pools import Pools
from hyperlearning.systems.images.settings import ImageSettings
from hyperlearning.systems.images.trained import network_with
from hyperlearning.systems.system import Method, System


@dataclass(frozen=True, kw_only=True)
class SupervisionSettings:
    """What is labelled, and what reconstruction weighs."""

    num_labelled: Count = 1
    """Labelled images of each class; the others of `num_instances` have no label."""
    pixel_side: Count = 7
    """Side of the images to reconstruct: the images averaged down."""
    pixel_weight: Rate = 10.0
    """Weight of reconstruction in the task loss, lambda."""
    hyper_pixel_weight: Annotated[float, AtLeast(0)] = 1.0
    """Its weight in the hyper-loss."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class TwoOutputSettings:
    """All of a network with both outputs; `hidden_scaling` is of synapses into hidden neurons."""

    image: ImageSettings
    supervision: SupervisionSettings
    hidden_scaling: float


class Supervision(NamedTuple):
    """One way to be supervised: a method, the labelled images of each class, whether losses have a share of reconstruction."""

    name: str
    title: str
    note: str
    num_labelled: int
    reconstructs: bool


def build_two_outputs(settings: TwoOutputSettings) -> TrunkNetwork:
    """Builds the network: output DANs of labels, then of pixels; synapses into them are 0 at first, hidden ones act feebly."""
    image, network = settings.image, settings.image.network
    source = generator(image.seed, "network")
    built = dan_classifier(
        network.trunk(image.data, source),
        num_classes=network.num_outputs + settings.supervision.pixel_side**2,
        hidden_sizes=network.hidden_sizes,
        num_channels=network.num_channels,
        phenotype=network.phenotype_factory(),
        synaptic_scaling=network.synaptic_scaling,
        generator=source,
    )
    assert isinstance(built.head, DANNetwork)
    output = len(network.hidden_sizes) + 1
    for name, synapses in built.head.synapses.items():
        assert isinstance(synapses, Synapses)
        if not name.endswith(f"_{output}"):
            synapses.scaling = settings.hidden_scaling
        elif network.zero_start:
            torch.nn.init.zeros_(synapses.weight)
            torch.nn.init.zeros_(synapses.bias)
    return built


def two_output_system(
    settings: TwoOutputSettings, supervised: Supervision, pools: Pools, trunk: Params
) -> System[TrunkNetwork]:
    """Builds the network and its hyper-training under a way to be supervised; all ways meet the same lives.

    Convolutions of `trunk` were trained before and stay as they are; they are trained in lives if there are none.
    """
    pixel_side = settings.supervision.pixel_side
    transform = partial(as_semi_supervised, num_labelled=supervised.num_labelled, pixel_side=pixel_side)
    draw = drawing(settings.image, pools.meta_train, transform=transform)
    losses = two_output_losses(settings, reconstructs=supervised.reconstructs)
    return assemble(settings.image, build_two_outputs(settings), losses, draw, trunk=trunk or None)


def two_output_losses(settings: TwoOutputSettings, *, reconstructs: bool) -> Losses:
    """The losses of labels, with their share of reconstruction or without."""
    supervision, labels = settings.supervision, settings.image.network.num_outputs
    return Losses(
        semi_supervised_loss(
            labels,
            pixel_weight=supervision.pixel_weight * reconstructs,
            temperature=settings.image.training.temperature,
        ),
        semi_supervised_loss(labels, pixel_weight=supervision.hyper_pixel_weight * reconstructs),
    )


class TwoOutputLives(NamedTuple):
    """How lives went.

    Attributes:
        accuracy: Shares of images classified rightly; memory is of all images met, labelled or not.
        pixel_error: (L,), mean squared error of reconstructing held-out images at the end.
    """

    accuracy: LifeAccuracy
    pixel_error: Float[Tensor, " lives"]


def deploy_two_outputs(
    settings: TwoOutputSettings, supervised: Supervision, born: Newborn, lives: ClassLives
) -> TwoOutputLives:
    """Lives every life, whose targets are labels, and looks at all its images after every class."""
    learner, start, innate = born
    num_labels, pixel_side = settings.image.network.num_outputs, settings.supervision.pixel_side
    shown = tested_images(lives)
    with torch.no_grad():
        met, features = _features(learner, innate, lives.inputs), _features(learner, innate, shown[None])[0]
    targets = lives_as_semi_supervised(lives, num_labelled=supervised.num_labelled, pixel_side=pixel_side).targets
    births, on_features = stack_members(start, len(lives.labels)), learner._replace(prepare=None)
    looks, outputs = [], torch.empty(0)
    steps = settings.image.life.steps_per_task
    for plastic in live(on_features, births, innate, met, targets, steps_per_batch=steps):
        with torch.no_grad():
            outputs = learner.forward(plastic, innate, features)
        looks.append(recognised(outputs[..., :num_labels], lives.labels))
    among = recognised(among_own(outputs[..., :num_labels], lives.labels), lives.labels)
    errors = (torch.sigmoid(outputs[..., num_labels:]) - small_images(shown, pixel_side)).square().mean(-1)
    num_learned = lives.learned.shape[2]
    held_out = errors.unflatten(1, (lives.labels.shape[1], -1))[..., num_learned:]
    accuracy = life_accuracy(torch.stack(looks, dim=1), among, num_learned)
    return TwoOutputLives(accuracy, held_out.flatten(1).mean(1))


def _features(learner: Learner, innate: Params, images: Tensor) -> Tensor:
    """A few lives at a time, so that the trunk's maps fit into memory."""
    return torch.cat([learner.prepared(innate, part) for part in images.split(LIVES_AT_A_TIME, dim=1)], dim=1)


def labelled_prototypes(
    embedding: PrototypeEmbedding, *, num_labelled: int, num_instances: int, num_labels: int
) -> tuple[ClassMethod, ...]:
    """Class means of the labelled images, of these refined by the unlabelled ones, and of all images, all labelled."""
    of = f"an embedding of {embedding.size:,} parameters, meta-trained for {num_instances} images a class;"
    scale = float(embedding.params[SCALE])

    def means(number: int) -> Callable[[ClassLives], LifeAccuracy]:
        return lambda lives: deploy_prototypes(embedding.features, lives, num_labels=num_labels, num_labelled=number)

    refined = partial(deploy_refined, embedding.features, num_labelled=num_labelled, num_labels=num_labels, scale=scale)
    few, soft = f"prototypes from {num_labelled}", "one step of soft k-means with the unlabelled images, all kept"
    return (
        Method("prototypes_few", few, f"{of} means of the labelled images", means(num_labelled)),
        Method("prototypes_refined", f"{few}, refined", f"{of} {soft}", refined),
        Method(
            "prototypes_all",
            f"prototypes from {num_instances}",
            f"{of} means of all images, all labelled",
            means(num_instances),
        ),
    )


def deploy_refined(
    features: Callable[[Tensor], Tensor], lives: ClassLives, *, num_labelled: int, num_labels: int, scale: float
) -> LifeAccuracy:
    """Lives with class means of features (..., F), refined by the unlabelled images met so far, which it keeps.

    The labels of each batch's first `num_labelled` images are known; `scale` multiplies distances.
    """

    def logits(met: Tensor, shown: Tensor, task: int) -> Tensor:
        return refined_prototype_logits(
            met[:task, :, :num_labelled],
            lives.targets[:task, :, :num_labelled],
            met[:task, :, num_labelled:].transpose(0, 1).flatten(1, 2),
            shown,
            num_labels=num_labels,
            scale=scale,
        )

    return scored_on_features(features, lives, logits)


class TwoOutputLife:
    """One network that keeps learning classes from images of which some have a label: only its synapses ever change.

    Images are given as `as_images` takes them, of one channel: uint8 from 0 (ground) to 255 (ink), or floats from 0 to 1. Labels
    are whole numbers or names of classes, as for `ClassifierLife`.

    Args:
        deployment: The network's life.
        num_labels: Labels in all.
        side: Height and width of images.
        pixel_side: Side of the images that it reconstructs.
        steps_per_task: Updates on each class, as in the run's own lives.
    """

    def __init__(
        self, deployment: Deployment, *, num_labels: int, side: int, pixel_side: int, steps_per_task: int
    ) -> None:
        self._life, self._num_labels, self._side, self._pixel_side = deployment, num_labels, side, pixel_side
        self._steps_per_task, self._classes, self._like = steps_per_task, MetClasses(num_labels), kind_of(deployment)

    @property
    def num_updates(self) -> int:
        """Updates made so far."""
        return self._life.num_updates

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """The classes met with a label, in the order in which they were: names, or outputs where they were met as numbers."""
        return self._classes.labels

    def learn(self, images: Any, labels: Any) -> float:
        """Learns a class as the run's own lives did, from one batch met once; returns and raises as `observe`."""
        return self._updated(images, labels, self._steps_per_task)

    def observe(self, images: Any, labels: Any) -> float:
        """Makes one update from images and forgets them.

        Args:
            images: The batch.
            labels: Of the first images, at most as many as there are; the others have none.

        Returns:
            The loss before the update: cross entropy in nats over what has a label, and the weighted error of pixels.

        Raises:
            ValueError: If images or labels are not what they should be, or the loss is not finite; nothing has changed then.
        """
        return self._updated(images, labels, 1)

    def _updated(self, images: Any, labels: Any, times: int) -> float:
        batch = self._batch(images)
        outputs, classes = self._classes.understand_first(labels, num_images=len(batch))
        warn_of_light_ground(batch)
        known = (torch.arange(len(batch)) < len(outputs)).to(batch)
        padded = torch.nn.functional.pad(outputs, (0, len(batch) - len(outputs))).to(batch)
        targets = pack_targets(padded, known, small_images(batch, self._pixel_side))
        losses = []
        for _ in range(times):
            losses.append(self._life.observe(batch, targets))
            self._classes = classes
        return losses[0]

    def predict(self, images: Any) -> Float[Tensor, "batch labels"]:
        """Gives a logit per label. Nothing changes.

        Raises:
            ValueError: If images are not what they should be.
        """
        return self._life.predict(self._batch(images))[:, : self._num_labels]

    def classify(self, images: Any) -> list[ClassLabel]:
        """Says of each image which of the classes met it is, by name or number, with the errors of `ClassifierLife.classify`."""
        return self._classes.best(self.predict(images))

    def reconstruct(self, images: Any) -> Float[Tensor, "batch small small"]:
        """Gives small reconstructions of images. Nothing changes.

        Raises:
            ValueError: If images are not what they should be.
        """
        pixels = torch.sigmoid(self._life.predict(self._batch(images))[:, self._num_labels :])
        return pixels.unflatten(1, (self._pixel_side, self._pixel_side))

    def save(self, path: str | Path) -> None:
        """Writes the life, and which classes it has met, to one safetensors file."""
        self._life.save(path, facts={"classes": self._classes.facts()})

    def load(self, path: str | Path) -> None:
        """Goes on where a saved life of the same run stood, with the errors of `Deployment.load`."""
        facts = load_tensors(Path(path)).facts
        self._life.load(path)
        self._classes = self._classes.restored(facts)

    def _batch(self, images: Any) -> Tensor:
        return as_images(images, side=self._side).to(self._like)


class TrainedTwoOutputs(NamedTuple):
    """A network with both outputs, hyper-trained, ready to deploy.

    Attributes:
        two_outputs: What it was trained from.
        supervised: How it is supervised.
        start: Synapses at birth.
        innate: Convolutions and phenotypes.
    """

    two_outputs: TwoOutputSettings
    supervised: Supervision
    start: Params
    innate: Params

    @property
    def settings(self) -> ImageSettings:
        """What it has in common with a classifier."""
        return self.two_outputs.image

    def deployment(self) -> TwoOutputLife:
        """Begins a life."""
        training = self.settings.training
        plain = replace(self.two_outputs, image=replace(self.settings, training=replace(training, temperature=1.0)))
        life = Deployment(
            network_with(build_two_outputs(self.two_outputs), {**self.start, **self.innate}),
            self.innate,
            inner_lr=training.inner_lr,
            inner_optimizer=training.inner_optimizer,
            loss_fn=two_output_losses(self.two_outputs, reconstructs=self.supervised.reconstructs).task,
            shown_loss_fn=two_output_losses(plain, reconstructs=self.supervised.reconstructs).task,
        )
        return TwoOutputLife(
            life,
            num_labels=self.settings.network.num_outputs,
            side=self.settings.data.side,
            pixel_side=self.two_outputs.supervision.pixel_side,
            steps_per_task=self.settings.life.steps_per_task,
        )

    def scores(self, lives: ClassLives) -> dict[str, list[float]]:
        """Lives lives as in a run, and scores each of them."""
        losses = two_output_losses(self.two_outputs, reconstructs=self.supervised.reconstructs)
        learner = build_learner(self.settings, build_two_outputs(self.two_outputs), losses)
        born = Newborn(learner, self.start, self.innate)
        lived = deploy_two_outputs(self.two_outputs, self.supervised, born, lives)
        return scores_of(lived.accuracy).by_name()
