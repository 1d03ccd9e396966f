"""Embeddings for long meta-tests: DAN and warp networks, hyper-trained on lives, and a prototypical network, on class means."""

from collections.abc import Callable

import torch
from rich.console import Console
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import train_with_record
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.image_pool import ImagePool, with_rotated_classes
from hyperlearning.systems.images.build import System, build_system
from hyperlearning.systems.images.embedding import embedding, embedding_settings, prototype_system
from hyperlearning.systems.images.settings import (
    DataSettings,
    EmbeddingSettings,
    ImageSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.trajectories.build import Embed
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.long_tests import Splits
from hyperlearning.systems.trajectories.training import short_meta_test, train_below

_NUM_LOOKS = 5
_LOOK_CLASSES = 50
_NUM_LINES = 200


def dan_settings(
    data: CharacterSettings, maps: tuple[int, ...], num_epochs: int, *, warp: bool, seed: int
) -> ImageSettings:
    """Makes the settings of a DAN classifier, or of a warp one, all of whose innate parameters are trained in lives.

    They are the defaults that image experiments share; those of `class-incremental` differ.

    Args:
        data: Side of the images, and where they lie.
        maps: Feature maps of the innate convolutions.
        num_epochs: Generations of lives.
        warp: Whether dense WarpGrad layers stand in for the DANs.
        seed: The seed.
    """
    return ImageSettings(
        data=DataSettings(side=data.side, data_root=data.data_root),
        network=NetworkSettings(maps=maps, warp=warp),
        training=TrainingSettings(num_epochs=num_epochs),
        seed=seed,
    )


def train_dan(
    record: RunRecord, label: str, settings: ImageSettings, splits: Splits, console: Console
) -> tuple[System, TrainingState]:
    """Hyper-trains the classifier on lives of background classes and their rotations, in a record below the run's."""
    system = build_system(settings, with_rotated_classes(_pool(splits.meta_train)))
    title = "warp network" if settings.network.warp else "DAN network"
    state = _train(
        record,
        label,
        settings,
        system,
        splits,
        console,
        embed_by=lambda state: dan_embedding(system, state),
        title=title,
        order="exact, through whole lives",
    )
    return system, state


def prototypical_settings(
    data: CharacterSettings, maps: tuple[int, ...], training: EmbeddingSettings, *, num_classes: int, seed: int
) -> ImageSettings:
    """Makes the settings of a prototypical network: as many convolutions as a DAN classifier has.

    Args:
        data: Side of the images, and where they lie.
        maps: Feature maps of the convolutions.
        training: How they are trained.
        num_classes: Background classes that there are, rotated ones among them.
        seed: The seed.
    """
    return embedding_settings(
        ImageSettings(
            data=DataSettings(side=data.side, data_root=data.data_root, augmentation="elastic"),
            network=NetworkSettings(maps=maps),
            seed=seed,
        ),
        training,
        num_classes=num_classes,
    )


def train_prototypical(
    record: RunRecord, label: str, settings: ImageSettings, splits: Splits, console: Console
) -> Embed:
    """Trains convolutions to tell background classes and their rotations apart by class means, in a record of its own.

    Source: Snell et al., "Prototypical Networks for Few-shot Learning".
    """
    trunk = settings.network.trunk(settings.data, generator(settings.seed, "network"))
    network = TrunkNetwork(trunk, torch.nn.Identity())
    system = prototype_system(settings, with_rotated_classes(_pool(splits.meta_train)), network)
    features = embedding(network)

    def embed_by(state: TrainingState) -> Embed:
        return lambda images: features(state.hyper.innate, images.float() / 255)

    state = _train(
        record,
        label,
        settings,
        system,
        splits,
        console,
        embed_by=embed_by,
        title="prototypical network",
        order="no life",
    )
    return embed_by(state)


def _train(
    record: RunRecord,
    label: str,
    settings: ImageSettings,
    system: System,
    splits: Splits,
    console: Console,
    *,
    embed_by: Callable[[TrainingState], Embed],
    title: str,
    order: str,
) -> TrainingState:
    """Trains a system in a record below the run's, looked at now and then by a short meta-test."""
    num_classes = min(_LOOK_CLASSES, len(splits.meta_test))
    look = short_meta_test(splits.meta_test, num_classes=num_classes, seed=settings.seed)
    last = settings.training.num_epochs

    def go(own: RunRecord) -> TrainingState:
        def after_epoch(epoch: int, state: TrainingState) -> None:
            if epoch % max(1, last // _NUM_LOOKS) == 0 or epoch == last:
                own.append("validation", step=epoch, classes=num_classes, **look(embed_by(state)))

        with own.timed("training_seconds"):
            return train_with_record(
                own,
                system.phases,
                system.initial,
                system.generator,
                console,
                after_epoch=after_epoch,
                record_every=max(1, last // _NUM_LINES),
            )

    return train_below(record, label, settings, go, title=title, order=order)


def dan_embedding(system: System, state: TrainingState) -> Embed:
    """Makes the function from images (N, 1, S, S), uint8, to the features of the innate convolutions."""

    def embed(images: Tensor) -> Tensor:
        return system.learner.prepared(state.hyper.innate, images.float() / 255)

    return embed


def _pool(images: Tensor) -> ImagePool:
    num_classes, per_class = images.shape[:2]
    return ImagePool(
        images=images.flatten(0, 1),
        first=torch.arange(num_classes) * per_class,
        counts=torch.full((num_classes,), per_class),
        source=torch.zeros(num_classes, dtype=torch.int64),
        source_names=("omniglot/background",),
    )
