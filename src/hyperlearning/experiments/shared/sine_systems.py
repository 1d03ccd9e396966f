"""OML's regression benchmark: settings, the systems that are trained for it, and held-out lives.

Shape suffixes: F lives (functions), T tasks, P points of the evaluation grid.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import Phase, TrainingState, begin, outer_schedule
from hyperlearning.experiments.shared.regression import HeldOut
from hyperlearning.learners.hyper_step import make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, clamped, sgd
from hyperlearning.learners.population import fused_unroll, population_forward
from hyperlearning.networks.dan import DANNetwork
from hyperlearning.networks.oml_regression import OMLRegressor
from hyperlearning.networks.phenotypes import MLPPhenotype
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.sine_tasks import (
    draw_mixed_hyper_stream,
    draw_sine_hyper_stream,
    draw_sine_stream,
    draw_sine_tasks,
    sine_grid,
)

_POINTS_PER_TASK = 50
_DAN_SCALE = 6.0
"""Factor on the DAN network's output, which lies in (-1, 1): a little above the largest amplitude, 5.1."""


@dataclass(frozen=True, kw_only=True)
class LifeSettings:
    """What a life consists of, in training as in deployment."""

    num_tasks: int = 10
    """Sine waves met one after another."""
    capacity: int = 10
    """Places of the one-hot code, at least as many as tasks."""
    updates_per_task: int = 5
    """Inner updates on each wave (authors' code: 40, later 5)."""
    batch_size: int = 16
    """Points per inner update (authors' code: 32)."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.num_tasks < 2 or self.updates_per_task < 1 or self.batch_size < 1:
            raise ValueError(
                "Expected at least 2 of `num_tasks` and positive `updates_per_task` and `batch_size`, but got "
                f"{self.num_tasks}, {self.updates_per_task} and {self.batch_size}."
            )
        if self.capacity < self.num_tasks:
            raise ValueError(
                f"Expected `capacity` to be at least `num_tasks` ({self.num_tasks}), but got {self.capacity}."
            )

    @property
    def num_inputs(self) -> int:
        """Size of an input: the code and x."""
        return self.capacity + 1

    @property
    def num_updates(self) -> int:
        """Inner updates in a life."""
        return self.num_tasks * self.updates_per_task


@dataclass(frozen=True, kw_only=True)
class OMLSettings:
    """OML's network, which is also that of the baselines, and its training."""

    width: int = 100
    """Units of every hidden layer (authors' code: 300 or 400)."""
    num_representation_layers: int = 4
    """Innate layers (authors' code: 6)."""
    num_prediction_layers: int = 2
    """Plastic layers."""
    oml_inner_lr: float = 0.01
    """Rate of the inner SGD (authors' code: .003)."""
    oml_outer_lr: float = 0.001
    """Highest rate of the outer Adam (authors' code: .0001)."""
    oml_epochs: int = 1500
    """Outer updates, each after a generation of lives."""

    def build(self, life: LifeSettings, seed: int) -> OMLRegressor:
        """Builds the network, its numbers drawn from the seed."""
        return OMLRegressor(
            life.num_inputs,
            width=self.width,
            num_representation_layers=self.num_representation_layers,
            num_prediction_layers=self.num_prediction_layers,
            generator=generator(seed, "oml network"),
        )


