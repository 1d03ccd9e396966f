"""Hyper-training with a record: progress, checkpoints, clean stops, and going on to the same numbers."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch import Tensor

from hyperlearning.core.tensor_files import TensorFile
from hyperlearning.engine.checkpoints import load_latest, save_checkpoint
from hyperlearning.engine.hyper_training import Progress, Training, TrainingState, hyper_train, pack, unpack
from hyperlearning.engine.progress import Report, reporting
from hyperlearning.engine.run_record import RunError, RunRecord

CHECKPOINT_SECONDS = 10.0
"""Work that a killed run loses at most."""


class Interrupted(RuntimeError):
    """A run was asked to stop and has saved where it stands."""


class _Sums(NamedTuple):
    """Losses summed over the current epoch, so that an epoch resumed halfway has the same means."""

    task: Tensor
    hyper: Tensor


def train_with_record(
    record: RunRecord,
    training: Training,
    state: TrainingState,
    generator: torch.Generator,
    console: Console,
    *,
    after_epoch: Callable[[int, TrainingState], None],
    steps_per_epoch: int,
) -> TrainingState:
    """Hyper-trains from the newest checkpoint, or from `state` if there is none.

    Args:
        record: Where metrics and checkpoints go.
        training: What hyper-training is made of.
        state: The state before the first epoch.
        generator: Source of all training data.
        console: Where progress is shown.
        after_epoch: Called with the number of epochs finished and the state; may append to the record.
        steps_per_epoch: Outer steps in an epoch.

    Returns:
        The final state.

    Raises:
        Interrupted: After Ctrl-C or SIGTERM, with a checkpoint saved.
        RunError: If a checkpoint cannot be written; the earlier ones stay.
        NonFiniteLossError: If a loss is not finite; the record stays.
        FileError: If there are checkpoints but none can be used.
    """
    sums, state = _go_on(record, state, console)
    total = training.num_epochs * steps_per_epoch
    done = state.cursor.epoch * steps_per_epoch + state.cursor.outer_step
    last_saved = time.monotonic()
    with _stop_requests() as stop_requested, reporting(
        console, "hyper-training", total, "steps", done=done
    ) as report:
        for progress in hyper_train(training, state, generator):
            state = progress.state
            sums = _Sums(sums.task + progress.losses.task.mean(), sums.hyper + progress.losses.hyper.mean())
            done += 1
            if progress.epoch_ended:
                _append_epoch(record, progress, sums)
                sums = _zero()
                after_epoch(state.cursor.epoch, state)
            _show(report, done, progress, sums)
            finished = done == total
            if finished or stop_requested() or time.monotonic() - last_saved > CHECKPOINT_SECONDS:
                _save(record, done, state, sums)
                last_saved = time.monotonic()
            if stop_requested() and not finished:
                raise Interrupted(f"Stopped at step {done} of {total}. Go on with `hyperlearning resume {record.path}`.")
    return state


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
    return unpack(saved.tensors, saved.facts["epoch"], saved.facts["outer_step"])


def _save(record: RunRecord, done: int, state: TrainingState, sums: _Sums) -> None:
    tensors = pack(state) | {"sums/task": sums.task, "sums/hyper": sums.hyper}
    facts = {
        "config": record.config,
        "epoch": state.cursor.epoch,
        "outer_step": state.cursor.outer_step,
        "num_lines": record.count_lines(),
    }
    try:
        save_checkpoint(record.checkpoints, done, tensors, facts)
    except OSError as error:
        raise RunError(
            f"Expected to be able to write a checkpoint to {record.checkpoints}, but got: {error.strerror}. Earlier ones "
            f"are intact: free some space and go on with `hyperlearning resume {record.path}`."
        ) from error


def _append_epoch(record: RunRecord, progress: Progress, sums: _Sums) -> None:
    steps = progress.steps_per_epoch
    record.append(
        "epoch",
        epoch=progress.state.cursor.epoch,
        task_loss=float(sums.task) / steps,
        hyper_loss=float(sums.hyper) / steps,
        final_hyper_loss=float(progress.losses.hyper.mean()),
        outer_lr=progress.outer_lr,
    )


def _show(report: Report, done: int, progress: Progress, sums: _Sums) -> None:
    steps = progress.state.cursor.outer_step or progress.steps_per_epoch
    hyper = float(sums.hyper) / steps if progress.state.cursor.outer_step else float(progress.losses.hyper.mean())
    report(done, f"epoch {progress.state.cursor.epoch}, hyper-loss {hyper:.4f}")


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
