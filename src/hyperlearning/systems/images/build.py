"""Hyper-Learning on images: from settings and classes to a network with its hyper-training, and what is checked before.

Shape suffixes: L lives, T tasks, C channels, S side.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from hyperlearning.core.losses import LossFn, cross_entropy, tempered_cross_entropy
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import hyper_phase, hyper_training
from hyperlearning.learners.footprint import check_footprint, population_footprint
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, optimizer
from hyperlearning.learners.population import Prepare, split_forward
from hyperlearning.networks.parameter_counts import without_allocating
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.augmentation import AUGMENTATIONS
from hyperlearning.streams.class_incremental import augmented, draw_class_hyper_stream
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.image_pool import ImagePool
from hyperlearning.systems.images.pools import Pools, load_pools
from hyperlearning.systems.images.settings import ImageSettings, LifeSettings, TrainingSettings
from hyperlearning.systems.system import System


class Losses(NamedTuple):
    """The task loss and the hyper-loss, which the inner and the outer gradients are of."""

    task: LossFn
    hyper: LossFn


def build_system(settings: ImageSettings, pool: ImagePool, *, trunk: Params | None = None) -> System[TrunkNetwork]:
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
    return assemble(settings, network, classifier_losses(settings.training), drawing(settings, pool), trunk=trunk)


def classifier_losses(training: TrainingSettings) -> Losses:
    """The losses of a classifier: its task loss has a temperature."""
    return Losses(tempered_cross_entropy(training.temperature), cross_entropy)


def assemble(
    settings: ImageSettings,
    network: TrunkNetwork,
    losses: Losses,
    draw: Callable[[torch.Generator], HyperStream],
    *,
    trunk: Params | None = None,
) -> System[TrunkNetwork]:
    """Puts a network with an innate trunk, losses and lives together; `trunk` stays as it is, as for `build_system`."""
    training, life = settings.training, settings.life
    plastic, innate = partition(network, network.is_innate)
    innate = {name: value for name, value in innate.items() if name not in (trunk or {})}
    whole, num_updates = training.through == "life", training.train_tasks * life.steps_per_task
    update_every = num_updates if whole else 1
    phase = hyper_phase(
        build_learner(settings, network, losses, second_order=whole, trunk=trunk),
        adam(),
        draw=draw,
        population=training.population,
        num_epochs=training.num_epochs,
        num_updates=num_updates,
        outer_lr=training.outer_rate,
        update_every=update_every,
        through=update_every if whole else 0,
        learn_start=whole,
        max_grad_norm=training.max_grad_norm,
        steps_per_batch=life.steps_per_task,
    )
    job = hyper_training((phase,), innate, plastic, generator(settings.seed, "lives"))
    return System(network, build_learner(settings, network, losses, trunk=trunk), job)


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
    """Makes the function that draws an epoch's hyper-streams; `transform` changes them after augmentation."""
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
    """Raises what building and drawing would, before anything is trained: as `load_pools`, `check_size` and `check_pools`."""
    check_size(settings, build=build)
    check_pools(settings, load_pools(settings.data))


def check_size(settings: ImageSettings, *, build: Callable[[], TrunkNetwork] | None = None) -> None:
    """Raises if settings contradict one another, or the population does not fit into memory; needs no data.

    Args:
        settings: What is to be trained.
        build: Builds the network, where it is not the settings' classifier.
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
        device=torch.get_default_device(),
    )


def check_pools(settings: ImageSettings, pools: Pools) -> None:
    """Raises a ValueError if the data have fewer classes or images than asked for."""
    drawing(settings, pools.meta_train)(torch.Generator(pools.meta_train.device).manual_seed(0))
    check_lives(settings.life, pools)


def check_lives(life: LifeSettings, pools: Pools) -> None:
    """Raises a ValueError if the data have fewer classes or images than deployed lives need."""
    for name, pool in pools._asdict().items():
        needed, fewest = life.num_instances + life.num_held_out, int(pool.counts.min())
        if pool.num_classes < life.num_tasks or fewest < needed:
            raise ValueError(
                f"Expected {life.num_tasks} classes of {needed} images or more for lives of {name}, "
                f"but got {pool.num_classes} classes, one of which has {fewest}."
            )
