"""Autoencoders of DANs: built, trained with lives and without, and lived; their life on images of one's own.

Shape suffixes: M members, B images, C channels, S side.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from hyperlearning.core.image_losses import pixel_error, summed_pixel_error
from hyperlearning.core.params import Params, partition
from hyperlearning.core.seeding import generator
from hyperlearning.data.user_images import as_images
from hyperlearning.engine.fitting import FitState, Fitting, first_fit_state
from hyperlearning.engine.hyper_training import TrainingState, hyper_training
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.reconstruction import LifeErrors
from hyperlearning.learners.deployment import Deployment
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, optimizer
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.dan.image_networks import dan_autoencoder
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters, without_allocating
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.class_incremental import ClassLives, as_reconstruction, lives_as_reconstruction
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.systems.class_life import kind_of, warn_of_light_ground
from hyperlearning.systems.images.autoencoder_lines import error_scores
from hyperlearning.systems.images.build import Losses, assemble, build_learner, drawing
from hyperlearning.systems.images.lines import ShortScores, short_scores
from hyperlearning.systems.images.lives import hold_out, mixed
from hyperlearning.systems.images.methods import PlainMethod
from hyperlearning.systems.images.pools import Pools, Split
from hyperlearning.systems.images.reconstruction import deploy, frozen
from hyperlearning.systems.images.settings import ImageSettings, LifeSettings
from hyperlearning.systems.images.trained import network_with
from hyperlearning.systems.images.training import images_per_epoch, look_by_split, train
from hyperlearning.systems.system import System

_HYPER_SCALE = 100.0
"""Factor on the hyper-loss, so that Adam's and the clipping's constants are small beside its gradients."""
_VALIDATION_LIVES = 8


class BornAutoencoder(NamedTuple):
    """An autoencoder at birth: its inner loop, its plastic parameters and what stays as it is."""

    learner: Learner
    start: Params
    innate: Params

    def at(self, inner_lr: float) -> "BornAutoencoder":
        """The same with another rate."""
        return self._replace(learner=self.learner._replace(inner_lr=inner_lr))

    def live(self, lives: ClassLives, *, steps_per_task: int) -> LifeErrors:
        """Lives lives, class after class."""
        return deploy(self.learner, self.start, self.innate, lives, steps_per_task=steps_per_task)

    def stay(self, lives: ClassLives) -> LifeErrors:
        """Learns nothing."""
        return frozen(self.learner, self.start, self.innate, lives)


def _hyper_loss(logits: Tensor, images: Tensor) -> Tensor:
    return _HYPER_SCALE * pixel_error(logits, images)


LOSSES = Losses(summed_pixel_error, _hyper_loss)
"""The task loss is of whole images, the hyper-loss of pixels."""


def build_autoencoder(settings: ImageSettings) -> TrunkNetwork:
    """Builds the autoencoder."""
    network, source = settings.network, generator(settings.seed, "network")
    return dan_autoencoder(
        network.trunk(settings.data, source),
        hidden_sizes=network.hidden_sizes,
        num_channels=network.num_channels,
        phenotype=network.phenotype_factory(),
        generator=source,
    )


def count_autoencoder(settings: ImageSettings) -> ParameterCounts:
    """Counts plastic and innate parameters, allocating none."""
    network = without_allocating(lambda: build_autoencoder(settings))
    return count_parameters(network, network.is_innate)


def autoencoder_system(
    settings: ImageSettings, pools: Pools, first: BornAutoencoder | None = None
) -> System[TrunkNetwork]:
    """Builds the autoencoder and its hyper-training, which begins with `first`, or else with the network as it is drawn."""
    draw = drawing(settings, pools.meta_train, transform=as_reconstruction)
    system = assemble(settings, build_autoencoder(settings), LOSSES, draw)
    if first is None:
        return system
    source = generator(settings.seed, "lives")
    return replace(system, job=hyper_training(system.job.phases, first.innate, first.start, source))


def plain_settings(settings: ImageSettings, num_epochs: int) -> ImageSettings:
    """Says how the autoencoder is trained without lives: every step on a hyper-batch of classes that no life meets."""
    training = replace(
        settings.training,
        num_epochs=num_epochs,
        train_tasks=1,
        train_classes=max(2, settings.training.train_classes),
        hyper_mix=(0.0, 0.0, 1.0),
        through="life",
    )
    return replace(settings, life=replace(settings.life, steps_per_task=1), training=training)


def plain_fit(settings: ImageSettings, pools: Pools) -> Fitting:
    """Builds the training of an autoencoder without lives, with `plain_settings`: every number minimizes the pixel error."""
    training, network = settings.training, build_autoencoder(settings)
    plastic, innate = partition(network, network.is_innate)
    learner = build_learner(settings, network, LOSSES)

    def loss(params: Params, stream: HyperStream) -> Tensor:
        images, targets = stream.hyper_inputs[0, 0], stream.hyper_targets[0, 0]
        members = {name: params[name].expand(len(images), *params[name].shape) for name in plastic}
        own = {name: params[name] for name in innate}
        return _hyper_loss(learner.forward(members, own, learner.prepared(own, images)), targets)

    outer, source = adam(), generator(settings.seed, "lives")
    return Fitting(
        initial=first_fit_state({**innate, **plastic}, outer, source),
        loss_fn=loss,
        draw=drawing(settings, pools.meta_train, transform=as_reconstruction),
        optimizer=outer,
        lr=training.outer_rate,
        num_epochs=training.num_epochs,
        source=source,
        max_grad_norm=training.max_grad_norm,
        title="training without lives",
    )


def train_plainly(
    record: RunRecord, settings: ImageSettings, num_epochs: int, pools: Pools, console: Console
) -> BornAutoencoder:
    """Trains the autoencoder without lives, in a record below the run's, or goes on doing so."""
    own, network = plain_settings(settings, num_epochs), build_autoencoder(settings)
    learner = build_learner(settings, network, LOSSES)

    def born(state: FitState) -> BornAutoencoder:
        innate = {name: value for name, value in state.params.items() if network.is_innate(name)}
        start = {name: value for name, value in state.params.items() if not network.is_innate(name)}
        return BornAutoencoder(learner, start, innate)

    fitted = train(
        record,
        "without lives",
        own,
        plain_fit(own, pools),
        console,
        look=_looking(settings, pools, lambda state, lives: born(state).stay(lives)),
        images_per_epoch=own.training.population * own.training.hyper_batch_size,
        method="frozen",
    )
    return born(fitted.state)


