"""What finished runs have trained, ready to live: classifiers on images of one's own."""

from typing import NamedTuple, Protocol, runtime_checkable

from hyperlearning.core.losses import cross_entropy, tempered_cross_entropy
from hyperlearning.core.params import Params
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.deployment import ClassifierLife
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
