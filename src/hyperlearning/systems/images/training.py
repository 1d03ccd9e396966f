"""Training on images, each system with a record of its own below the run's."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from rich.console import Console

from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.job import Job
from hyperlearning.engine.lines import EpochLine
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import Trained, train_below
from hyperlearning.evaluation.accuracy import LifeAccuracy
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.lines import (
    LossCourse,
    ShortScores,
    SystemLine,
    ValidationLine,
    scores_of,
    short_scores,
)
from hyperlearning.systems.images.lives import deploy, hold_out
from hyperlearning.systems.images.pools import Pools, Split, per_split
from hyperlearning.systems.images.settings import ImageSettings

S = TypeVar("S")

_NUM_POINTS = 100
_VALIDATION_LIVES = 24


def train(
    record: RunRecord,
    label: str,
    settings: ImageSettings,
    job: Job[S],
    console: Console,
    *,
    look: Callable[[S], dict[Split, ShortScores]],
    images_per_epoch: int,
    images_before: int = 0,
    method: str = "dan",
) -> Trained[S]:
    """Trains a system, or goes on doing so, or returns what is there; the run's record gets a `SystemLine`.

    Args:
        record: The run's record.
        label: Names the system among others of the run.
        settings: What it was built from, for its own record.
        job: Its training.
        console: Where progress is shown.
        look: Deploys a state every now and then.
        images_per_epoch: Images met in an epoch, the measure of compute.
        images_before: Images that its trunk met before, in a training of its own.
        method: What kind of system it is.
    """

    def line(epoch: int, state: S) -> ValidationLine:
        return ValidationLine(epoch=epoch, images=images_before + epoch * images_per_epoch, **look(state))

    trained = train_below(record, label, settings, job, console, look=line)
    record.once(SystemLine, {"label": label}, lambda: _system_line(label, method, trained.record))
    return trained


def _system_line(label: str, method: str, own: RunRecord) -> SystemLine:
    losses = [line.hyper_loss for line in own.lines(EpochLine)]
    every = max(1, len(losses) // _NUM_POINTS)
    parts = [losses[first : first + every] for first in range(0, len(losses), every)]
    ends = [min(first + every, len(losses)) for first in range(0, len(losses), every)]
    return SystemLine(
        label=label,
        method=method,
        looks=own.lines(ValidationLine),
        hyper_loss=LossCourse(ends, [sum(part) / len(part) for part in parts]),
        training_seconds=own.manifest["training_seconds"],
        settings=own.config["settings"],
    )


def images_per_epoch(settings: ImageSettings) -> int:
    """Counts the images that pass the trunk in a generation of lives: the measure of compute."""
    training, life = settings.training, settings.life
    outer_steps = 1 if training.through == "life" else training.train_tasks * life.steps_per_task
    learned = training.train_tasks * life.num_instances
    if training.through == "none":
        learned *= life.steps_per_task
    return training.population * (learned + outer_steps * training.hyper_batch_size)


def look_by_split(
    settings: ImageSettings,
    pools: Pools,
    live: Callable[[S, ClassLives], ShortScores],
    *,
    most: int = _VALIDATION_LIVES,
) -> Callable[[S], dict[Split, ShortScores]]:
    """Makes the look that lets a state live validation lives, `most` of them at most, of every split."""
    life = replace(settings.life, num_lives=min(most, settings.life.num_lives))
    num_outputs, seed = settings.network.num_outputs, settings.seed
    lives = per_split(partial(hold_out, life, pools, num_outputs=num_outputs, seed=seed, purpose="validation"))
    return lambda state: per_split(lambda split: live(state, lives[split]))


def looking(
    settings: ImageSettings, pools: Pools, live: Callable[[S, ClassLives], LifeAccuracy]
) -> Callable[[S], dict[Split, ShortScores]]:
    """Likewise of lives with an accuracy: mean memory and generalization, with intervals."""

    def short(state: S, lives: ClassLives) -> ShortScores:
        scores = scores_of(live(state, lives))
        return short_scores(scores.memory, scores.generalization)

    return look_by_split(settings, pools, short)


def look_at_lives(
    settings: ImageSettings, learner: Learner, pools: Pools
) -> Callable[[TrainingState], dict[Split, ShortScores]]:
    """Makes the look at a network in hyper-training."""
    steps = settings.life.steps_per_task

    def live(state: TrainingState, lives: ClassLives) -> LifeAccuracy:
        return deploy(learner, state.hyper.start, state.hyper.innate, lives, steps_per_task=steps)

    return looking(settings, pools, live)
