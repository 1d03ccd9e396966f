"""A folder of images lived by a network with two outputs: few images of each class with their label, the others without.

Shape suffixes: B images of a class, N images, C channels, S side, F features, P pixels, K labels.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from hyperlearning.learners.closed_form.class_means import ClassMeans
from hyperlearning.learners.closed_form.life import ClosedFormLife
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.trunk import trunk_features
from hyperlearning.streams.semi_supervised import packed_targets, small_images
from hyperlearning.systems.folder_lives import FolderLife, Solving
from hyperlearning.systems.images.semi_supervised import TrainedTwoOutputs, build_two_outputs, two_output_losses
from hyperlearning.systems.images.settings import ImageSettings
from hyperlearning.systems.images.trained import head_deployment


class PartlyLabelled:
    """A head with two outputs that descends on batches of which it is told the first labels alone.

    Args:
        life: What learns, from features and targets that `pack_targets` made.
        updates: Updates on a batch.
        num_labelled: Images of a batch whose label it is told; all if absent.
        num_labels: Labels in all, K.
        num_features: Features of an image, F; what is behind them are its pixels.
        image_shape: (C, S, S).
        pixel_side: Side of the images that it reconstructs.
    """

    def __init__(
        self,
        life: Deployment,
        updates: int,
        *,
        num_labelled: int | None,
        num_labels: int,
        num_features: int,
        image_shape: tuple[int, int, int],
        pixel_side: int,
    ) -> None:
        self._life, self._updates, self._num_labelled, self._num_labels = life, updates, num_labelled, num_labels
        self._num_features, self._image_shape, self._pixel_side = num_features, image_shape, pixel_side

    @property
    def num_stored(self) -> int:
        """Numbers of the synapses and their optimizer."""
        return self._life.num_stored

    def learn(self, inputs: Float[Tensor, "B features_and_pixels"], labels: Int64[Tensor, " B"]) -> None:
        """Learns a batch, met once."""
        features, pixels = inputs.tensor_split([self._num_features], dim=1)
        known = min(self._num_labelled or len(labels), len(labels))
        images = pixels.unflatten(1, self._image_shape)
        targets = packed_targets(images, labels.to(images.dtype), known, self._pixel_side)
        for _ in range(self._updates):
            self._life.observe(features, targets)

    def predict(self, inputs: Float[Tensor, "B features_and_pixels"]) -> Float[Tensor, "B K"]:
        """A logit a class."""
        return self._life.predict(inputs[:, : self._num_features])[:, : self._num_labels]

    def pixel_errors(self, inputs: Float[Tensor, "B features_and_pixels"]) -> Float[Tensor, " B"]:
        """The mean squared error of each small image's pixels, reconstructed."""
        features, pixels = inputs.tensor_split([self._num_features], dim=1)
        made = torch.sigmoid(self._life.predict(features)[:, self._num_labels :])
        return (made - small_images(pixels.unflatten(1, self._image_shape), self._pixel_side)).square().mean(1)


class FirstOfEach:
    """What learns the first images of every batch and never meets the others.

    Args:
        learner: What learns.
        number: Images of a batch.
    """

    def __init__(self, learner: Solving, number: int) -> None:
        self._learner, self._number = learner, number

    @property
    def num_stored(self) -> int:
        """Numbers that the learner keeps."""
        return self._learner.num_stored

    def learn(self, inputs: Float[Tensor, "B features"], labels: Int64[Tensor, " B"]) -> None:
        """Takes the first of a batch in."""
        self._learner.learn(inputs[: self._number], labels[: self._number])

    def predict(self, inputs: Float[Tensor, "B features"]) -> Float[Tensor, "B K"]:
        """A logit a class."""
        return self._learner.predict(inputs)


class TwoOutputFolder(NamedTuple):
    """What a run with two outputs lets live on a folder.

    Attributes:
        trained: What it has trained.
    """

    trained: TrainedTwoOutputs

    @property
    def settings(self) -> ImageSettings:
        """What it was trained from, as far as a classifier has it too."""
        return self.trained.settings

    @property
    def said(self) -> tuple[str]:
        """Which labels its lives are told."""
        few = self.trained.supervised.num_labelled
        return (
            f"Of each class's images learned, the run's own life is told the label of {few}, as its lives were in the run, and "
            f"meets the others without. Class means with '{few} labelled a class' meet no others; every other life is told all "
            "labels.",
        )

    @property
    def side(self) -> int:
        """Height and width of its images, S."""
        return self.settings.data.side

    @property
    def num_learned(self) -> int:
        """Images of a class that its own lives learn, with a label or without."""
        return self.settings.life.num_instances

    @property
    def most_classes(self) -> int:
        """Classes that it can tell apart."""
        return self.settings.network.num_outputs

    def features(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N F"]:
        """What the convolutions, which no life changes, make of images from 0 to 1."""
        network = build_two_outputs(self.trained.two_outputs)
        return trunk_features(network, self.trained.innate, images, num_batch_axes=1)

    def own_lives(self, *, num_classes: int, seed: int) -> tuple[FolderLife, ...]:
        """The life of `deployment`; the same if it is told all labels; class means of as few images as it is told labels of."""
        few, steps = self.trained.supervised.num_labelled, self.settings.life.steps_per_task
        told, descends = f"{few} labelled a class", f"synapses descend, {steps} updates a class"
        dan, begin = "DAN network, hyper-trained", partial(_begin, self)
        small = self.trained.two_outputs.supervision.pixel_side
        note = f"{descends}; reconstructs all images, averaged down to {small} x {small} pixels"
        lives = (
            FolderLife("dan", f"{dan}, {told}", note, partial(begin, few), "features and pixels"),
            FolderLife("dan_all", f"{dan}, all labelled", "likewise", partial(begin, None), "features and pixels"),
        )
        means = _few_means(self, few, num_classes)
        return (
            *(life._replace(pixel_errors=PartlyLabelled.pixel_errors) for life in lives),
            FolderLife("means_few", f"class means, {told}", "of the network's own features", means),
        )

    def plain_network(self, *, num_classes: int, seed: int) -> nn.Module:
        """A network of its form drawn anew, with labels alone."""
        return replace(self.settings.network, zero_start=False).build(self.settings.data, seed)


def _begin(run: TwoOutputFolder, num_labelled: int | None) -> PartlyLabelled:
    """The life of `run.trained.deployment()` behind convolutions that no life changes."""
    trained, settings, training = run.trained, run.settings, run.settings.training
    life = head_deployment(
        build_two_outputs(trained.two_outputs),
        trained.start,
        trained.innate,
        inner_lr=training.inner_lr,
        inner_optimizer=training.inner_optimizer,
        loss_fn=two_output_losses(trained.two_outputs, reconstructs=trained.supervised.reconstructs).task,
    )
    return PartlyLabelled(
        life,
        settings.life.steps_per_task,
        num_labelled=num_labelled,
        num_labels=settings.network.num_outputs,
        num_features=_num_features(run),
        image_shape=(1, run.side, run.side),
        pixel_side=trained.two_outputs.supervision.pixel_side,
    )


def _few_means(run: TwoOutputFolder, number: int, num_classes: int) -> Callable[[], FirstOfEach]:
    return lambda: FirstOfEach(Solving(ClosedFormLife(ClassMeans(_num_features(run), num_classes))), number)


def _num_features(run: TwoOutputFolder) -> int:
    return run.features(torch.zeros(1, 1, run.side, run.side)).shape[1]
