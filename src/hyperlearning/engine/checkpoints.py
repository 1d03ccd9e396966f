"""Checkpoints of a run: one file a step, the last two kept, the newest that can be trusted found again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from hyperlearning.core.tensor_files import FileError, TensorFile, load_tensors, save_tensors

_SUFFIX = ".safetensors"
_KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Writes the checkpoint of a step and removes all but the last two.

    Raises:
        OSError: If it cannot be written; earlier checkpoints stay.
    """
    path = folder / f"step-{step:09d}{_SUFFIX}"
    save_tensors(path, tensors, facts)
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_latest(folder: Path, expected: Mapping[str, Any]) -> tuple[TensorFile | None, list[str]]:
    """Reads the newest checkpoint that can be trusted.

    Args:
        folder: Where checkpoints are.
        expected: Facts that must be as given, such as the configuration.

    Returns:
        The checkpoint, or nothing if there is none, and one line for every newer one passed over.

    Raises:
        FileError: If there are checkpoints but none can be used.
    """
    complaints: list[str] = []
    for path in _newest_first(folder):
        try:
            checkpoint = load_tensors(path)
            _match(checkpoint, expected)
        except FileError as error:
            complaints.append(str(error))
            continue
        return checkpoint, complaints
    if complaints:
        raise FileError("No usable checkpoint:\n" + "\n".join(complaints))
    return None, []


def _match(checkpoint: TensorFile, expected: Mapping[str, Any]) -> None:
    for name, value in expected.items():
        # Through JSON, so that tuples and lists compare equal.
        got, wanted = checkpoint.facts.get(name), json.loads(json.dumps(value))
        if got != wanted:
            raise FileError(f"Expected the checkpoint {checkpoint.path} to be of {name} {wanted}, but it is of {got}.")


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"step-*{_SUFFIX}"), reverse=True)
