"""Incremental regression: from settings to a network with its hyper-training, ready to begin."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import (
    Phase,
    TrainingState,
    begin,
    outer_schedule,
)
from hyperlearning.learners.hyper_step import HyperStep, make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import Optimizer, adam, optimizer
from hyperlearning.learners.population import compile_step, describe, fused_unroll, population_forward
from hyperlearning.networks.dan.fused import why_not_fused
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.incremental_functions import (
    draw_hyper_stream,
)
from hyperlearning.systems.regression.lives import noise_of
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings


class System(NamedTuple):
    """A network with its training, ready to begin.

    Attributes:
        network: The network; its own values are the ones at birth before training.
        phases: What hyper-training is made of.
        learner: The inner loop, in training as in deployment.
        initial: The state before the first phase.
        generator: Source of all training data.
        backend: How steps are computed.
    """

    network: DANNetwork
    phases: tuple[Phase, ...]
    learner: Learner
    initial: TrainingState
    generator: torch.Generator
    backend: str


def build_system(network: NetworkSettings, training: TrainingSettings, stream: StreamSettings, *, seed: int) -> System:
    """Builds what the settings describe.

    Raises:
        ValueError: If settings contradict one another.
    """
    module = network.build(seed)
    plastic, innate = partition(module, module.is_innate)
    source = generator(seed, "lives")
    phases = [_build_phase(module, plastic, network, training, stream)]
    if training.num_polish_epochs:
        phases.append(_build_phase(module, plastic, network, training.polishing(stream.num_updates), stream))
    learner = build_learner(module, plastic, training)
    name = describe(learner.forward, phases[0].step)
    return System(module, tuple(phases), learner, begin(innate, plastic, source), source, name)


def build_learner(module: nn.Module, plastic: Params, training: TrainingSettings) -> Learner:
    """Builds the inner loop of a network: the fused kernel where it fits, for updates in a row too."""
    forward = population_forward(module, plastic, backend=training.backend)
    inner = optimizer(training.inner_optimizer)
    unroll = fused_unroll(forward) if training.inner_optimizer == "sgd" else None
    return Learner(forward, mean_squared_error, inner, training.inner_lr, unroll)


def check_system(network: NetworkSettings, training: TrainingSettings, stream: StreamSettings) -> None:
    """Raises what `build_system` would, without compiling anything.

    Raises:
        ValueError: If settings contradict one another.
    """
    module = network.build(0)
    plastic, _ = partition(module, module.is_innate)
    phases = [training, *([training.polishing(stream.num_updates)] if training.num_polish_epochs else [])]
    for phase in phases:
        if phase.backend == "kernel":
            reason = why_not_fused(module, plastic)
            if reason:
                raise ValueError(f"Expected settings that fit the fused kernel, but {reason}.")
        _make_step(Learner(population_forward(module, plastic), mean_squared_error, adam(), 1.0), adam(), phase)
        _drawing(phase, stream)(torch.Generator().manual_seed(0))


def _make_step(learner: Learner, outer: Optimizer, training: TrainingSettings) -> HyperStep:
    return make_hyper_step(
        learner,
        outer,
        update_every=training.update_every,
        through=training.through,
        num_outer_updates=training.num_outer_updates,
        learn_start=training.reset == "learned",
        inner_innate_lr=training.inner_innate_lr,
        max_grad_norm=training.max_grad_norm,
    )


def _build_phase(
    module: DANNetwork, plastic: Params, network: NetworkSettings, training: TrainingSettings, stream: StreamSettings
) -> Phase:
    learner = build_learner(module, plastic, training)
    if training.through and learner.unroll is None:
        second_order = population_forward(module, plastic, backend=training.backend, second_order=True)
        learner = learner._replace(forward=second_order)
    outer = adam()
    step = _make_step(learner, outer, training)
    num_calls = training.num_epochs * stream.num_updates // training.update_every
    return Phase(
        step=compile_step(step, learner.forward, backend=training.backend, num_calls=num_calls),
        inner=learner.optimizer,
        outer=outer,
        learn_start=training.reset == "learned",
        draw=_drawing(training, stream),
        births=_redrawing(network, training.population) if training.reset == "redraw" else None,
        population=training.population,
        update_every=training.update_every,
        num_epochs=training.num_epochs,
        steps_per_epoch=stream.num_updates // training.update_every,
        outer_lr=outer_schedule(training.schedule, training.outer_lr, warmup_share=training.warmup_share),
    )


def _drawing(training: TrainingSettings, stream: StreamSettings) -> Callable[[torch.Generator], HyperStream]:
    distribution = stream.distribution(deployment=False)

    def draw(source: torch.Generator) -> HyperStream:
        functions = distribution.sample(training.population, source)
        return draw_hyper_stream(
            functions,
            stream.windows,
            source,
            num_members=training.population,
            updates_per_task=stream.updates_per_task,
            batch_size=stream.batch_size,
            hyper_batch_size=training.hyper_batch_size,
            scope=training.hyper_scope,
            update_every=training.update_every,
            num_outer_updates=training.num_outer_updates,
            noise_sd=noise_of(functions, distribution),
        )

    return draw


def _redrawing(network: NetworkSettings, population: int) -> Callable[[Params, HyperStream, torch.Generator], Params]:
    def redraw(start: Params, stream: HyperStream, source: torch.Generator) -> Params:
        seeds = torch.randint(2**31, (population,), generator=source).tolist()
        births = [partition(module := network.build(seed), module.is_innate)[0] for seed in seeds]
        return {name: torch.stack([birth[name] for birth in births]) for name in births[0]}

    return redraw
