"""Hyper-training on images, each system with a record of its own below the run's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rich.console import Console

from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import final_state, train_with_record
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.build import System
from hyperlearning.systems.images.lives import KINDS, Lives, deploy, hold_out, scores_of
from hyperlearning.systems.images.pools import Pools
from hyperlearning.systems.images.settings import ImageSettings

_NUM_LOOKS = 10
_NUM_POINTS = 100
_VALIDATION_LIVES = 24


class Trained(NamedTuple):
    """What hyper-training made.

    Attributes:
        state: Its final state.
        record: Its own record, with the lines `epoch` and `validation`.
    """

    state: TrainingState
    record: RunRecord


@dataclass(frozen=True, kw_only=True)
class SystemConfig:
    """Settings of one system, for its own record."""

    settings: ImageSettings
    method: str


def train(
    record: RunRecord,
    label: str,
    settings: ImageSettings,
    system: System,
    console: Console,
    *,
    look: Callable[[TrainingState], dict[str, Any]],
    method: str = "dan",
    images_before: int = 0,
) -> Trained:
    """Hyper-trains a system, or goes on doing so, or returns what is there.

    Args:
        record: The run's record; it gets a line `system` with the course of training.
        label: Names the system among others of the run.
        settings: What it was built from, for its own record.
        system: The system.
        console: Where progress is shown.
        look: What to record of a state every now and then, such as `scores_by_kind`.
        method: What kind of system it is.
        images_before: Images that its trunk met before, in a training of its own.
    """
    folder = label.replace(" ", "-")
    path = record.path / "systems" / folder
    if (path / "config.json").is_file():
        own = RunRecord(path)
    else:
        config = SystemConfig(settings=settings, method=method)
        own = RunRecord.create(record.path, "systems", folder, config, preset="", command="", overwrite=path.exists())
    if own.manifest.get("finished"):
        _tell(record, label, method, own)
        return Trained(final_state(own), own)
    last = sum(phase.num_epochs for phase in system.phases)

    def after_epoch(epoch: int, state: TrainingState) -> None:
        if epoch % max(1, last // _NUM_LOOKS) == 0 or epoch == last:
            own.append(
                "validation", epoch=epoch, images=images_before + epoch * images_per_epoch(settings), **look(state)
            )

    with own.timed("training_seconds"):
        state = train_with_record(
            own, system.phases, system.initial, system.generator, console, after_epoch=after_epoch
        )
    own.note(finished=True)
    _tell(record, label, method, own)
    return Trained(state, own)


def _tell(record: RunRecord, label: str, method: str, own: RunRecord) -> None:
    """Writes the course of training into the run's own lines, once, as a line `system`."""
    if any(line["label"] == label for line in record.lines("system")):
        return
    looks = [{name: value for name, value in line.items() if name != "kind"} for line in own.lines("validation")]
    epochs = own.lines("epoch")
    every = max(1, len(epochs) // _NUM_POINTS)
    losses = [line["hyper_loss"] for line in epochs]
    means = [sum(losses[i : i + every]) / len(losses[i : i + every]) for i in range(0, len(losses), every)]
    record.append(
        "system",
        label=label,
        method=method,
        looks=looks,
        hyper_loss={"epoch": [min(i + every, len(losses)) for i in range(0, len(losses), every)], "mean": means},
        training_seconds=own.manifest["training_seconds"],
        settings=own.config["settings"]["settings"],
    )


def images_per_epoch(settings: ImageSettings) -> int:
    """Counts the images that pass the trunk in a generation of lives: the measure of compute."""
    training, life = settings.training, settings.life
    outer_steps = 1 if training.through == "life" else training.train_tasks * life.steps_per_task
    learned = training.train_tasks * life.num_instances
    if training.through == "none":
        learned *= life.steps_per_task
    return training.population * (learned + outer_steps * training.hyper_batch_size)


def validation_lives(settings: ImageSettings, pools: Pools) -> dict[str, ClassLives]:
    """Draws the lives that training is looked at on, of every kind."""
    life = replace(settings.life, num_lives=min(_VALIDATION_LIVES, settings.life.num_lives))
    return {
        kind: hold_out(
            life,
            pools,
            kind,
            num_outputs=settings.network.num_outputs,
            seed=settings.seed,
            purpose="validation",
        )
        for kind in KINDS
    }


def scores_by_kind(settings: ImageSettings, system: System, pools: Pools) -> Callable[[TrainingState], dict[str, Any]]:
    """Makes the look that deploys a state on lives of every kind: mean memory and generalization, with intervals."""
    lives = validation_lives(settings, pools)

    def look(state: TrainingState) -> dict[str, Any]:
        return {
            kind: short_scores(
                deploy(
                    system.learner,
                    state.hyper.start,
                    state.hyper.innate,
                    lives[kind],
                    steps_per_task=settings.life.steps_per_task,
                )
            )
            for kind in KINDS
        }

    return look


def short_scores(lives: Lives) -> dict[str, list[float]]:
    """Memory and generalization at the end of life: mean and half the 95 % interval."""
    short = {}
    for name, values in scores_of(lives).items():
        if name in ("memory", "generalization"):
            point = estimate(values)
            short[name] = [round(point.mean, 5), round(point.ci95, 5)]
    return short
