"""Batches as lives are given them: what is no batch, or does not suit, is refused by type and shape."""

import math
from typing import Any

import torch
from torch import Tensor


def check_batch(inputs: Any, targets: Any) -> None:
    """Refuses what cannot be learned from, whatever the life.

    Raises:
        TypeError: If inputs or targets are no tensors.
        ValueError: If there are not as many targets as inputs, or none.
    """
    if not (isinstance(inputs, Tensor) and isinstance(targets, Tensor)):
        check_tensor("inputs", inputs)
        check_tensor("targets", targets)
    if not inputs.ndim or inputs.shape[:1] != targets.shape[:1]:
        raise ValueError(
            f"Expected as many targets as inputs, one an example, but got {described('inputs', inputs)} and "
            f"{described('targets', targets)}."
        )
    if not len(inputs):
        raise ValueError("Expected a batch of one example or more, but got none.")


def check_inputs(inputs: Any) -> None:
    """Refuses what nothing can be predicted from.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If it holds a NaN or an infinity.
    """
    check_tensor("inputs", inputs)
    if not all_finite(inputs):
        raise ValueError("Expected finite inputs, but got a NaN or an infinity.")


def check_tensor(name: str, value: Any) -> None:
    """Raises a `TypeError` that says how to make a tensor of what is none."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Expected `{name}` to be a tensor, but got {type(value).__name__}. `torch.as_tensor` makes one of an array or a "
            "list."
        )


def all_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds neither a NaN nor an infinity."""
    # A sum is one pass and one number to wait for; it may be infinite where no term is, and then it takes another look.
    return math.isfinite(float(tensor.sum())) or bool(torch.isfinite(tensor).all())


def described(name: str, tensor: Tensor) -> str:
    """A tensor as a message names it: by shape and type."""
    return f"{name} of shape {tuple(tensor.shape)} and {type_name(tensor)}"


def type_name(tensor: Tensor) -> str:
    """A tensor's type as users write it."""
    return str(tensor.dtype).removeprefix("torch.")


def unfit(
    error: BaseException, inputs: Tensor, targets: Tensor | None = None, *, like: Tensor | None = None
) -> BaseException:
    """Makes an error that PyTorch raised inside a network one that names the batch.

    Args:
        error: What was raised.
        inputs: What was given.
        targets: Likewise; absent where something was to be predicted.
        like: A parameter of the network.

    Returns:
        A `ValueError`; an error that is not about the batch stays as it is.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return error
    given = [described("inputs", inputs), *([] if targets is None else [described("targets", targets)])]
    parameters = "" if like is None else f", whose parameters are of {type_name(like)}"
    return ValueError(f"Expected a batch that suits the network{parameters}, but got {' and '.join(given)}: {error}")
