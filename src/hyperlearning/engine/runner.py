"""Jobs with a record: progress, checkpoints, clean stops, and going on to the same numbers. It knows no algorithm."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console

from hyperlearning.core.errors import FileError, Interrupted, RunError
from hyperlearning.core.params import Params, on_default_device
from hyperlearning.core.tensor_files import TensorFile, load_tensors, save_tensors
from hyperlearning.engine.checkpoints import load_latest, save_checkpoint
from hyperlearning.engine.job import Job, Packed
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import Line, RunRecord

S = TypeVar("S")

CHECKPOINT_SECONDS = float(os.environ.get("HYPERLEARNING_CHECKPOINT_SECONDS", "10"))
"""Work that a killed run loses at most."""

NUM_LOOKS = 10


def run_job(
    record: RunRecord,
    job: Job[S],
    console: Console,
    *,
    look: Callable[[int, S], Line] | None = None,
    num_looks: int = NUM_LOOKS,
) -> S:
    """Does a job from the record's newest checkpoint on, or from its beginning if there is none.

    Args:
        record: Where lines and checkpoints go; one job a record.
        job: The work.
        console: Where progress is shown.
        look: Makes what the record says of a state, given the epochs finished.
        num_looks: Looks in the course of the job, about equally far apart, the last one at its end.

    Returns:
        The final state.

    Raises:
        Interrupted: After Ctrl-C or SIGTERM, with a checkpoint saved.
        RunError: If a checkpoint cannot be written; the earlier ones stay.
        NonFiniteLossError: If a loss is not finite; the record stays.
        FileError: If there are checkpoints but none can be used.
    """
    state, done = _go_on(record, job, console)
    if done == job.total:
        return state
    last_saved = time.monotonic()
    with (
        _stop_requests() as stop_requested,
        reporting(console, job.title, job.total, job.unit, done=done) as report,
    ):
        for step in job.steps(state):
            state, done = step.state, step.done
            if step.line is not None:
                record.append(step.line)
            if look is not None and step.epoch is not None and _is_looked_at(step.epoch, job.num_epochs, num_looks):
                record.append(look(step.epoch, state))
            report(done, step.note, same_pace_until=step.same_pace_until)
            finished = done == job.total
            if finished or stop_requested() or time.monotonic() - last_saved > CHECKPOINT_SECONDS:
                _save(record, job, state, done)
                last_saved = time.monotonic()
            if stop_requested() and not finished:
                raise Interrupted(
                    f"Stopped after {done:,} of {job.total:,} {job.unit}. Go on with `hyperlearning resume {record.path}`."
                )
    return state


def _is_looked_at(epoch: int, num_epochs: int, num_looks: int) -> bool:
    return epoch % max(1, num_epochs // num_looks) == 0 or epoch == num_epochs


def final_state(record: RunRecord, job: Job[S]) -> S:
    """Reads the newest checkpoint's state.

    Raises:
        RunError: If there is none.
        FileError: If none can be used.
    """
    saved, _ = load_latest(record.checkpoints, {"config": record.config})
    if saved is None:
        raise RunError(f"Expected a checkpoint in {record.checkpoints}, but there is none.")
    return _state_of(saved, job)


def save_model(record: RunRecord, innate: Params, start: Params) -> None:
    """Writes what was trained, the innate parameters and the plastic ones at birth, to `model.safetensors`."""
    tensors = {f"innate/{name}": tensor for name, tensor in innate.items()}
    tensors |= {f"start/{name}": tensor for name, tensor in start.items()}
    save_tensors(record.path / "model.safetensors", tensors, {"settings": record.config["settings"]})


def load_model(record: RunRecord) -> tuple[Params, Params]:
    """Reads the innate parameters and the plastic ones at birth of a run.

    Raises:
        FileError: If the file is altered, or of other settings than the run's.
        RunError: If the run has not finished training.
    """
    path = record.path / "model.safetensors"
    if not path.exists():
        finished = "it was kept without its model." if record.manifest.get("finished") else "training has not finished."
        raise RunError(
            f"Expected {path.name} in {record.path}, but it is not there: {finished} "
            f"Go on with `hyperlearning resume {record.path}`, or run it anew."
        )
    saved = load_tensors(path)
    if saved.facts["settings"] != record.config["settings"]:
        raise FileError(f"Expected {path} to be of the settings in {record.path}/config.json, but it is of others.")
    parts: dict[str, Params] = {"innate": {}, "start": {}}
    for key, tensor in saved.tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = on_default_device(tensor)
    return parts["innate"], parts["start"]


def _go_on(record: RunRecord, job: Job[S], console: Console) -> tuple[S, int]:
    """The state to go on from; what a checkpoint does not know of the record's lines happens again."""
    saved, complaints = load_latest(record.checkpoints, {"config": record.config})
    for complaint in complaints:
        console.print(f"Passed over a checkpoint. {complaint}", style="yellow")
    if saved is None:
        record.truncate_lines(0)
        return job.begin(), 0
    state = _state_of(saved, job)
    done = job.done(state)
    if done < job.total:
        record.truncate_lines(saved.facts["num_lines"])
    return state, done


def _state_of(saved: TensorFile, job: Job[S]) -> S:
    try:
        return job.unpack(Packed(saved.tensors, saved.facts))
    except (KeyError, TypeError) as error:
        raise FileError(
            f"Expected {saved.path} to be a checkpoint of {job.title} as this version writes it, but it has no {error}: "
            "it is of an earlier version. Finish it with that version, or begin again with --overwrite."
        ) from error


def _save(record: RunRecord, job: Job[S], state: S, done: int) -> None:
    packed = job.pack(state)
    facts = packed.facts | {"config": record.config, "num_lines": record.count_lines()}
    try:
        save_checkpoint(record.checkpoints, done, packed.tensors, facts)
    except OSError as error:
        raise RunError(
            f"Expected to be able to write a checkpoint to {record.checkpoints}, but got: {error.strerror}. Earlier ones "
            f"are intact: free some space and go on with `hyperlearning resume {record.path}`."
        ) from error


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turns the first SIGINT or SIGTERM into a request that is honoured at the next step boundary.

    Only the main thread may handle signals: a job in another one is not stopped by them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
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
