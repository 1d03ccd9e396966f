"""A folder of images lived by an autoencoder: it learns to reconstruct them, told no label, and its code tells classes apart.

Shape suffixes: B images of a class, N images, C channels, S side, F features, H size of the code, K classes.
"""

import copy
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from hyperlearning.core.image_losses import summed_pixel_error
from hyperlearning.learners.closed_form.class_means import ClassMeans
from hyperlearning.learners.closed_form.life import ClosedFormLife
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.trunk import trunk_features
from hyperlearning.systems.folder_lives import FolderLife, Solving
from hyperlearning.systems.images.autoencoder import TrainedAutoencoder, build_autoencoder
from hyperlearning.systems.images.settings import ImageSettings
from hyperlearning.systems.images.trained import head_deployment

_AT_A_TIME = 128
"""Images whose codes are computed together."""


class CodeMeans:
    """Class means of the code of an autoencoder that goes on learning: a mean stays as the code was when its class was met.

    Args:
        life: The autoencoder behind its convolutions.
        head: A network of its form.
        updates: Updates on a batch; 0 for an autoencoder that stays as it is.
        num_features: Features of an image, F; what is behind them are its pixels.
        num_classes: Classes, K.
    """

    def __init__(
        self, life: Deployment, head: DANNetwork, updates: int, *, num_features: int, num_classes: int
    ) -> None:
        self._life, self._head, self._updates, self._num_features = life, copy.deepcopy(head), updates, num_features
        self._layer = len(head.layer_sizes) // 2
        self._means = Solving(ClosedFormLife(ClassMeans(head.layer_sizes[self._layer], num_classes)))
        self._bring()

    @property
    def num_stored(self) -> int:
        """Numbers of the class means, and of the synapses and their optimizer if these change."""
        return self._means.num_stored + (self._life.num_stored if self._updates else 0)

    def learn(self, inputs: Float[Tensor, "B features_and_pixels"], labels: Int64[Tensor, " B"]) -> None:
        """Learns to reconstruct a batch, met once; then takes its codes in, which alone have a label."""
        features, pixels = inputs.tensor_split([self._num_features], dim=1)
        for _ in range(self._updates):
            self._life.observe(features, pixels)
        self._bring()
        self._means.learn(self._code(inputs), labels)

    def predict(self, inputs: Float[Tensor, "B features_and_pixels"]) -> Float[Tensor, "B K"]:
        """A logit a class."""
        return self._means.predict(self._code(inputs))

    def pixel_errors(self, inputs: Float[Tensor, "B features_and_pixels"]) -> Float[Tensor, " B"]:
        """The mean squared error of each image's pixels, reconstructed."""
        features, pixels = inputs.tensor_split([self._num_features], dim=1)
        return (torch.sigmoid(self._life.predict(features)) - pixels).square().mean(1)

    def _bring(self) -> None:
        """Gives the network the parameters that the life has come to."""
        values = {**self._life.plastic, **self._life.innate}
        for name, parameter in self._head.named_parameters():
            parameter.data.copy_(values[name])

    @torch.no_grad()
    def _code(self, inputs: Tensor) -> Float[Tensor, "B H"]:
        parts = inputs[:, : self._num_features].split(_AT_A_TIME)
        return torch.cat([self._head.activations(part)[self._layer] for part in parts])


class AutoencoderFolder(NamedTuple):
    """What a run with an autoencoder lets live on a folder.

    Attributes:
        trained: What it has trained.
    """

    trained: TrainedAutoencoder

    @property
    def settings(self) -> ImageSettings:
        """What it was trained from."""
        return self.trained.settings

    @property
    def said(self) -> tuple[str]:
        """How an autoencoder tells classes apart."""
        return (
            "The autoencoder learns to reconstruct the images, as in the run, and is told no label; class means of its code tell "
            "classes apart. A mean stays as the code was when its class was met, so that what changes in the code afterwards "
            "is forgetting.",
        )

    @property
    def side(self) -> int:
        """Height and width of its images, S."""
        return self.settings.data.side

    @property
    def num_learned(self) -> int:
        """Images of a class that its own lives learn."""
        return self.settings.life.num_instances

    @property
    def most_classes(self) -> None:
        """There are as many class means as classes."""
        return

    def features(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N F"]:
        """What the convolutions, which no life changes, make of images from 0 to 1."""
        return trunk_features(build_autoencoder(self.settings), self.trained.innate, images, num_batch_axes=1)

    def own_lives(self, *, num_classes: int, seed: int) -> tuple[FolderLife, ...]:
        """The life of `deployment`, and the same without any update."""
        steps, sees = self.trained.steps_per_task, "features and pixels"
        begin, still = partial(_begin, self, num_classes), "likewise, but the autoencoder learns nothing"
        descends = f"its synapses descend, {steps} updates a class, without labels"
        lives = (
            FolderLife("dan", "autoencoder, class means of code", descends, partial(begin, steps), sees),
            FolderLife("dan_frozen", "autoencoder at birth, class means of code", still, partial(begin, 0), sees),
        )
        return tuple(life._replace(pixel_errors=CodeMeans.pixel_errors) for life in lives)

    def plain_network(self, *, num_classes: int, seed: int) -> nn.Module:
        """A classifier with as many hidden DANs, drawn anew."""
        network = replace(self.settings.network, num_outputs=max(self.settings.network.num_outputs, num_classes))
        return network.build(self.settings.data, seed)


def _begin(run: AutoencoderFolder, num_classes: int, updates: int) -> CodeMeans:
    """The life of `run.trained.deployment()` behind convolutions that no life changes."""
    trained, network = run.trained, build_autoencoder(run.settings)
    life = head_deployment(
        network,
        trained.start,
        trained.innate,
        inner_lr=trained.inner_lr,
        inner_optimizer=run.settings.training.inner_optimizer,
        loss_fn=summed_pixel_error,
    )
    assert isinstance(network.head, DANNetwork)
    return CodeMeans(life, network.head, updates, num_features=network.head.layer_sizes[0], num_classes=num_classes)