def hyper_train_autoencoder(
    record: RunRecord, settings: ImageSettings, pools: Pools, console: Console, first: BornAutoencoder | None
) -> BornAutoencoder:
    """Hyper-trains the autoencoder, in a record below the run's, or goes on doing so."""
    system = autoencoder_system(settings, pools, first)

    def born(state: TrainingState) -> BornAutoencoder:
        return BornAutoencoder(system.learner, state.hyper.start, state.hyper.innate)

    steps = settings.life.steps_per_task
    look = _looking(settings, pools, lambda state, lives: born(state).live(lives, steps_per_task=steps))
    per_epoch = images_per_epoch(settings)
    trained = train(record, "hyper-trained", settings, system.job, console, look=look, images_per_epoch=per_epoch)
    return born(trained.state)


def _looking(
    settings: ImageSettings, pools: Pools, live: Callable[[Any, ClassLives], LifeErrors]
) -> Callable[[Any], dict[Split, ShortScores]]:
    """Makes the look in the course of training: memory and generalization at the end of a life as long as in hyper-training."""

    def short(state: Any, lives: ClassLives) -> ShortScores:
        scores = error_scores(live(state, lives_as_reconstruction(lives)))
        return short_scores(scores.memory, scores.generalization, digits=6)

    return look_by_split(settings, pools, short, most=_VALIDATION_LIVES)


def hold_out_images(
    settings: ImageSettings, life: LifeSettings, pools: Pools, split: Split, *, purpose: str = "held-out"
) -> ClassLives:
    """Draws lives to deploy an autoencoder on, whose targets are the images themselves."""
    num_outputs = settings.network.num_outputs
    return lives_as_reconstruction(
        hold_out(life, pools, split, num_outputs=num_outputs, seed=settings.seed, purpose=purpose)
    )


