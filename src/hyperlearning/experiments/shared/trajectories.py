"""OML and ANML, shared by their experiments: settings, and the system that they describe.

Shape suffixes: k steps of a trajectory, M trajectories side by side, B batch, F features.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, count, detach, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import Phase, Schedule, TrainingState, begin, outer_schedule
from hyperlearning.experiments.shared.characters import Characters, CharacterSettings, meta_train_characters
from hyperlearning.experiments.shared.images import AUGMENTATIONS
from hyperlearning.learners.hyper_step import HyperBatch, HyperLosses, HyperState, HyperStep, make_hyper_step
from hyperlearning.learners.memory import available_memory
from hyperlearning.learners.optimizers import adam, sgd
from hyperlearning.learners.trajectory import (
    check_trajectory_memory,
    row_reset,
    trajectory_learner,
    trajectory_memory,
)
from hyperlearning.networks.anml import ANMLNetwork, Gates
from hyperlearning.networks.oml import OMLNetwork
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.trajectories import draw_trajectories

PUBLISHED_OUTPUTS = 1000

ContinualNetwork = OMLNetwork | ANMLNetwork
Embed = Callable[[Tensor], Tensor]
"""Maps images (N, 1, S, S), uint8, to features (N, F)."""


@dataclass(frozen=True, kw_only=True)
class ContinualSettings:
    """The network."""

    architecture: Literal["oml", "anml"] = "anml"
    """OML: innate convolutions and a plastic linear layer. ANML: plastic convolutions and linear layer, gated by innate ones."""
    width: float = 0.25
    """Share of the published feature maps: 1, .5 or .25."""
    gates: Gates = "learned"
    """ANML's neuromodulator: learned, random (as drawn, never trained) or none. OML has none: leave it at learned there."""

    def __post_init__(self) -> None:
        """Refuses an option without effect."""
        if self.architecture not in ("oml", "anml"):
            raise ValueError(f"Expected `architecture` to be 'oml' or 'anml', but got {self.architecture!r}.")
        if self.architecture == "oml" and self.gates != "learned":
            raise ValueError(
                f"Expected `gates` to be left as they are for OML, which has none, but got {self.gates!r}."
            )

    def build(self, data: CharacterSettings, seed: int) -> ContinualNetwork:
        """Builds the network, its numbers drawn from the seed; it has an output for every class of meta-training."""
        source = generator(seed, "network")
        outputs = max(PUBLISHED_OUTPUTS, data.num_labels)
        if self.architecture == "oml":
            return OMLNetwork(outputs, side=data.side, width=self.width, generator=source)
        return ANMLNetwork(outputs, width=self.width, gates=self.gates, generator=source)


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings:
    """How it is meta-trained."""

    num_steps: int = 2000
    """Outer steps, one trajectory each (published: 20,000)."""
    classes_per_trajectory: int = 1
    """Classes that a trajectory goes through, one after another (ANML 1, OML 3)."""
    images_per_class: int = 20
    """Images of each, one update an image (ANML 20, OML 5)."""
    other_images_per_class: int = 0
    """Other images of each in the meta-loss in place of the trajectory's own (ANML 0, OML 5)."""
    remember_size: int = 64
    """Images of all classes in the meta-loss (ANML 64, OML 15)."""
    inner_lr: float = 0.1
    """Rate of plain SGD along the trajectory (ANML .1, OML .03)."""
    outer_lr: float = 0.001
    """Rate of the outer Adam (ANML .001, OML .0001)."""
    schedule: Schedule = "constant"
    """Course of the outer rate (published: constant)."""
    first_order: bool = False
    """Whether the outer gradient leaves second derivatives out, as ANML's authors shipped it; else it is exact."""
    population: int = 1
    """Trajectories of an outer step, whose gradients are averaged (published: 1)."""
    checkpoint: bool = False
    """Whether activations along the trajectory are computed twice instead of being kept: slower, with less memory."""

    def __post_init__(self) -> None:
        """Checks what can be checked without data."""
        if min(self.num_steps, self.population) < 1 or not min(self.inner_lr, self.outer_lr) > 0:
            raise ValueError(
                "Expected positive `num_steps`, `population`, `inner_lr` and `outer_lr`, but got "
                f"{self.num_steps}, {self.population}, {self.inner_lr} and {self.outer_lr}."
            )
        if self.first_order and self.checkpoint:
            raise ValueError(
                "Expected `checkpoint` to be left out with `first_order`, which keeps no graph, but got both."
            )

    @property
    def length(self) -> int:
        """Updates of a trajectory, k."""
        return self.classes_per_trajectory * self.images_per_class

    @property
    def meta_batch(self) -> int:
        """Images of the meta-loss."""
        own = self.other_images_per_class or self.images_per_class
        return self.classes_per_trajectory * own + self.remember_size

    @property
    def order(self) -> str:
        """The order of the outer gradient in words."""
        return "first order" if self.first_order else "second order, exact"


@dataclass(frozen=True, kw_only=True)
class ContinualTraining:
    """All of a meta-trained system."""

    data: CharacterSettings = field(default_factory=CharacterSettings)
    network: ContinualSettings = field(default_factory=ContinualSettings)
    training: TrajectorySettings = field(default_factory=TrajectorySettings)
    supervised: bool = False
    """Whether it is trained on shuffled batches by plain Adam instead, without trajectories: pretraining."""
    seed: int = 0

    @property
    def order(self) -> str:
        """The order of the outer gradient in words."""
        return "no trajectories" if self.supervised else self.training.order


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
    available = available_memory("cpu")
    if available is not None:
        memory = trajectory_memory(
            network,
            (1, settings.data.side, settings.data.side),
            through=0 if training.first_order or settings.supervised else training.length,
            outer_batch_size=training.meta_batch,
            population=training.population,
            checkpoint=training.checkpoint,
        )
        check_trajectory_memory(memory, available=available)


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