@dataclass(frozen=True, kw_only=True)
class DANSettings:
    """The network of Deep Artificial Neurons and its training; innate is the phenotype, plastic are the synapses."""

    hidden_sizes: tuple[int, ...] = (24, 24)
    """Neurons in each hidden layer."""
    num_channels: int = 16
    """Size of a vector synapse."""
    phenotype_sizes: tuple[int, ...] = (15, 8)
    """Hidden units of the phenotype."""
    dan_inner_lr: float = 0.003
    """Rate of the inner SGD."""
    dan_outer_lr: float = 0.005
    """Highest rate of the outer Adam."""
    dan_epochs: int = 1500
    """Outer updates, each after a generation of lives."""

    def build(self, life: LifeSettings, seed: int) -> DANNetwork:
        """Builds the network, its numbers drawn from the seed."""
        sizes = (life.num_inputs, *self.hidden_sizes, 1)
        return DANNetwork(
            sizes,
            num_channels=self.num_channels,
            phenotype=functools.partial(MLPPhenotype, hidden_sizes=self.phenotype_sizes),
            skips=[(a, a + 2) for a in range(len(sizes) - 2)],
            output_scale=_DAN_SCALE,
            initializer="lecun_uniform",
            generator=generator(seed, "dan network"),
        )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What the training of both systems has in common, and the pretraining that transfer begins with."""

    population: int = 4
    """Lives side by side, whose outer gradients are averaged (authors' code: 1)."""
    hyper_points: int = 32
    """Points of the outer loss on each wave (authors' code: 32)."""
    clamp: float = 10.0
    """Largest magnitude of any number of OML's gradients, inner and outer (authors' code: 10)."""
    max_grad_norm: float = 1.0
    """Bound on the norm of the DAN network's outer gradient."""
    warmup_share: float = 0.05
    """Share of all outer updates in which the outer rate rises from 0; after it falls on a cosine."""
    pretrain_population: int = 32
    """Lives whose waves a representation is pretrained on, with a prediction network for each."""
    pretrain_updates: int = 1000
    """Updates of pretraining."""
    pretrain_lr: float = 0.001
    """Rate of its Adam."""

    def __post_init__(self) -> None:
        """Checks what can be checked without building anything."""
        if min(self.population, self.hyper_points, self.pretrain_population, self.pretrain_updates) < 1:
            raise ValueError(
                "Expected positive `population`, `hyper_points`, `pretrain_population` and `pretrain_updates`, but got "
                f"{self.population}, {self.hyper_points}, {self.pretrain_population} and {self.pretrain_updates}."
            )
        if not (self.clamp > 0 and self.max_grad_norm > 0 and 0 < self.pretrain_lr < math.inf):
            raise ValueError(
                "Expected positive `clamp`, `max_grad_norm` and `pretrain_lr`, but got "
                f"{self.clamp}, {self.max_grad_norm} and {self.pretrain_lr}."
            )


class SineSystem(NamedTuple):
    """A network with its training, ready to begin.

    Attributes:
        learner: The inner loop, in training as in deployment.
        phase: What its training is made of.
        initial: The state before.
        generator: Source of all training data.
    """

    learner: Learner
    phase: Phase
    initial: TrainingState
    generator: torch.Generator


def oml_system(oml: OMLSettings, training: TrainingSettings, life: LifeSettings, *, seed: int) -> SineSystem:
    """Builds OML: an outer update a life, exact through all of it, of the representation and the initial prediction network.

    Raises:
        ValueError: If settings are out of range.
    """
    network = oml.build(life, seed)
    learner = oml_learner(network, oml.oml_inner_lr, clamp=training.clamp)
    step = make_hyper_step(
        learner,
        outer := clamped(adam(), training.clamp),
        update_every=life.num_updates,
        through=life.num_updates,
        learn_start=True,
    )
    phase = Phase(
        step=step,
        inner=learner.optimizer,
        outer=outer,
        learn_start=True,
        draw=_drawing(training, life),
        births=None,
        population=training.population,
        update_every=life.num_updates,
        num_epochs=oml.oml_epochs,
        steps_per_epoch=1,
        outer_lr=outer_schedule("cosine", oml.oml_outer_lr, warmup_share=training.warmup_share),
    )
    return _system(network, learner, phase, seed=seed, purpose="oml lives")


def dan_system(
    dan: DANSettings, training: TrainingSettings, life: LifeSettings, *, seed: int, compiles: bool = True
) -> SineSystem:
    """Builds the DAN network under the same engine: exact through a whole life, synapses at birth learned too.

    Args:
        dan: The network.
        training: Its training.
        life: Its lives.
        seed: Of all that is random.
        compiles: Whether kernels may be compiled; not for a mere check of settings.

    Raises:
        ValueError: If settings are out of range.
    """
    network = dan.build(life, seed)
    plastic, _ = partition(network, network.is_innate)
    forward = population_forward(network, plastic, backend="auto" if compiles else "eager")
    learner = Learner(forward, mean_squared_error, sgd(), dan.dan_inner_lr, fused_unroll(forward))
    inner = learner
    if learner.unroll is None:
        inner = learner._replace(forward=population_forward(network, plastic, second_order=True))
    step = make_hyper_step(
        inner,
        outer := adam(),
        update_every=life.num_updates,
        through=life.num_updates,
        learn_start=True,
        max_grad_norm=training.max_grad_norm,
    )
    phase = Phase(
        step=step,
        inner=learner.optimizer,
        outer=outer,
        learn_start=True,
        draw=_drawing(training, life),
        births=None,
        population=training.population,
        update_every=life.num_updates,
        num_epochs=dan.dan_epochs,
        steps_per_epoch=1,
        outer_lr=outer_schedule("cosine", dan.dan_outer_lr, warmup_share=training.warmup_share),
    )
    return _system(network, learner, phase, seed=seed, purpose="dan lives")


def pretraining_system(oml: OMLSettings, training: TrainingSettings, life: LifeSettings, *, seed: int) -> SineSystem:
    """Builds pretraining: one representation and many prediction networks, each on all waves of one life at once.

    The waves stay the same throughout. Every update is a first-order one of either part by Adam.

    Raises:
        ValueError: If settings are out of range.
    """
    network = oml.build(life, seed)
    learner = oml_learner(network, training.pretrain_lr, clamp=training.clamp)._replace(optimizer=adam())
    outer = adam()

    def draw(source: torch.Generator) -> HyperStream:
        functions = draw_sine_tasks(training.pretrain_population, life.num_tasks, source)
        return draw_mixed_hyper_stream(
            functions,
            source,
            num_updates=training.pretrain_updates,
            batch_size=training.hyper_points,
            capacity=life.capacity,
        )

    phase = Phase(
        step=make_hyper_step(learner, outer),
        inner=learner.optimizer,
        outer=outer,
        learn_start=False,
        draw=draw,
        births=None,
        population=training.pretrain_population,
        update_every=1,
        num_epochs=1,
        steps_per_epoch=training.pretrain_updates,
        outer_lr=outer_schedule("cosine", training.pretrain_lr, warmup_share=training.warmup_share),
    )
    return _system(network, learner, phase, seed=seed, purpose="pretraining lives")


def oml_learner(network: OMLRegressor, inner_lr: float, *, clamp: float) -> Learner:
    """Makes OML's inner loop: plain SGD of the prediction network, gradients bounded number by number.

    Raises:
        ValueError: If the rate or the bound is not positive.
    """
    if not 0 < inner_lr < math.inf:
        raise ValueError(f"Expected a positive `inner_lr`, but got {inner_lr}.")
    return Learner(network.predict, mean_squared_error, clamped(sgd(), clamp), inner_lr, prepare=network.prepare)


def hold_out_lives(life: LifeSettings, num_lives: int, *, seed: int, purpose: str = "held-out") -> HeldOut:
    """Draws lives never trained on; they depend on the seed and the purpose alone, so all methods meet the same ones."""
    source = generator(seed, f"{purpose} sine lives")
    functions = draw_sine_tasks(num_lives, life.num_tasks, source)
    stream = draw_sine_stream(
        functions,
        source,
        updates_per_task=life.updates_per_task,
        batch_size=life.batch_size,
        capacity=life.capacity,
    )
    return HeldOut(stream, *sine_grid(functions, points_per_task=_POINTS_PER_TASK, capacity=life.capacity))


def _drawing(training: TrainingSettings, life: LifeSettings) -> Callable[[torch.Generator], HyperStream]:
    def draw(source: torch.Generator) -> HyperStream:
        return draw_sine_hyper_stream(
            draw_sine_tasks(training.population, life.num_tasks, source),
            source,
            updates_per_task=life.updates_per_task,
            batch_size=life.batch_size,
            points_per_task=training.hyper_points,
            capacity=life.capacity,
        )

    return draw


def _system(network: nn.Module, learner: Learner, phase: Phase, *, seed: int, purpose: str) -> SineSystem:
    parts: tuple[Params, Params] = partition(network, network.is_innate)  # pyright: ignore[reportArgumentType]
    source = generator(seed, purpose)
    return SineSystem(learner, phase, begin(parts[1], parts[0], source), source)
