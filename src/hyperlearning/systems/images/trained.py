"""What finished runs have trained, ready to live: classifiers on images of one's own."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.losses import LossFn, cross_entropy, tempered_cross_entropy
from hyperlearning.core.params import Params
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.learners.deployment import Deployment
from hyperlearning.learners.optimizers import OptimizerName
from hyperlearning.networks.trunk import TrunkNetwork, trunk_features
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.class_life import ClassifierLife
from hyperlearning.systems.folder_lives import Descending, FolderLife
from hyperlearning.systems.images.lines import scores_of
from hyperlearning.systems.images.methods import newborn
from hyperlearning.systems.images.settings import ImageSettings


@runtime_checkable
class Deployable(Protocol):
    """Anything of this family that can live lives anew."""

    @property
    def settings(self) -> ImageSettings:
        """What it was trained from."""
        ...

    def scores(self, lives: ClassLives) -> dict[str, list[float]]:
        """Lives lives and scores each of them, by name."""
        ...


class TrainedClassifier(NamedTuple):
    """A hyper-trained classifier, ready to deploy: what it was trained from, synapses at birth, and all that is innate."""

    settings: ImageSettings
    start: Params
    innate: Params

    def deployment(self) -> ClassifierLife:
        """Begins a life: a network at birth, what is innate fixed, and classes learned as the run's own lives learned them."""
        settings = self.settings
        network = settings.network.build(settings.data, settings.seed)
        training = settings.training
        life = Deployment(
            network_with(network, {**self.start, **self.innate}),
            self.innate,
            inner_lr=training.inner_lr,
            inner_optimizer=training.inner_optimizer,
            loss_fn=tempered_cross_entropy(training.temperature),
            shown_loss_fn=cross_entropy,
        )
        return ClassifierLife(
            life,
            num_outputs=settings.network.num_outputs,
            side=settings.data.side,
            steps_per_task=settings.life.steps_per_task,
            learns={
                "inner_lr": training.inner_lr,
                "inner_optimizer": training.inner_optimizer,
                "temperature": training.temperature,
            },
        )

    def scores(self, lives: ClassLives) -> dict[str, list[float]]:
        """Lives lives as in a run, and scores each of them."""
        born = newborn(self.settings, self.start, self.innate)
        lived = born.live(lives, steps_per_task=self.settings.life.steps_per_task)
        return scores_of(lived).by_name()

    @property
    def side(self) -> int:
        """Height and width of its images, S."""
        return self.settings.data.side

    @property
    def num_learned(self) -> int:
        """Images of a class that its own lives learn."""
        return self.settings.life.num_instances

    @property
    def most_classes(self) -> int:
        """Classes that it can tell apart: one for each output."""
        return self.settings.network.num_outputs

    def features(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N F"]:
        """What the convolutions, which no life changes, make of images from 0 to 1."""
        network = self.settings.network.build(self.settings.data, self.settings.seed)
        return trunk_features(network, self.innate, images, num_batch_axes=1)

    def own_lives(self, *, num_classes: int, seed: int) -> tuple[FolderLife]:
        """The life of `deployment`, on features, for a folder; it is the same whatever the seed and the number of classes."""
        steps, warp = self.settings.life.steps_per_task, self.settings.network.warp
        name, title = ("warp", "warp network, hyper-trained") if warp else ("dan", "DAN network, hyper-trained")
        return (FolderLife(name, title, f"synapses descend, {steps} updates a class", partial(_head_life, self)),)

    def plain_network(self, *, num_classes: int, seed: int) -> nn.Module:
        """The same network drawn anew."""
        return replace(self.settings.network, zero_start=False).build(self.settings.data, seed)


def _head_life(run: TrainedClassifier) -> Descending:
    """The life of `run.deployment()` behind convolutions that no life changes."""
    settings, training = run.settings, run.settings.training
    life = head_deployment(
        settings.network.build(settings.data, settings.seed),
        run.start,
        run.innate,
        inner_lr=training.inner_lr,
        inner_optimizer=training.inner_optimizer,
        loss_fn=tempered_cross_entropy(training.temperature),
    )
    return Descending(life, settings.life.steps_per_task)


def head_deployment(
    network: TrunkNetwork,
    start: Params,
    innate: Params,
    *,
    inner_lr: float,
    inner_optimizer: OptimizerName,
    loss_fn: LossFn,
) -> Deployment:
    """Begins the life of a network's head alone, which learns from what its trunk makes of images.

    Args:
        network: The network, which is given these values.
        start: Synapses at birth.
        innate: All that is innate, the trunk's too.
        inner_lr: As for `Deployment`.
        inner_optimizer: Likewise.
        loss_fn: Likewise.
    """
    network, head = network_with(network, {**start, **innate}), "head."
    own = {name.removeprefix(head): value for name, value in innate.items() if name.startswith(head)}
    return Deployment(network.head, own, inner_lr=inner_lr, inner_optimizer=inner_optimizer, loss_fn=loss_fn)


def open_classifier(record: RunRecord, settings: ImageSettings) -> TrainedClassifier:
    """Loads the classifier that the record of a run, or of a system below one, holds.

    Raises:
        RunError: If it has not finished hyper-training.
        FileError: If its model file was altered.
    """
    innate, start = load_model(record)
    return TrainedClassifier(settings, start, innate)


def network_with(network: TrunkNetwork, values: Params) -> TrunkNetwork:
    """Gives a network's parameters these values."""
    for name, parameter in network.named_parameters():
        parameter.data.copy_(values[name])
    return network
