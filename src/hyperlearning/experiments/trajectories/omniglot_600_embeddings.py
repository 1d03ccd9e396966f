"""Embeddings of image systems for long meta-tests: of DAN and warp networks, of class means, and of conjugate Bayes."""

from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import FitState, Fitting
from hyperlearning.engine.hyper_training import HyperTraining, TrainingState
from hyperlearning.learners.closed_form.learned_prior import prior_of
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.image_pool import with_rotated_classes
from hyperlearning.systems.images.build import build_system
from hyperlearning.systems.images.embedding import (
    BAYES,
    PROTOTYPES,
    Classifier,
    embedding,
    embedding_settings,
    prototype_system,
)
from hyperlearning.systems.images.settings import (
    DataSettings,
    EmbeddingSettings,
    ImageSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.trajectories.build import Embed, EmbeddingTraining
from hyperlearning.systems.trajectories.characters import Characters, CharacterSettings, pool_of
from hyperlearning.systems.trajectories.sequence import SequenceSettings

J = TypeVar("J", Fitting, HyperTraining)

_NUM_LINES = 200


@dataclass(frozen=True, kw_only=True)
class SequenceTraining:
    """All that a trained sequence model follows from.

    Attributes:
        features: The training of the prototypical network whose features it reads.
        sequence: The model and its meta-training.
        seed: Of its first weights and streams.
    """

    features: ImageSettings
    sequence: SequenceSettings
    seed: int = 0


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


def dan_training(
    settings: ImageSettings, images: Characters, *, label: str, title: str
) -> EmbeddingTraining[TrainingState]:
    """Hyper-trains a classifier on lives of these classes and their rotations; its innate convolutions are the embedding.

    Args:
        settings: What to build.
        images: Background classes, upright.
        label: The embedding's short name.
        title: What a figure calls it.
    """
    system = build_system(settings, with_rotated_classes(pool_of(images)))

    def embed(state: TrainingState) -> Embed:
        return lambda images: system.learner.prepared(state.hyper.innate, _floats(images))

    job = _with_few_lines(system.job)
    return EmbeddingTraining(label=label, title=title, order="exact, through whole lives", job=job, embed=embed)


def prototypical_settings(
    data: CharacterSettings, maps: tuple[int, ...], training: EmbeddingSettings, *, num_classes: int, seed: int
) -> ImageSettings:
    """Makes the settings of a prototypical network, or of conjugate Bayes: as many convolutions as a DAN classifier has.

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


def prototypical_training(
    settings: ImageSettings, images: Characters, *, label: str, title: str
) -> EmbeddingTraining[FitState]:
    """Trains convolutions to tell these classes and their rotations apart by class means; no life, no inner loop.

    Args:
        settings: What to build.
        images: Background classes, upright.
        label: The embedding's short name.
        title: What a figure calls it.

    Source: Snell et al., "Prototypical Networks for Few-shot Learning".
    """
    return _solved_training(settings, images, PROTOTYPES, label=label, title=title)


def bayes_training(
    settings: ImageSettings, images: Characters, *, label: str, title: str
) -> EmbeddingTraining[FitState]:
    """Trains convolutions, and the prior of their features, to tell these classes and their rotations apart by conjugate Bayes.

    Args:
        settings: What to build.
        images: Background classes, upright.
        label: The embedding's short name.
        title: What a figure calls it.

    Source: Banayeeanzade et al., "Generative vs Discriminative: Rethinking the Meta-Continual Learning" (GeMCL).
    """
    training = _solved_training(settings, images, BAYES, label=label, title=title)
    return replace(training, prior=lambda state: prior_of(state.params))


def _solved_training(
    settings: ImageSettings, images: Characters, classifier: Classifier, *, label: str, title: str
) -> EmbeddingTraining[FitState]:
    trunk = settings.network.trunk(settings.data, generator(settings.seed, "network"))
    network = TrunkNetwork(trunk, torch.nn.Identity())
    features = embedding(network)

    def embed(state: FitState) -> Embed:
        return lambda images: features(state.params, _floats(images))

    job = _with_few_lines(
        prototype_system(settings, with_rotated_classes(pool_of(images)), network, classifier=classifier)
    )
    return EmbeddingTraining(label=label, title=title, order="no life", job=job, embed=embed)


def _with_few_lines(job: J) -> J:
    return replace(job, record_every=max(1, job.num_epochs // _NUM_LINES))


def _floats(images: Tensor) -> Tensor:
    return images.float() / 255
