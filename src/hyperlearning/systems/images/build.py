"""Hyper-Learning on images: from settings and classes to a network with its hyper-training, and what is checked before.

Shape suffixes: L lives, T tasks, C channels, S side.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from hyperlearning.core.losses import LossFn, cross_entropy, tempered_cross_entropy
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import Phase, TrainingState, begin, outer_schedule
from hyperlearning.learners.footprint import check_footprint, population_footprint
from hyperlearning.learners.hyper_step import make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, optimizer
from hyperlearning.learners.population import Prepare, split_forward
from hyperlearning.networks.parameter_counts import without_allocating
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.augmentation import AUGMENTATIONS
from hyperlearning.streams.class_incremental import (
    augmented,
    draw_class_hyper_stream,
)
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.image_pool import ImagePool
from hyperlearning.systems.images.pools import Pools, load_pools
from hyperlearning.systems.images.settings import ImageSettings, LifeSettings


class Losses(NamedTuple):
    """What the inner and the outer gradients are of.

    Attributes:
        task: The task loss.
        hyper: The hyper-loss.
    """

    task: LossFn
    hyper: LossFn


class System(NamedTuple):
    """A network with its training, ready to begin.

    Attributes:
        network: The network; its own values are those at birth before training.
        phases: What hyper-training is made of.
        learner: The inner loop in deployment.
        initial: The state before the first phase.
        generator: Source of all training data.
    """

    network: TrunkNetwork
    phases: tuple[Phase, ...]
    learner: Learner
    initial: TrainingState
    generator: torch.Generator


def build_system(settings: ImageSettings, pool: ImagePool, *, trunk: Params | None = None) -> System:
    """Builds a classifier and its hyper-training on a pool of classes.

    Args:
        settings: How to build, to train and to live.
        pool: Where classes come from.
        trunk: Convolutions, by their names in the network, that stay as they are: hyper-training then has neither them among
            what is innate nor a gradient through them. They are trained as all else if absent.

    Raises:
        ValueError: If settings contradict one another or the pool has too little.
    """
    network = settings.network.build(settings.data, settings.seed)
    losses = Losses(tempered_cross_entropy(settings.training.temperature), cross_entropy)
    return assemble(settings, network, losses, drawing(settings, pool), trunk=trunk)


def assemble(
    settings: ImageSettings,
    network: TrunkNetwork,
    losses: Losses,
    draw: Callable[[torch.Generator], HyperStream],
    *,
    trunk: Params | None = None,
) -> System:
    """Puts a network, losses and lives together.

    Args:
        settings: How to train and to live.
        network: Any network with an innate trunk.
        losses: Its losses.
        draw: Draws an epoch's lives, such as `drawing` makes.
        trunk: Convolutions that stay as they are, if any, as for `build_system`.
    """
    training, life = settings.training, settings.life
    plastic, innate = partition(network, network.is_innate)
    innate = {name: value for name, value in innate.items() if name not in (trunk or {})}
    learner = build_learner(settings, network, losses, trunk=trunk)
    whole, outer = training.through == "life", adam()
    num_updates = training.train_tasks * life.steps_per_task
    update_every = num_updates if whole else 1
    step = make_hyper_step(
        build_learner(settings, network, losses, second_order=whole, trunk=trunk),
        outer,
        update_every=update_every,
        through=update_every if whole else 0,
        learn_start=whole,
        max_grad_norm=training.max_grad_norm,
        steps_per_batch=life.steps_per_task,
    )
    phase = Phase(
        step=step,
        inner=learner.optimizer,
        outer=outer,
        learn_start=whole,
        draw=draw,
        births=None,
        population=training.population,
        update_every=update_every,
        num_epochs=training.num_epochs,
        steps_per_epoch=num_updates // update_every,
        outer_lr=outer_schedule(training.schedule, training.outer_lr, warmup_share=training.warmup_share),
        steps_per_batch=life.steps_per_task,
    )
    source = generator(settings.seed, "lives")
    return System(network, (phase,), learner, begin(innate, plastic, source), source)


def build_learner(
    settings: ImageSettings,
    network: TrunkNetwork,
    losses: Losses,
    *,
    second_order: bool = False,
    trunk: Params | None = None,
) -> Learner:
    """Makes the inner loop of a network with an innate trunk, or with this one."""
    plastic, _ = partition(network, network.is_innate)
    training = settings.training
    prepare, forward = split_forward(
        network, plastic, input_ndim=3, backend=training.backend, second_order=second_order
    )
    if trunk is not None:
        prepare = _prepared_by(trunk, prepare)
    inner = optimizer(training.inner_optimizer)
    return Learner(forward, losses.task, inner, training.inner_lr, prepare=prepare, hyper_loss_fn=losses.hyper)


def _prepared_by(trunk: Params, prepare: Prepare) -> Prepare:
    def prepare_without_gradient(_: Params, inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return prepare(trunk, inputs)

    return prepare_without_gradient


def drawing(
    settings: ImageSettings,
    pool: ImagePool,
    *,
    transform: Callable[[HyperStream], HyperStream] = lambda stream: stream,
) -> Callable[[torch.Generator], HyperStream]:
    """Makes the function that draws an epoch's hyper-streams.

    Args:
        settings: What a life is.
        pool: Where classes come from.
        transform: Changes a stream after augmentation, such as `as_reconstruction`.
    """
    training, life = settings.training, settings.life
    augment = AUGMENTATIONS[settings.data.augmentation]
    outer_steps = 1 if training.through == "life" else training.train_tasks * life.steps_per_task

    def draw(source: torch.Generator) -> HyperStream:
        stream = draw_class_hyper_stream(
            pool,
            source,
            population=training.population,
            num_tasks=training.train_tasks,
            num_classes=training.train_classes,
            num_instances=life.num_instances,
            num_held_out=training.train_held_out,
            outer_steps=outer_steps,
            hyper_batch_size=training.hyper_batch_size,
            hyper_mix=training.hyper_mix,
            scope=training.scope,
            num_labels=settings.network.num_outputs,
        )
        return transform(augmented(stream, augment.apply, source) if augment else stream)

    return draw


def check_settings(settings: ImageSettings, *, build: Callable[[], TrunkNetwork] | None = None) -> None:
    """Raises what building and drawing would, before anything is trained.

    Args:
        settings: What is to be trained.
        build: As for `check_size`.

    Raises:
        AbsentDataError: If a data set is not there.
        ValueError: As `check_size` and `check_pools`.
    """
    check_size(settings, build=build)
    check_pools(settings, load_pools(settings.data))


def check_size(settings: ImageSettings, *, build: Callable[[], TrunkNetwork] | None = None) -> None:
    """Raises if settings contradict one another, or the population does not fit into memory; needs no data.

    Args:
        settings: What is to be trained.
        build: Builds the network, where it is not the settings' classifier.

    Raises:
        ValueError: If so.
    """
    life, training = settings.life, settings.training
    if settings.network.num_outputs < max(training.train_classes, life.num_tasks):
        raise ValueError(
            "Expected `num_outputs` to be at least `train_classes` and `num_tasks` of a life "
            f"({training.train_classes} and {life.num_tasks}), but got {settings.network.num_outputs}."
        )
    network = without_allocating(build or (lambda: settings.network.build(settings.data, settings.seed)))
    check_footprint(
        population_footprint(
            network,
            network.is_innate,
            population=training.population,
            batch=life.num_instances,
            hyper_batch=training.hyper_batch_size,
            input_shape=(1, settings.data.side, settings.data.side),
            inner_optimizer=training.inner_optimizer,
        ),
        device="cpu",
    )


def check_pools(settings: ImageSettings, pools: Pools) -> None:
    """Raises if the data have fewer classes or images than asked for.

    Raises:
        ValueError: If so.
    """
    drawing(settings, pools.meta_train)(torch.Generator().manual_seed(0))
    check_lives(settings.life, pools)


def check_lives(life: LifeSettings, pools: Pools) -> None:
    """Raises if the data have fewer classes or images than deployed lives need.

    Raises:
        ValueError: If so.
    """
    for name, pool in pools._asdict().items():
        needed, fewest = life.num_instances + life.num_held_out, int(pool.counts.min())
        if pool.num_classes < life.num_tasks or fewest < needed:
            raise ValueError(
                f"Expected {life.num_tasks} classes of {needed} images or more for lives of {name}, "
                f"but got {pool.num_classes} classes, one of which has {fewest}."
            )
