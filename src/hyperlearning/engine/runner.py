"""Hyper-training with a record: progress, checkpoints, clean stops, and going on to the same numbers."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.core.tensor_files import FileError, TensorFile, load_tensors, save_tensors
from hyperlearning.engine.checkpoints import load_latest, save_checkpoint
from hyperlearning.engine.hyper_training import Phase, Progress, TrainingState, hyper_train, pack, unpack
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunError, RunRecord

CHECKPOINT_SECONDS = float(os.environ.get("HYPERLEARNING_CHECKPOINT_SECONDS", "10"))
"""Work that a killed run loses at most."""


class Interrupted(RuntimeError):
    """A run was asked to stop and has saved where it stands."""


class _Sums(NamedTuple):
    """Losses summed since the last line `epoch`, so that an epoch resumed halfway has the same means."""

    task: Tensor
    hyper: Tensor


def train_with_record(
    record: RunRecord,
    phases: Sequence[Phase],
    state: TrainingState,
    generator: torch.Generator,
    console: Console,
    *,
    after_epoch: Callable[[int, TrainingState], None],
    record_every: int = 1,
) -> TrainingState:
    """Hyper-trains from the newest checkpoint, or from `state` if there is none.

    Args:
        record: Where metrics and checkpoints go.
        phases: What hyper-training is made of.
        state: The state before the first phase.
        generator: Source of all training data.
        console: Where progress is shown.
        after_epoch: Called with the number of epochs finished, over all phases, and the state; may append to the record.
        record_every: Epochs between lines `epoch`, each of which holds the mean losses since the one before.

    Returns:
        The final state.

    Raises:
        Interrupted: After Ctrl-C or SIGTERM, with a checkpoint saved.
        RunError: If a checkpoint cannot be written; the earlier ones stay.
        NonFiniteLossError: If a loss is not finite; the record stays.
        FileError: If there are checkpoints but none can be used.
    """
    sums, state = _go_on(record, state, console)
    done, total = _updates_done(phases, state), sum(phase.num_epochs * _updates_of(phase) for phase in phases)
    number, last_saved = _steps_done(phases, state), time.monotonic()
    with (
        _stop_requests() as stop_requested,
        reporting(console, "hyper-training", total, "updates", done=done) as report,
    ):
        for progress in hyper_train(phases, state, generator):
            state = progress.state
            sums = _Sums(sums.task + progress.losses.task.mean(), sums.hyper + progress.losses.hyper.mean())
            number, done = number + 1, _updates_done(phases, state)
            if progress.epoch_ended:
                epoch = epochs_done(phases, state)
                if epoch % record_every == 0 or done == total:
                    num_steps = (epoch % record_every or record_every) * _steps_of_ended_epoch(phases, epoch)
                    _append_epoch(record, epoch, progress, sums, num_steps)
                    sums = _zero()
                after_epoch(epoch, state)
            report(done, f"hyper-loss {float(progress.losses.hyper.mean()):.4f}")
            finished = done == total
            if finished or stop_requested() or time.monotonic() - last_saved > CHECKPOINT_SECONDS:
                _save(record, number, state, sums)
                last_saved = time.monotonic()
            if stop_requested() and not finished:
                raise Interrupted(
                    f"Stopped after {done:,} of {total:,} updates. Go on with `hyperlearning resume {record.path}`."
                )
    return state


def epochs_done(phases: Sequence[Phase], state: TrainingState) -> int:
    """Counts the epochs finished over all phases."""
    return sum(phase.num_epochs for phase in phases[: state.cursor.phase]) + state.cursor.epoch


def _steps_done(phases: Sequence[Phase], state: TrainingState) -> int:
    cursor = state.cursor
    before = sum(phase.num_epochs * phase.steps_per_epoch for phase in phases[: cursor.phase])
    current = phases[cursor.phase].steps_per_epoch if cursor.phase < len(phases) else 0
    return before + cursor.epoch * current + cursor.outer_step


def _updates_of(phase: Phase) -> int:
    return phase.steps_per_epoch * phase.update_every


def _updates_done(phases: Sequence[Phase], state: TrainingState) -> int:
    """Counts a life's inner updates over all phases: outer steps of different phases are of very different cost."""
    cursor = state.cursor
    before = sum(phase.num_epochs * _updates_of(phase) for phase in phases[: cursor.phase])
    if cursor.phase == len(phases):
        return before
    phase = phases[cursor.phase]
    return before + cursor.epoch * _updates_of(phase) + cursor.outer_step * phase.update_every


