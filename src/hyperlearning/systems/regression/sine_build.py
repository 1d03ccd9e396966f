"""OML's regression benchmark: the systems that are trained for it."""

from collections.abc import Callable

import torch

from hyperlearning.core.expect import Above
from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import HyperTraining, Phase, hyper_phase, hyper_training, outer_schedule
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import Optimizer, adam, clamped, sgd
from hyperlearning.learners.population import fused_unroll, population_forward
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.gated.oml_regressor import OMLRegressor
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.sine_tasks import draw_mixed_hyper_stream, draw_sine_hyper_stream, draw_sine_tasks
from hyperlearning.systems.regression.sine_settings import DANSettings, LifeSettings, OMLSettings, TrainingSettings
from hyperlearning.systems.system import System


def oml_system(oml: OMLSettings, training: TrainingSettings, life: LifeSettings, *, seed: int) -> System[OMLRegressor]:
    """Builds OML, which trains a representation and the initial prediction network.

    Raises:
        ValueError: If settings are out of range.
    """
    network = oml.build(life, seed)
    learner = oml_learner(network, oml.oml_inner_lr, clamp=training.clamp)
    outer = clamped(adam(), training.clamp)
    phase = _whole_lives(learner, outer, training, life, num_epochs=oml.oml_epochs, outer_lr=oml.oml_outer_lr)
    return System(network, learner, _job(network, phase, generator(seed, "oml lives")))


def dan_system(
    dan: DANSettings, training: TrainingSettings, life: LifeSettings, *, seed: int, compiles: bool = True
) -> System[DANNetwork]:
    """Builds the DAN network under the same engine, which trains the phenotype and synapses at birth.

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
    phase = _whole_lives(
        inner,
        adam(),
        training,
        life,
        num_epochs=dan.dan_epochs,
        outer_lr=dan.dan_outer_lr,
        max_grad_norm=training.max_grad_norm,
    )
    return System(network, learner, _job(network, phase, generator(seed, "dan lives")))


def pretraining_system(
    oml: OMLSettings, training: TrainingSettings, life: LifeSettings, *, seed: int
) -> System[OMLRegressor]:
    """Builds pretraining: one representation and many prediction networks, each on all waves of one life at once.

    The waves stay the same throughout. Every update is a first-order one of either part by Adam.

    Raises:
        ValueError: If settings are out of range.
    """
    network = oml.build(life, seed)
    learner = oml_learner(network, training.pretrain_lr, clamp=training.clamp)._replace(optimizer=adam())

    def draw(source: torch.Generator) -> HyperStream:
        functions = draw_sine_tasks(training.pretrain_population, life.num_tasks, source)
        return draw_mixed_hyper_stream(
            functions,
            source,
            num_updates=training.pretrain_updates,
            batch_size=training.hyper_points,
            capacity=life.capacity,
        )

    phase = hyper_phase(
        learner,
        adam(),
        draw=draw,
        population=training.pretrain_population,
        num_epochs=1,
        num_updates=training.pretrain_updates,
        outer_lr=outer_schedule("cosine", training.pretrain_lr, warmup_share=training.warmup_share),
    )
    return System(network, learner, _job(network, phase, generator(seed, "pretraining lives")))


def oml_learner(network: OMLRegressor, inner_lr: float, *, clamp: float) -> Learner:
    """Makes OML's inner loop: plain SGD of the prediction network, gradients bounded number by number.

    Raises:
        ValueError: If the rate or the bound is not positive.
    """
    if not Above(0).allows(inner_lr):
        raise ValueError(f"Expected `inner_lr` to be {Above(0)}, but got {inner_lr}.")
    return Learner(network.predict, mean_squared_error, clamped(sgd(), clamp), inner_lr, prepare=network.prepare)


def _whole_lives(
    learner: Learner,
    outer: Optimizer,
    training: TrainingSettings,
    life: LifeSettings,
    *,
    num_epochs: int,
    outer_lr: float,
    max_grad_norm: float | None = None,
) -> Phase:
    """One outer update a life, exact through all of it, of what is innate and of plastic numbers at birth."""
    return hyper_phase(
        learner,
        outer,
        draw=_drawing(training, life),
        population=training.population,
        num_epochs=num_epochs,
        num_updates=life.num_updates,
        outer_lr=outer_schedule("cosine", outer_lr, warmup_share=training.warmup_share),
        update_every=life.num_updates,
        through=life.num_updates,
        learn_start=True,
        max_grad_norm=max_grad_norm,
    )


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


def _job(network: OMLRegressor | DANNetwork, phase: Phase, source: torch.Generator) -> HyperTraining:
    plastic, innate = partition(network, network.is_innate)
    return hyper_training((phase,), innate, plastic, source)
