"""What can be done with a finished run of class-incremental learning: deploy it on images of one's own, evaluate it anew."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hyperlearning.core.losses import tempered_cross_entropy
from hyperlearning.core.params import Params
from hyperlearning.core.settings import from_json
from hyperlearning.engine.run_record import RunError, RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.learners.deployment import Deployment
from hyperlearning.systems.images.build import build_system
from hyperlearning.systems.images.lives import KINDS, deploy, hold_out, scores_of
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import (
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)

NAME = "class-incremental"


class TrainedClassifier(NamedTuple):
    """A finished run of class-incremental learning, ready to deploy.

    Attributes:
        settings: What it was trained from.
        start: Synapses at birth.
        innate: Convolutions and phenotypes, hyper-trained.
    """

    settings: ImageSettings
    start: Params
    innate: Params

    def deployment(self) -> Deployment:
        """Begins a life: a network at birth, what is innate fixed.

        Its `observe` takes images (B, 1, side, side) with values from 0 (ground) to 1 (ink) and integer labels (B,), usually
        all of one class, and makes one update; `predict` gives a logit per label.
        """
        network = self.settings.network.build(self.settings.data, self.settings.seed)
        values = {**self.start, **self.innate}
        for name, parameter in network.named_parameters():
            parameter.data.copy_(values[name])
        training = self.settings.training
        return Deployment(
            network,
            self.innate,
            inner_lr=training.inner_lr,
            inner_optimizer=training.inner_optimizer,
            loss_fn=tempered_cross_entropy(training.temperature),
        )


def load_classifier(path: str | Path) -> TrainedClassifier:
    """Loads what a run of class-incremental learning has hyper-trained.

    Args:
        path: The run's directory.

    Raises:
        RunError: If there is no such run, it is of another kind, or has not finished hyper-training.
        FileError: If its model file was altered.
    """
    record = RunRecord(path)
    if record.config["experiment"] != NAME:
        raise RunError(f"Expected a run of {NAME}, but {record.path} is of {record.config['experiment']}.")
    settings = record.config["settings"]
    innate, start = load_model(record)
    return TrainedClassifier(
        ImageSettings(
            data=from_json(DataSettings, settings["data"]),
            network=from_json(NetworkSettings, settings["network"]),
            life=from_json(LifeSettings, settings["life"]),
            training=from_json(TrainingSettings, settings["training"]),
            seed=settings["seed"],
        ),
        start,
        innate,
    )


def evaluate_classifier(record: RunRecord, *, num_lives: int, seed: int) -> dict[str, Estimate]:
    """Deploys a run on lives that neither training nor its own evaluation has met.

    Args:
        record: The run.
        num_lives: Lives of each kind, at least 2.
        seed: What they are drawn from.

    Returns:
        An estimate over lives of every score on every kind of lives.

    Raises:
        ValueError: If `num_lives` is below 2.
    """
    trained = load_classifier(record.path)
    settings, scores = trained.settings, {}
    pools = load_pools(settings.data)
    system = build_system(settings, pools.meta_train)
    life = replace(settings.life, num_lives=num_lives)
    for kind in KINDS:
        lives = hold_out(life, pools, kind, num_outputs=settings.network.num_outputs, seed=seed, purpose="evaluate")
        lived = deploy(system.learner, trained.start, trained.innate, lives, steps_per_task=life.steps_per_task)
        for name, values in scores_of(lived).items():
            scores[f"{kind.replace('_', '-')} {name}"] = estimate(values)
    return scores