def _steps_of_ended_epoch(phases: Sequence[Phase], epoch: int) -> int:
    for phase in phases:
        if epoch <= phase.num_epochs:
            return phase.steps_per_epoch
        epoch -= phase.num_epochs
    raise AssertionError("an epoch beyond the last phase")


def save_model(record: RunRecord, state: TrainingState) -> None:
    """Writes what hyper-training made, the innate parameters and the plastic ones at birth, to `model.safetensors`."""
    tensors = {f"innate/{name}": tensor for name, tensor in state.hyper.innate.items()}
    tensors |= {f"start/{name}": tensor for name, tensor in state.hyper.start.items()}
    save_tensors(record.path / "model.safetensors", tensors, {"settings": record.config["settings"]})


def load_model(record: RunRecord) -> tuple[Params, Params]:
    """Reads the innate parameters and the plastic ones at birth of a run.

    Raises:
        FileError: If the file is altered, or of other settings than the run's.
        RunError: If the run has not finished hyper-training.
    """
    path = record.path / "model.safetensors"
    if not path.exists():
        raise RunError(
            f"Expected {record.path} to have finished hyper-training, but it has not. "
            f"Go on with `hyperlearning resume {record.path}`."
        )
    saved = load_tensors(path)
    if saved.facts["settings"] != record.config["settings"]:
        raise FileError(f"Expected {path} to be of the settings in {record.path}/config.json, but it is of others.")
    parts: dict[str, Params] = {"innate": {}, "start": {}}
    for key, tensor in saved.tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = tensor
    return parts["innate"], parts["start"]


def final_state(record: RunRecord) -> TrainingState:
    """Reads the newest checkpoint's state.

    Raises:
        RunError: If there is none.
        FileError: If none can be used.
    """
    saved, _ = load_latest(record.checkpoints, {"config": record.config})
    if saved is None:
        raise RunError(f"Expected a checkpoint in {record.checkpoints}, but there is none.")
    return _state_of(saved)


def _go_on(record: RunRecord, state: TrainingState, console: Console) -> tuple[_Sums, TrainingState]:
    saved, complaints = load_latest(record.checkpoints, {"config": record.config})
    for complaint in complaints:
        console.print(f"Passed over a checkpoint. {complaint}", style="yellow")
    if saved is None:
        record.truncate_lines(0)
        return _zero(), state
    record.truncate_lines(saved.facts["num_lines"])
    return _Sums(saved.tensors["sums/task"], saved.tensors["sums/hyper"]), _state_of(saved)


def _state_of(saved: TensorFile) -> TrainingState:
    return unpack(saved.tensors, saved.facts["phase"], saved.facts["epoch"], saved.facts["outer_step"])


def _save(record: RunRecord, number: int, state: TrainingState, sums: _Sums) -> None:
    tensors = pack(state) | {"sums/task": sums.task, "sums/hyper": sums.hyper}
    facts = {
        "config": record.config,
        "phase": state.cursor.phase,
        "epoch": state.cursor.epoch,
        "outer_step": state.cursor.outer_step,
        "num_lines": record.count_lines(),
    }
    try:
        save_checkpoint(record.checkpoints, number, tensors, facts)
    except OSError as error:
        raise RunError(
            f"Expected to be able to write a checkpoint to {record.checkpoints}, but got: {error.strerror}. Earlier ones "
            f"are intact: free some space and go on with `hyperlearning resume {record.path}`."
        ) from error


def _append_epoch(record: RunRecord, epoch: int, progress: Progress, sums: _Sums, num_steps: int) -> None:
    record.append(
        "epoch",
        epoch=epoch,
        task_loss=float(sums.task) / num_steps,
        hyper_loss=float(sums.hyper) / num_steps,
        final_hyper_loss=float(progress.losses.hyper.mean()),
        outer_lr=progress.outer_lr,
    )


def _zero() -> _Sums:
    return _Sums(torch.zeros(()), torch.zeros(()))


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turns the first SIGINT or SIGTERM into a request that is honoured at the next step boundary."""
    requested = False

    def request(_signal: int, _frame: Any) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: requested
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
