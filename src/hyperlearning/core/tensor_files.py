"""Tensors and JSON facts in one safetensors file that carries a hash of both, written atomically. Nothing is unpickled."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hyperlearning.core.atomic_files import write_atomically
from hyperlearning.core.errors import FileError

_ENTRY = "hyperlearning"


@dataclass(frozen=True)
class TensorFile:
    """What was saved.

    Attributes:
        tensors: Named tensors.
        facts: JSON values beside them, such as a cursor and a configuration.
        path: Where it was read from.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    path: Path


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Writes tensors and facts to one file that carries a hash of both.

    Raises:
        OSError: If it cannot be written; what was at `path` stays as it was.
    """
    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(facts, sort_keys=True)
    # A file's own order is another; sums over all tensors, such as a gradient's norm, would round differently in it.
    order = json.dumps(list(contiguous))
    # One entry: several would be written in an order that changes from process to process.
    entry = {"facts": text, "order": order, "sha256": _digest(contiguous, text + order)}
    write_atomically(path, save(contiguous, {_ENTRY: json.dumps(entry)}))


def load_tensors(path: Path) -> TensorFile:
    """Reads and verifies what `save_tensors` wrote.

    Raises:
        FileError: If the file is missing, truncated or altered.
    """
    try:
        with safe_open(path, framework="pt") as file:
            entry = json.loads((file.metadata() or {}).get(_ENTRY, "{}"))
            # A copy is aligned as PyTorch aligns; matrix products may round differently on memory that is not.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise FileError(f"Expected a readable file at {path}, but got: {error}.") from error
    facts, order = entry.get("facts", ""), entry.get("order", "")
    if entry.get("sha256") != _digest(tensors, facts + order):
        raise FileError(f"Expected the file {path} as it was written, but its contents were altered.")
    return TensorFile({name: tensors[name] for name in json.loads(order)}, json.loads(facts), path)


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(
            tensor.contiguous().reshape(-1).view(torch.uint8).cpu().numpy().tobytes() if tensor.numel() else b""
        )
    return digest.hexdigest()
