"""Opening a finished run of any family."""

from pathlib import Path
from typing import Any

from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.registry import NAMES, experiment, experiment_of


def load(run: str | Path) -> Any:
    """Opens what a finished run has trained: its `deployment()` begins a life.

    Args:
        run: The run's directory.

    Returns:
        What its experiment makes of it, such as a `TrainedRun` of functions, a `TrainedClassifier` of images, or `KeptNetworks`
        by the name of a store.

    Raises:
        RunError: If there is no such run, it has not finished training, or its experiment trains nothing to open.
        FileError: If its model file was altered.
    """
    record = RunRecord(run)
    found, _ = experiment_of(record)
    if found.load is None:
        able = ", ".join(name for name in NAMES if experiment(name).load is not None)
        raise RunError(
            f"Expected a run that trains a system to open, one of {able}, but {record.path} is of {record.experiment}."
        )
    return found.load(record)
