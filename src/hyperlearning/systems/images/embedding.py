"""Convolutions trained alone as an embedding: a network's own, the prototypes' that it is compared with, and conjugate Bayes'."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from rich.console import Console
from torch import Tensor

from hyperlearning.core.params import Params, count
from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import FitState, Fitting, first_fit_state
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.accuracy import LifeAccuracy
from hyperlearning.learners.closed_form.learned_prior import bayes_loss, first_prior
from hyperlearning.learners.optimizers import adam
from hyperlearning.learners.population import Prepare
from hyperlearning.learners.prototypes import SCALE, prototype_loss
from hyperlearning.networks.trunk import TrunkNetwork, trunk_features
from hyperlearning.streams.class_incremental import ClassLives, HyperMix
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.image_pool import ImagePool
from hyperlearning.systems.images.build import drawing
from hyperlearning.systems.images.lives import deploy_prototypes
from hyperlearning.systems.images.pools import Pools
from hyperlearning.systems.images.settings import EmbeddingSettings, ImageSettings, NetworkSettings
from hyperlearning.systems.images.training import images_per_epoch, looking, train

_FIRST_SCALE = 20.0
"""Of the prototypes' distances, which are means over features of mean square 1 and so at most 4."""


def embedding_settings(
    settings: ImageSettings, embedding: EmbeddingSettings, *, num_classes: int, num_images: int = 0
) -> ImageSettings:
    """Says how an embedding is trained: one stream of many classes a generation, as many images classified as are met.

    All its classes are met; what the hyper-loss has of classes that are not goes to the other two kinds, in proportion. If
    `num_images` is positive, it is trained until it has met so many images, in place of `embedding_epochs`.
    """
    num_classes = min(embedding.embedding_classes, num_classes)
    training = replace(
        settings.training,
        population=1,
        num_epochs=max(1, embedding.embedding_epochs),
        train_tasks=num_classes,
        train_classes=num_classes,
        hyper_batch_size=num_classes * settings.life.num_instances,
        hyper_mix=_of_classes_met(settings.training.hyper_mix),
        through="life",
        outer_lr=embedding.embedding_lr,
    )
    wanted = replace(settings, training=training)
    if not num_images:
        return wanted
    num_epochs = max(1, round(num_images / images_per_epoch(wanted)))
    return replace(wanted, training=replace(training, num_epochs=num_epochs))


def _of_classes_met(mix: HyperMix) -> HyperMix:
    learned, others, apart = mix
    return (learned / (1 - apart), others / (1 - apart), 0.0) if apart < 1 else (1.0, 0.0, 0.0)


def images_of_embedding(settings: ImageSettings, embedding: EmbeddingSettings, pool: ImagePool) -> int:
    """Counts the images that the training of an embedding meets before lives begin; 0 if there is none."""
    own = embedding_settings(settings, embedding, num_classes=pool.num_classes)
    return embedding.embedding_epochs * images_per_epoch(own)


def train_embedding(
    record: RunRecord,
    settings: ImageSettings,
    training: EmbeddingSettings,
    network: TrunkNetwork,
    pools: Pools,
    console: Console,
) -> Params:
    """Trains a network's convolutions alone, in a record below the run's, or goes on doing so.

    Returns:
        Their values, by their names in the network; none if `embedding_epochs` is 0.
    """
    if not training.embedding_epochs:
        return {}
    own = embedding_settings(settings, training, num_classes=pools.meta_train.num_classes)
    fitted = _fitted(record, "input DANs", own, network, pools, console, purpose="lives of the embedding")
    return trunk_of(fitted)


class PrototypeEmbedding(NamedTuple):
    """The embedding that a network is compared with.

    Attributes:
        features: Maps images (..., C, S, S) to features.
        params: Its parameters and, as `SCALE`, what distances are multiplied by.
        size: How many numbers these are.
    """

    features: Callable[[Tensor], Tensor]
    params: Params
    size: int


def compared_settings(settings: ImageSettings, embedding: EmbeddingSettings, pool: ImagePool) -> ImageSettings:
    """Says how the prototypes' embedding is trained: as the network's own, for as many images as the network meets in all."""
    in_lives = settings.training.num_epochs * images_per_epoch(settings)
    num_images = images_of_embedding(settings, embedding, pool) + in_lives
    return embedding_settings(settings, embedding, num_classes=pool.num_classes, num_images=num_images)


def train_prototypes(record: RunRecord, settings: ImageSettings, pools: Pools, console: Console) -> PrototypeEmbedding:
    """Trains an embedding of as many parameters as the settings' network, in a record below the run's, or goes on doing so."""
    network = matched_embedding(settings)
    embed, params = embedding(network), _fitted(record, "prototypes", settings, network, pools, console).params
    return PrototypeEmbedding(lambda images: embed(params, images), params, count(params))


