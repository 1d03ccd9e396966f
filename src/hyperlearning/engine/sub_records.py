"""Systems of a run that are trained each in a record of its own below the run's."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from rich.console import Console

from hyperlearning.core.errors import RunError
from hyperlearning.core.settings import to_json
from hyperlearning.engine.job import Job
from hyperlearning.engine.run_record import Line, RunRecord
from hyperlearning.engine.runner import NUM_LOOKS, final_state, run_job

S = TypeVar("S")


class Trained(NamedTuple, Generic[S]):
    """What a job made.

    Attributes:
        state: Its final state.
        record: Its own record, with the lines of its epochs and looks.
    """

    state: S
    record: RunRecord


def train_below(
    record: RunRecord,
    label: str,
    settings: Any,
    job: Job[S],
    console: Console,
    *,
    look: Callable[[int, S], Line] | None = None,
    num_looks: int = NUM_LOOKS,
    folder: str = "systems",
) -> Trained[S]:
    """Does a job in a record of its own below a run's, or goes on doing so, or returns what is there.

    Args:
        record: The run's record.
        label: Names the system among others of the run; its folder is called after it.
        settings: What it follows from, a dataclass.
        job: The work.
        console: Where progress is shown.
        look: As for `run_job`.
        num_looks: Likewise.
        folder: Where such records lie below the run's.

    Raises:
        RunError: If there is a record of other settings.
    """
    own = record_below(record, label, settings, folder=folder)
    if own.manifest.get("finished"):
        return Trained(final_state(own, job), own)
    with own.timed("training_seconds"):
        state = run_job(own, job, console, look=look, num_looks=num_looks)
    own.note(finished=True)
    return Trained(state, own)


def record_below(record: RunRecord, label: str, settings: Any, *, folder: str = "systems") -> RunRecord:
    """Opens the record of a system below a run's, or makes it.

    Raises:
        RunError: If there is one of other settings.
    """
    name = label.replace(" ", "-")
    path = record.path / folder / name
    if not (path / "config.json").is_file():
        return RunRecord.create(record.path, folder, name, settings, overwrite=path.exists())
    own = RunRecord(path)
    if own.config["settings"] != to_json(settings):
        raise RunError(
            f"Expected the system in {path} to be of this run's settings, but it is of others, or of another version. "
            "Remove it, or begin again with --overwrite."
        )
    return own