def plain_autoencoders(settings: ImageSettings, *, steps_per_task: int) -> tuple[PlainMethod[LifeErrors], ...]:
    """Lists the ways for the same network without hyper-training to learn, every number of it plastic."""
    plastic, _ = partition(build_autoencoder(settings), lambda name: False)
    forward = population_forward(build_autoencoder(settings), plastic)

    def finetune(lr: float, lives: ClassLives) -> LifeErrors:
        learner = Learner(forward, summed_pixel_error, optimizer("adam"), lr)
        return deploy(learner, plastic, {}, lives, steps_per_task=steps_per_task)

    return (
        PlainMethod("finetune", "finetuned", "the same network without hyper-training, all of it plastic", finetune),
        PlainMethod(
            "joint",
            "joint",
            "the same, classes mixed in every batch",
            lambda lr, lives: finetune(lr, mixed(lives, seed=settings.seed)),
        ),
    )


class AutoencoderLife:
    """One autoencoder that keeps learning to reconstruct what it is shown: only its synapses ever change.

    Images are given as `as_images` takes them, of one channel: uint8 from 0 (ground) to 255 (ink), or floats from 0 to 1.

    Args:
        deployment: The network's life.
        side: Height and width of images.
        steps_per_task: Updates on each class, as in the run's own lives.
    """

    def __init__(self, deployment: Deployment, *, side: int, steps_per_task: int) -> None:
        self._life, self._side, self._steps_per_task = deployment, side, steps_per_task
        self._like = kind_of(deployment)

    @property
    def num_updates(self) -> int:
        """Updates made so far."""
        return self._life.num_updates

    def learn(self, images: Any) -> float:
        """Learns a class as the run's own lives did, from one batch met once; returns and raises as `observe`."""
        return self._updated(images, self._steps_per_task)

    def observe(self, images: Any) -> float:
        """Makes one update from images, without labels, and forgets them.

        Returns:
            Half the squared error of an image before the update.

        Raises:
            ValueError: If images are not what they should be, or the loss is not finite; nothing has changed then.
        """
        return self._updated(images, 1)

    def _updated(self, images: Any, times: int) -> float:
        batch = self._batch(images)
        warn_of_light_ground(batch)
        losses = [self._life.observe(batch, batch.flatten(1)) for _ in range(times)]
        return losses[0]

    def predict(self, images: Any) -> Float[Tensor, "batch 1 side side"]:
        """Reconstructs images. Nothing changes.

        Raises:
            ValueError: If images are not what they should be.
        """
        batch = self._batch(images)
        return torch.sigmoid(self._life.predict(batch)).unflatten(1, batch.shape[1:])

    def save(self, path: str | Path) -> None:
        """Writes the life to one safetensors file."""
        self._life.save(path)

    def load(self, path: str | Path) -> None:
        """Goes on where a saved life of the same run stood, with the errors of `Deployment.load`."""
        self._life.load(path)

    def _batch(self, images: Any) -> Tensor:
        return as_images(images, side=self._side).to(self._like)


class TrainedAutoencoder(NamedTuple):
    """A hyper-trained autoencoder, ready to deploy.

    Attributes:
        settings: What it was trained from.
        start: Synapses at birth.
        innate: Convolutions and phenotypes.
        inner_lr: Rate of its synapses.
        steps_per_task: Updates on each class.
    """

    settings: ImageSettings
    start: Params
    innate: Params
    inner_lr: float
    steps_per_task: int

    def deployment(self) -> AutoencoderLife:
        """Begins a life on images without labels."""
        network = network_with(build_autoencoder(self.settings), {**self.start, **self.innate})
        name = self.settings.training.inner_optimizer
        life = Deployment(
            network, self.innate, inner_lr=self.inner_lr, inner_optimizer=name, loss_fn=summed_pixel_error
        )
        return AutoencoderLife(life, side=self.settings.data.side, steps_per_task=self.steps_per_task)

    def scores(self, lives: ClassLives) -> dict[str, list[float]]:
        """Scores lives of a classifier's, of which it learns to reconstruct the images."""
        learner = build_learner(self.settings, build_autoencoder(self.settings), LOSSES)
        born = BornAutoencoder(learner, self.start, self.innate).at(self.inner_lr)
        errors = born.live(lives_as_reconstruction(lives), steps_per_task=self.steps_per_task)
        return error_scores(errors).by_name()