def _fitted(
    record: RunRecord,
    label: str,
    settings: ImageSettings,
    network: TrunkNetwork,
    pools: Pools,
    console: Console,
    *,
    purpose: str = "lives",
) -> FitState:
    embed, num_labels = embedding(network), settings.network.num_outputs

    def live(state: FitState, lives: ClassLives) -> LifeAccuracy:
        return deploy_prototypes(lambda images: embed(state.params, images), lives, num_labels=num_labels)

    return train(
        record,
        label,
        settings,
        prototype_system(settings, pools.meta_train, network, purpose=purpose),
        console,
        look=looking(settings, pools, live),
        images_per_epoch=images_per_epoch(settings),
        method="prototypes",
    ).state


class Classifier(NamedTuple):
    """What an embedding is trained for: a classifier that follows from the examples of every class.

    Attributes:
        innate: Its own innate parameters at first, for a number of features.
        loss: Makes the loss of features and these parameters on streams, for a number of labels.
    """

    innate: Callable[[int], Params]
    loss: Callable[[Prepare, int], Callable[[Params, HyperStream], Tensor]]


PROTOTYPES = Classifier(
    innate=lambda num_features: {SCALE: torch.tensor(_FIRST_SCALE)},
    loss=lambda embed, num_labels: prototype_loss(embed, num_labels=num_labels),
)
"""The mean of each class's images."""
BAYES = Classifier(innate=first_prior, loss=lambda embed, num_labels: bayes_loss(embed, num_labels=num_labels))
"""Conjugate Bayes, its prior learned too."""


def prototype_system(
    settings: ImageSettings,
    pool: ImagePool,
    network: TrunkNetwork,
    *,
    purpose: str = "lives",
    classifier: Classifier = PROTOTYPES,
) -> Fitting:
    """Builds the training of an embedding for a classifier that is solved, by default the mean of each class's images.

    Args:
        settings: What lives are and how to train, such as `embedding_settings` makes.
        pool: Where classes come from.
        network: Its trunk is the embedding, such as `matched_embedding` builds.
        purpose: Names the random numbers that lives are drawn with.
        classifier: What the embedding is trained for.
    """
    training = settings.training
    params = {f"trunk.{name}": value.detach().clone() for name, value in network.trunk.named_parameters()}
    params |= classifier.innate(_num_features(settings, network))
    # Labels must be distinct within a generation, however few outputs a network has.
    num_labels = max(settings.network.num_outputs, training.train_classes)
    network_settings = replace(settings.network, num_outputs=num_labels)
    at_the_end = replace(settings, network=network_settings, training=replace(training, through="life"))
    optimizer, source = adam(), generator(settings.seed, purpose)
    return Fitting(
        initial=first_fit_state(params, optimizer, source),
        loss_fn=classifier.loss(embedding(network), num_labels),
        draw=drawing(at_the_end, pool),
        optimizer=optimizer,
        lr=training.outer_rate,
        num_epochs=training.num_epochs,
        source=source,
        max_grad_norm=training.max_grad_norm,
        title="training of an embedding",
    )


def _num_features(settings: ImageSettings, network: TrunkNetwork) -> int:
    with torch.no_grad():
        return network.trunk(torch.zeros(1, 1, settings.data.side, settings.data.side)).shape[-1]


def trunk_of(state: FitState) -> Params:
    """Takes the convolutions from what `prototype_system` trained, by their names in the network."""
    return {name: value for name, value in state.params.items() if name.startswith("trunk.")}


def matched_embedding(settings: ImageSettings) -> TrunkNetwork:
    """Builds the prototypes' embedding, its maps widened in steps of eight until it has the parameters of the whole network."""
    wanted = settings.network.count(settings.data).total
    widened = settings.network
    while _trunk_size(settings, wider := replace(widened, maps=tuple(size + 8 for size in widened.maps))) <= wanted:
        widened = wider
    trunk = widened.trunk(settings.data, generator(settings.seed, "embedding"))
    return TrunkNetwork(trunk, torch.nn.Identity())


def _trunk_size(settings: ImageSettings, network: NetworkSettings) -> int:
    trunk = network.trunk(settings.data, generator(0, "size"))
    return sum(parameter.numel() for parameter in trunk.parameters())


def embedding(network: TrunkNetwork) -> Prepare:
    """Makes the function from innate parameters and images (..., C, S, S) to features."""
    return lambda innate, images: trunk_features(network, innate, images, num_batch_axes=images.ndim - 3)
