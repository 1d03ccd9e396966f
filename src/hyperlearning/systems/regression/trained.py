"""What can be done with a finished run that hyper-trained a network on functions: begin lives, evaluate it anew."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hyperlearning.core.errors import RunError
from hyperlearning.core.params import Params
from hyperlearning.core.settings import rest
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.systems.regression.build import build_system
from hyperlearning.systems.regression.lives import HeldOut, deploy, hold_out
from hyperlearning.systems.regression.scores import Scores, scores_of
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings
from hyperlearning.systems.system import System


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """The settings that a network follows from; a claim has others beside them."""

    network: NetworkSettings
    training: TrainingSettings
    stream: StreamSettings
    seed: int
    others: dict[str, Any] = rest()


class TrainedRun(NamedTuple):
    """A finished run, ready to deploy.

    Attributes:
        system: Network and inner loop.
        stream: What a life consisted of in training.
        start: Synapses at birth.
        innate: The hyper-trained phenotype.
        training: How it was hyper-trained; the inner loop is the same in deployment.
    """

    system: System[DANNetwork]
    stream: StreamSettings
    start: Params
    innate: Params
    training: TrainingSettings

    def deployment(self) -> Deployment:
        """Begins a life: a network at birth, its phenotype fixed."""
        network = self.system.network
        values = {**dict(network.named_parameters()), **self.start}
        for name, parameter in network.named_parameters():
            parameter.data.copy_(values[name])
        return Deployment(
            network,
            self.innate,
            inner_lr=self.training.inner_lr,
            inner_optimizer=self.training.inner_optimizer,
        )

    def scores(self, held_out: HeldOut) -> Scores:
        """Lives held-out functions and measures every life."""
        return scores_of(deploy(self.system.learner, self.start, self.innate, held_out).errors)


def load_run(path: str | Path) -> TrainedRun:
    """Loads what a run has hyper-trained on functions learned piece by piece.

    Args:
        path: The run's directory.

    Raises:
        RunError: If there is no such run, it is of another kind, or has not finished hyper-training.
        FileError: If its model file was altered.
    """
    return open_run(RunRecord(path))


def open_run(record: RunRecord) -> TrainedRun:
    """Loads what a run has hyper-trained, given its record."""
    try:
        settings = record.settings(_Settings)
    except RunError as error:
        raise RunError(
            f"Expected a run that trains one network on functions, but {record.path} is of {record.experiment}."
        ) from error
    system = build_system(settings.network, settings.training, settings.stream, seed=settings.seed)
    innate, start = load_model(record)
    return TrainedRun(system, settings.stream, start, innate, settings.training)


def evaluate(record: RunRecord, *, num_functions: int, seed: int) -> Scores:
    """Deploys a run on functions that neither training nor its own evaluation has met.

    Args:
        record: The run.
        num_functions: How many functions.
        seed: What they are drawn from.

    Returns:
        Every score of every function.
    """
    run = open_run(record)
    return run.scores(hold_out(run.stream, num_functions, seed=seed, purpose="evaluate"))
