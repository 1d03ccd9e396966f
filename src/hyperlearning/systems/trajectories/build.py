"""OML and ANML: from settings and characters to a network with its meta-training.

Shape suffixes: k steps of a trajectory, M trajectories side by side, B batch, F features.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, count, detach, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import Phase, TrainingState, begin, outer_schedule
from hyperlearning.learners.footprint import available_bytes
from hyperlearning.learners.hyper_step import HyperBatch, HyperLosses, HyperState, HyperStep, make_hyper_step
from hyperlearning.learners.optimizers import adam, sgd
from hyperlearning.learners.trajectory import (
    row_reset,
    trajectory_learner,
)
from hyperlearning.learners.trajectory_footprint import check_trajectory_footprint, trajectory_footprint
from hyperlearning.streams.augmentation import AUGMENTATIONS
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.trajectories import draw_trajectories
from hyperlearning.systems.trajectories.characters import Characters, meta_train_characters
from hyperlearning.systems.trajectories.settings import ContinualNetwork, ContinualTraining

Embed = Callable[[Tensor], Tensor]
"""Maps images (N, 1, S, S), uint8, to features (N, F)."""


class ContinualSystem(NamedTuple):
    """A network with its training, ready to begin.

    Attributes:
        network: The network.
        phases: What meta-training is made of.
        initial: The state before it.
        generator: Source of all training data.
    """

    network: ContinualNetwork
    phases: tuple[Phase, ...]
    initial: TrainingState
    generator: torch.Generator


def build_continual(settings: ContinualTraining, images: Characters) -> ContinualSystem:
    """Builds a network and its meta-training on characters.

    Args:
        settings: What to build.
        images: The classes of meta-training, rotated ones included.
    """
    network = settings.network.build(settings.data, settings.seed)
    training, outer = settings.training, adam()
    plastic, innate = partition(network, _never if settings.supervised else network.is_innate)
    learner = trajectory_learner(network, inner_lr=training.inner_lr, checkpoint=training.checkpoint)
    length = 1 if settings.supervised else training.length
    if settings.supervised:
        step = make_supervised_step(network)
    else:
        step = make_hyper_step(
            learner, outer, update_every=length, through=0 if training.first_order else length, learn_start=True
        )
    phase = Phase(
        step=step,
        inner=sgd(),
        outer=outer,
        learn_start=True,
        draw=_drawing(settings, images),
        births=None if settings.supervised else row_reset(training.population),
        population=training.population,
        update_every=length,
        num_epochs=training.num_steps,
        steps_per_epoch=1,
        outer_lr=outer_schedule(training.schedule, training.outer_lr, warmup_share=0.0),
    )
    source = generator(settings.seed, "trajectories")
    return ContinualSystem(network, (phase,), begin(innate, plastic, source), source)


def _never(_name: str) -> bool:
    return False


def make_supervised_step(network: ContinualNetwork) -> HyperStep:
    """Makes an outer step that trains the whole network on the hyper-batch by Adam: no life, no inner loop."""
    outer = adam()

    def step(state: HyperState, batch: HyperBatch, outer_lr: Tensor) -> tuple[HyperState, HyperLosses]:
        start = {name: tensor.detach().requires_grad_() for name, tensor in state.start.items()}
        logits = torch.func.functional_call(network, start, (batch.hyper_inputs[0].flatten(0, 1),))
        losses = cross_entropy(logits[None], batch.hyper_targets[0].flatten(0, 1)[None])
        grads = list(torch.autograd.grad(losses.mean(), list(start.values())))
        learned = {f"start.{name}": tensor for name, tensor in start.items()}
        with torch.no_grad():
            learned, moments = outer.update(detach(learned), grads, state.outer_moments, outer_lr)
        after = {name.removeprefix("start."): tensor for name, tensor in learned.items()}
        return state._replace(start=after, outer_moments=moments), HyperLosses(losses.detach(), losses.detach())

    return step


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
        if settings.supervised:
            stream = stream._replace(inputs=stream.inputs[:1], targets=stream.targets[:1])
        inputs, hyper_inputs = (_floats(some) for some in (stream.inputs, stream.hyper_inputs))
        if augment:
            inputs, hyper_inputs = (_changed(some, augment.apply, source) for some in (inputs, hyper_inputs))
        return stream._replace(inputs=inputs, hyper_inputs=hyper_inputs)

    return draw


def _floats(images: Tensor) -> Tensor:
    return images.float() / 255


def _changed(images: Tensor, augment: Any, source: torch.Generator) -> Tensor:
    return augment(images.flatten(0, -4), source).unflatten(0, images.shape[:-3])


def embedding_of(network: ContinualNetwork, start: Params, innate: Params) -> Embed:
    """Makes the function from images to what the last layer takes, gates included.

    Args:
        network: The network.
        start: Plastic parameters at birth.
        innate: Innate parameters.
    """
    part = _EmbeddingPart(network)

    def embed(images: Tensor) -> Tensor:
        return torch.func.functional_call(part, {f"network.{k}": v for k, v in (start | innate).items()}, (images,))

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
    _drawing(settings, images)(torch.Generator().manual_seed(0))
    network, training = settings.network.build(settings.data, settings.seed), settings.training
    available = available_bytes("cpu")
    if available is not None:
        footprint = trajectory_footprint(
            network,
            (1, settings.data.side, settings.data.side),
            through=0 if training.first_order or settings.supervised else training.length,
            outer_batch_size=training.meta_batch,
            population=training.population,
            checkpoint=training.checkpoint,
        )
        check_trajectory_footprint(footprint, available=available)


def check_parameters(network: ContinualNetwork, start: Params, innate: Params, *, where: str) -> None:
    """Refuses parameters of another architecture.

    Args:
        network: What they should be of.
        start: Plastic parameters at birth.
        innate: Innate parameters.
        where: Where they come from, for the message.

    Raises:
        ValueError: If a name or a shape differs; the message tells which.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.named_parameters()}
    found = {name: tuple(tensor.shape) for name, tensor in (start | innate).items()}
    for name in [*wanted, *found]:
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"Expected parameters of the same architecture in {where}, but `{name}` is of shape "
                f"{found.get(name, 'none')} there and {wanted.get(name, 'none')} here."
            )


def num_parameters(network: ContinualNetwork) -> int:
    """Counts plastic and innate parameters."""
    return count(dict(network.named_parameters()))
