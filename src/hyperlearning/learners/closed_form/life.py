"""A closed-form life: fixed features, and a readout that is solved one example at a time."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hyperlearning.core.errors import FileError
from hyperlearning.core.params import Params
from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.learners.batches import check_batch, check_inputs, described, unfit


@runtime_checkable
class Readout(Protocol):
    """What is solved.

    Attributes:
        state: All that it keeps of the examples met, changed in place. Its size does not grow.
    """

    @property
    def state(self) -> Params:
        """All that it keeps of the examples met, changed in place."""
        ...

    def learn(self, features: Float[Tensor, " features"], target: Shaped[Tensor, "*target"]) -> float:
        """Takes one example in.

        Returns:
            The loss before: mean squared error of numbers, nats of a label.

        Raises:
            ValueError: If the example holds a NaN or an infinity; nothing has changed then.
        """
        ...

    def predict(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch outputs"]:
        """Says what it expects: numbers, or a logit for every label."""
        ...


class ClosedFormLife:
    """A life that solves its readout: every example is taken in once, exactly, and forgotten.

    Args:
        readout: What is solved. It goes on from where it stands.
        features: Maps inputs (B, ...) to features (B, d) and never changes. Absent: inputs are features.

    Example:
        >>> from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares
        >>> life = ClosedFormLife(RecursiveLeastSquares(2, 1, precision=1e-6))
        >>> for x in (0.0, 1.0, 2.0):
        ...     loss = life.observe(torch.tensor([[1.0, x]]), torch.tensor([[3 + 2 * x]]))
        >>> [round(float(value), 3) for value in life.predict(torch.tensor([[1.0, 10.0]]))]
        [23.0]
    """

    def __init__(self, readout: Readout, features: Callable[[Tensor], Tensor] | None = None) -> None:
        self.readout = readout
        self._features = features
        self._num_updates = 0

    @property
    def num_updates(self) -> int:
        """Examples taken in so far."""
        return self._num_updates

    @property
    def num_stored(self) -> int:
        """Numbers that change in life and have to be kept; features are not among them."""
        return sum(tensor.numel() for tensor in self.readout.state.values())

    def observe(self, inputs: Float[Tensor, "batch *inputs"], targets: Shaped[Tensor, "batch *targets"]) -> float:
        """Takes a batch in, one example after another, and forgets it.

        Args:
            inputs: (B, ...).
            targets: (B, outputs) numbers, or (B,) labels, as the readout has it.

        Returns:
            The mean loss, each example predicted before it is learned: squared error of numbers, nats of labels.

        Raises:
            ValueError: If the batch is empty or does not suit the readout, or an example holds a NaN or an infinity. Examples
                before it have been learned.
            TypeError: If inputs or targets are no tensors.
        """
        losses = self._losses(inputs, targets)
        return sum(losses) / len(losses)

    def observe_each(
        self, inputs: Float[Tensor, "examples *inputs"], targets: Shaped[Tensor, "examples *targets"]
    ) -> Float[Tensor, " examples"]:
        """Likewise; returns the loss of each example before it is learned."""
        return torch.tensor(self._losses(inputs, targets), dtype=torch.float64)

    @torch.no_grad()
    def _losses(self, inputs: Tensor, targets: Tensor) -> list[float]:
        check_batch(inputs, targets)
        losses, learn = [], self.readout.learn
        try:
            features = inputs if self._features is None else self._features(inputs)
            for each, target in zip(features.unbind(), targets.unbind(), strict=True):
                losses.append(learn(each, target))
                self._num_updates += 1
        except RuntimeError as error:
            raise unfit(error, inputs, targets) from error
        return losses

    @torch.no_grad()
    def predict(self, inputs: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch outputs"]:
        """Says what is expected: numbers, or a logit for every label. Nothing changes.

        Raises:
            ValueError: If the inputs hold a NaN or an infinity, or do not suit the readout.
            TypeError: If they are no tensor.
        """
        check_inputs(inputs)
        try:
            return self.readout.predict(inputs if self._features is None else self._features(inputs))
        except RuntimeError as error:
            raise unfit(error, inputs) from error

    def save(self, path: str | Path) -> None:
        """Writes all that changes in life to one safetensors file; features are not part of it."""
        facts = {"num_updates": self._num_updates, "readout": type(self.readout).__name__}
        save_tensors(Path(path), self.readout.state, facts)

    def load(self, path: str | Path) -> None:
        """Goes on where a saved life with the same kind of readout stood.

        Raises:
            FileError: If the file is missing, truncated, altered, or of another readout.
        """
        saved, state = load_tensors(Path(path)), self.readout.state
        found = saved.facts.get("readout"), _shapes(saved.tensors)
        if found != (wanted := (type(self.readout).__name__, _shapes(state))):
            raise FileError(
                f"Expected a life of {wanted[0]} with {wanted[1]} in {path}, but got {found[0]} with {found[1]}."
            )
        for name, tensor in state.items():
            tensor.copy_(saved.tensors[name])
        self._num_updates = saved.facts["num_updates"]


def _shapes(tensors: Params) -> dict[str, Any]:
    return {name: (tuple(tensor.shape), str(tensor.dtype)) for name, tensor in sorted(tensors.items())}


def finite(value: float, what: str) -> float:
    """Returns a number that everything about an example has gone into, if it is finite.

    Raises:
        ValueError: If it is not: the example holds a NaN or an infinity, or numbers too large for their type.
    """
    if not math.isfinite(value):
        raise ValueError(
            f"Expected an example of finite {what} within their type's range, but got a NaN or an infinity."
        )
    return value


def nats(logits: Float[Tensor, " labels"], label: int) -> float:
    """Minus the logarithm of the share that a softmax gives a label."""
    return -float(torch.log_softmax(logits, 0)[label])


def nats_among_met(logits: Float[Tensor, " labels"], label: int) -> float:
    """Likewise over the labels met so far, whose logits are finite.

    Of one met for the first time nothing is known: the loss is the logarithm of how many there are with it.
    """
    loss = -float(torch.log_softmax(logits, 0)[label])
    return loss if math.isfinite(loss) else math.log(int(torch.isfinite(logits).sum()) + 1)


def check_target(target: Tensor, num_outputs: int) -> None:
    """Raises a `ValueError` if a target does not hold a number for each output: one number would count for all."""
    if target.numel() != num_outputs:
        raise ValueError(
            f"Expected a target of {num_outputs} number{'s' * (num_outputs > 1)}, but got {described('one', target)}."
        )


def checked_label(label: Tensor, num_labels: int) -> int:
    """Returns a label as a number.

    Raises:
        ValueError: If it is no whole number from 0 to `num_labels` - 1.
    """
    if label.numel() != 1 or label.is_floating_point() or label.dtype == torch.bool:
        raise ValueError(
            f"Expected a label as a whole number from 0 to {num_labels - 1}, but got {described('one', label)}."
        )
    value = int(label)
    if not 0 <= value < num_labels:
        raise ValueError(f"Expected a label from 0 to {num_labels - 1}, but got {value}.")
    return value
