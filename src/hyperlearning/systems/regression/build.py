"""Incremental regression: from settings to a network with its hyper-training, ready to begin."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import noise_of
from hyperlearning.engine.hyper_training import Phase, hyper_phase, hyper_training, outer_schedule
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, optimizer
from hyperlearning.learners.population import fused_unroll, population_forward
from hyperlearning.networks.dan.fused import why_not_fused
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.incremental_functions import draw_hyper_stream
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings
from hyperlearning.systems.system import System


def build_system(
    network: NetworkSettings, training: TrainingSettings, stream: StreamSettings, *, seed: int
) -> System[DANNetwork]:
    """Builds what the settings describe.

    Raises:
        ValueError: If settings contradict one another.
    """
    module = network.build(seed)
    plastic, innate = partition(module, module.is_innate)
    phases = tuple(_phase(module, plastic, network, each, stream) for each in training.phases(stream.num_updates))
    job = hyper_training(phases, innate, plastic, generator(seed, "lives"))
    return System(module, build_learner(module, plastic, training), job)


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
    for each in training.phases(stream.num_updates):
        if each.backend == "kernel" and (reason := why_not_fused(module, plastic)):
            raise ValueError(f"Expected settings that fit the fused kernel, but {reason}.")
        _phase(module, plastic, network, replace(each, backend="eager"), stream).draw(generator(0, "check"))


def _phase(
    module: DANNetwork, plastic: Params, network: NetworkSettings, training: TrainingSettings, stream: StreamSettings
) -> Phase:
    learner = build_learner(module, plastic, training)
    if training.through and learner.unroll is None:
        second_order = population_forward(module, plastic, backend=training.backend, second_order=True)
        learner = learner._replace(forward=second_order)
    return hyper_phase(
        learner,
        adam(),
        draw=_drawing(training, stream),
        population=training.population,
        num_epochs=training.num_epochs,
        num_updates=stream.num_updates,
        outer_lr=outer_schedule(training.schedule, training.outer_lr, warmup_share=training.warmup_share),
        update_every=training.update_every,
        through=training.through,
        num_outer_updates=training.num_outer_updates,
        learn_start=training.reset == "learned",
        inner_innate_lr=training.inner_innate_lr,
        max_grad_norm=training.max_grad_norm,
        births=_redrawing(network, training.population) if training.reset == "redraw" else None,
        backend=training.backend,
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
        seeds = torch.randint(2**31, (population,), generator=source, device=source.device).tolist()
        births = [partition(module := network.build(seed), module.is_innate)[0] for seed in seeds]
        return {name: torch.stack([birth[name] for birth in births]) for name in births[0]}

    return redraw
