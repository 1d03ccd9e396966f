"""OML's regression benchmark: the systems that are trained for it."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import Phase, TrainingState, begin, outer_schedule
from hyperlearning.learners.hyper_step import make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, clamped, sgd
from hyperlearning.learners.population import fused_unroll, population_forward
from hyperlearning.networks.gated.oml_regressor import OMLRegressor
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.sine_tasks import (
    draw_mixed_hyper_stream,
    draw_sine_hyper_stream,
    draw_sine_tasks,
)
from hyperlearning.systems.regression.sine_settings import DANSettings, LifeSettings, OMLSettings, TrainingSettings


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
