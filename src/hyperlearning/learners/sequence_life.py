"""A life that reads: learning an example is one forward step of a sequence model whose weights never change.

Source: Lee, Son and Kim, "Recasting Continual Learning as Sequence Modeling" (2023), section 3.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hyperlearning.core.errors import FileError
from hyperlearning.core.losses import LossFn, mean_squared_error
from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.learners.batches import check_batch, check_inputs, unfit
from hyperlearning.networks.sequence_model import Memory, SequenceModel


class SequenceLife:
    """A life of a meta-trained sequence model: what is plastic is what the model has read.

    With softmax attention it keeps keys and values of every example, and an example costs as many operations as have been
    met; with linear attention both stay the same throughout.

    Args:
        model: The model. It is not changed.
        loss_fn: Maps predictions and targets with a leading axis to a loss each: what `observe` returns.
    """

    def __init__(self, model: SequenceModel, *, loss_fn: LossFn = mean_squared_error) -> None:
        self._model, self._loss_fn = model, loss_fn
        self._num_updates = 0
        with torch.no_grad():
            self._memory: Memory = model.begin(1)

    @property
    def num_updates(self) -> int:
        """Examples read so far."""
        return self._num_updates

    @property
    def num_stored(self) -> int:
        """Numbers that are kept of what was read, the model's first token with it."""
        return sum(tensor.numel() for layer in self._memory for tensor in layer)

    def observe(self, inputs: Float[Tensor, "batch *inputs"], targets: Shaped[Tensor, "batch *targets"]) -> float:
        """Reads a batch, one example after another.

        Returns:
            The mean loss, each example predicted before it is read.

        Raises:
            ValueError: If the batch is empty or does not suit the model, or an example holds a NaN or an infinity. Examples
                before it have been read.
            TypeError: If inputs or targets are no tensors.
        """
        return float(self.observe_each(inputs, targets).mean())

    @torch.no_grad()
    def observe_each(
        self, inputs: Float[Tensor, "examples *inputs"], targets: Shaped[Tensor, "examples *targets"]
    ) -> Float[Tensor, " examples"]:
        """Likewise; returns the loss of each example before it is read."""
        check_batch(inputs, targets)
        pairs = zip(inputs.split(1), targets.split(1), strict=True)
        try:
            return torch.tensor([self._read(x[None], y[None]) for x, y in pairs], dtype=torch.float64)
        except (RuntimeError, IndexError) as error:
            raise unfit(error, inputs, targets) from error

    @torch.no_grad()
    def predict(self, inputs: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch outputs"]:
        """Says what is expected of each input by itself. Nothing changes.

        Raises:
            ValueError: If the inputs hold a NaN or an infinity, or do not suit the model.
            TypeError: If they are no tensor.
        """
        check_inputs(inputs)
        try:
            return self._model.answer(inputs[None], self._memory)[0]
        except RuntimeError as error:
            raise unfit(error, inputs) from error

    def save(self, path: str | Path) -> None:
        """Writes what was read to one safetensors file; the model is not part of it."""
        save_tensors(Path(path), _named(self._memory), {"num_updates": self._num_updates})

    def load(self, path: str | Path) -> None:
        """Goes on where a saved life of the same model stood.

        Raises:
            FileError: If the file is missing, truncated, altered, or of a model of another shape.
        """
        saved = load_tensors(Path(path))
        num_updates = int(saved.facts.get("num_updates", -1))
        found, wanted = _shapes(saved.tensors), self._shapes_after(num_updates)
        if found != wanted:
            raise FileError(f"Expected a life that read {num_updates} examples, {wanted}, in {path}, but got {found}.")
        self._memory = tuple((saved.tensors[key], saved.tensors[value]) for key, value in _names(len(self._memory)))
        self._num_updates = num_updates

    def _read(self, example: Tensor, target: Tensor) -> float:
        if not bool(torch.isfinite(example).all() and torch.isfinite(target).all()):
            raise ValueError("Expected a finite example, but got a NaN or an infinity.")
        loss = float(self._loss_fn(self._model.answer(example, self._memory), target))
        self._memory = self._model.read(example, target, self._memory)
        self._num_updates += 1
        return loss

    def _shapes_after(self, num_updates: int) -> dict[str, Any]:
        wanted = _shapes(_named(self._memory))
        if self._model.attention == "linear":
            return wanted
        return {name: ((*shape[:2], num_updates + 1, shape[3]), dtype) for name, (shape, dtype) in wanted.items()}


def _names(num_layers: int) -> list[tuple[str, str]]:
    return [(f"{layer}/keys", f"{layer}/values") for layer in range(num_layers)]


def _named(memory: Memory) -> dict[str, Tensor]:
    pairs = zip(_names(len(memory)), memory, strict=True)
    return {name: tensor for names, kept in pairs for name, tensor in zip(names, kept, strict=True)}


def _shapes(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name: (tuple(tensor.shape), str(tensor.dtype)) for name, tensor in sorted(tensors.items())}
