"""OML and ANML: from settings and characters to a network with its meta-training, and to the embedding that it makes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from hyperlearning.core.free_bytes import available_bytes
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, count, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import Fitting, first_fit_state
from hyperlearning.engine.hyper_training import hyper_phase, hyper_training, outer_schedule
from hyperlearning.engine.job import Job
from hyperlearning.evaluation.recognition import Accuracy, ClassFeatures
from hyperlearning.learners.closed_form.conjugate_bayes import NormalGamma
from hyperlearning.learners.optimizers import adam
from hyperlearning.learners.trajectory import (
    row_reset,
    trajectory_learner,
)
from hyperlearning.learners.trajectory_footprint import check_trajectory_footprint, trajectory_footprint
from hyperlearning.streams.augmentation import AUGMENTATIONS
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.trajectories import MetaTestRuns, draw_trajectories
from hyperlearning.systems.system import System
from hyperlearning.systems.trajectories.characters import Characters, meta_train_characters
from hyperlearning.systems.trajectories.settings import ContinualNetwork, ContinualTraining

S = TypeVar("S")
Embed = Callable[[Tensor], Tensor]
"""Maps images (N, 1, S, S), uint8, to features (N, F)."""

Read = Callable[[ClassFeatures, MetaTestRuns, torch.Generator], Accuracy]
"""Reads runs through the features of classes, and says how many images it then recognises."""

_NUM_LINES = 200


class Embedding(NamedTuple):
    """Fixed features that something learns on.

    Attributes:
        label: Its short name.
        title: What a figure calls it.
        order: The order of the gradient that it was trained with, in words.
        embed: The features.
        prior: Of every feature's mean and variance in a class, where it was learned with them.
        read: Reads runs itself, without a head that learns; of a sequence model alone.
    """

    label: str
    title: str
    order: str
    embed: Embed
    prior: NormalGamma | None = None
    read: Read | None = None


@dataclass(frozen=True, kw_only=True)
class EmbeddingTraining(Generic[S]):
    """A job that trains an embedding, in whatever way.

    Attributes:
        label: The embedding's short name.
        title: What a figure calls it.
        order: The order of its gradient in words.
        job: The job.
        embed: Reads the features from its state.
        prior: Reads the prior of conjugate Bayes from its state, where it is learned too.
        read: Likewise what reads runs itself, if it does.
    """

    label: str
    title: str
    order: str
    job: Job[S]
    embed: Callable[[S], Embed]
    prior: Callable[[S], NormalGamma] | None = None
    read: Callable[[S], Read] | None = None

    def embedding(self, state: S) -> Embedding:
        """What a state of the job amounts to."""
        prior = self.prior(state) if self.prior else None
        read = self.read(state) if self.read else None
        return Embedding(self.label, self.title, self.order, self.embed(state), prior, read)


def embedding_training(
    settings: ContinualTraining, images: Characters, *, label: str, title: str
) -> EmbeddingTraining[Any]:
    """Builds a network and its training on characters, along trajectories or, where it is supervised, without.

    Args:
        settings: What to build.
        images: The classes of meta-training, rotated ones included.
        label: The embedding's short name.
        title: What a figure calls it.
    """
    if settings.supervised:
        network = settings.network.build(settings.data, settings.seed)
        fitting = pretraining(settings, network, images)
        return EmbeddingTraining(
            label=label,
            title=title,
            order=settings.order,
            job=fitting,
            embed=lambda state: embedding_of(network, state.params),
        )
    system = build_continual(settings, images)
    return EmbeddingTraining(
        label=label,
        title=title,
        order=settings.order,
        job=system.job,
        embed=lambda state: embedding_of(system.network, state.hyper.start | state.hyper.innate),
    )


def build_continual(settings: ContinualTraining, images: Characters) -> System[ContinualNetwork]:
    """Builds a network and its meta-training on characters, along trajectories.

    Args:
        settings: What to build.
        images: The classes of meta-training, rotated ones included.
    """
    network = settings.network.build(settings.data, settings.seed)
    training = settings.training
    plastic, innate = partition(network, network.is_innate)
    learner = trajectory_learner(network, inner_lr=training.inner_lr, checkpoint=training.checkpoint)
    phase = hyper_phase(
        learner,
        adam(),
        draw=_drawing(settings, images),
        population=training.population,
        num_epochs=training.num_steps,
        num_updates=training.length,
        outer_lr=outer_schedule(training.schedule, training.outer_lr, warmup_share=0.0),
        update_every=training.length,
        through=0 if training.first_order else training.length,
        learn_start=True,
        births=row_reset(training.population),
    )
    source = generator(settings.seed, "trajectories")
    job = hyper_training((phase,), innate, plastic, source, record_every=_record_every(settings))
    return System(network, learner, job)


def pretraining(settings: ContinualTraining, network: ContinualNetwork, images: Characters) -> Fitting:
    """Makes the job that trains a whole network by Adam on what meta-losses are measured on: no life, no inner loop.

    Args:
        settings: How it is trained.
        network: What is trained; its own values are those before.
        images: The classes, rotated ones included.
    """
    training, optimizer = settings.training, adam()
    source = generator(settings.seed, "trajectories")
    params = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}

    def losses(params: Params, stream: HyperStream) -> Tensor:
        logits = torch.func.functional_call(network, params, (stream.hyper_inputs[0, 0].flatten(0, 1),))
        return cross_entropy(logits[None], stream.hyper_targets[0, 0].flatten(0, 1)[None])

    return Fitting(
        initial=first_fit_state(params, optimizer, source),
        loss_fn=losses,
        draw=_drawing(settings, images),
        optimizer=optimizer,
        lr=outer_schedule(training.schedule, training.outer_lr, warmup_share=0.0),
        num_epochs=training.num_steps,
        source=source,
        record_every=_record_every(settings),
        title="pretraining",
    )


def _record_every(settings: ContinualTraining) -> int:
    return max(1, settings.training.num_steps // _NUM_LINES)


def _drawing(settings: ContinualTraining, images: Characters) -> Callable[[torch.Generator], HyperStream]:
    training, augment = settings.training, AUGMENTATIONS[settings.data.augmentation]

    def draw(source: torch.Generator) -> HyperStream:
        stream = draw_trajectories(
            images,
            source,
            num_trajectories=training.population,
            classes_per_trajectory=training.classes_per_trajectory,
            images_per_class=training.images_per_class,
            other_images_per_class=training.other_images_per_class,
            remember_size=training.remember_size,
        )
        inputs, hyper_inputs = (_floats(some) for some in (stream.inputs, stream.hyper_inputs))
        if augment:
            inputs, hyper_inputs = (_changed(some, augment.apply, source) for some in (inputs, hyper_inputs))
        return stream._replace(inputs=inputs, hyper_inputs=hyper_inputs)

    return draw


def _floats(images: Tensor) -> Tensor:
    return images.float() / 255


def _changed(images: Tensor, augment: Callable[[Tensor, torch.Generator], Tensor], source: torch.Generator) -> Tensor:
    return augment(images.flatten(0, -4), source).unflatten(0, images.shape[:-3])


def embedding_of(network: ContinualNetwork, params: Params) -> Embed:
    """Makes the function from images to what the last layer takes, gates included.

    Args:
        network: The network.
        params: All of its parameters, plastic ones at birth.
    """
    part = _EmbeddingPart(network)

    def embed(images: Tensor) -> Tensor:
        return torch.func.functional_call(part, {f"network.{k}": v for k, v in params.items()}, (images,))

    return embed


class _EmbeddingPart(torch.nn.Module):
    def __init__(self, network: ContinualNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        network = self.network
        return network.predictor.features(network.prepare(dict(network.named_parameters()), _floats(images)))


def check_training(settings: ContinualTraining) -> None:
    """Raises what building and drawing would, before anything is trained.

    Raises:
        AbsentDataError: If Omniglot is not there.
        ValueError: If there are fewer classes or images than asked for, settings contradict one another, or a meta-step does
            not fit into memory.
    """
    images = meta_train_characters(settings.data, rotated=settings.data.rotated_classes)
    _drawing(settings, images)(generator(0, "check"))
    _check_memory(settings)


def _check_memory(settings: ContinualTraining) -> None:
    training, available = settings.training, available_bytes(torch.get_default_device())
    if available is not None:
        footprint = trajectory_footprint(
            settings.network.build(settings.data, settings.seed),
            (1, settings.data.side, settings.data.side),
            through=0 if training.first_order or settings.supervised else training.length,
            outer_batch_size=training.meta_batch,
            population=training.population,
            checkpoint=training.checkpoint,
        )
        check_trajectory_footprint(footprint, available=available)


def check_parameters(network: ContinualNetwork, params: Params, *, where: str) -> None:
    """Refuses parameters of another architecture.

    Args:
        network: What they should be of.
        params: All of its parameters.
        where: Where they come from, for the message.

    Raises:
        ValueError: If a name or a shape differs; the message tells which.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.named_parameters()}
    found = {name: tuple(tensor.shape) for name, tensor in params.items()}
    for name in [*wanted, *found]:
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"Expected parameters of the same architecture in {where}, but `{name}` is of shape "
                f"{found.get(name, 'none')} there and {wanted.get(name, 'none')} here."
            )


def num_parameters(network: ContinualNetwork) -> int:
    """Counts plastic and innate parameters."""
    return count(dict(network.named_parameters()))
