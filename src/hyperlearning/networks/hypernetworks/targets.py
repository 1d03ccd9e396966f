"""What a hypernetwork has to know of a network that it writes: which tensors, and how its own initialiser begins them."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

Emits = Callable[[str], bool]
"""Says of a parameter's name whether it is emitted."""

_OF_CONSTANTS = 0.1
"""How far tensors whose first values are all equal, such as biases of 0, are moved by what is emitted at first."""


class EmittedTensor(NamedTuple):
    """One of a target network's tensors.

    Attributes:
        name: Its name in the target's state.
        shape: Its shape.
        mean: What its own initialiser gives on average.
        spread: The standard deviation of what it gives, or a tenth if that is a constant.
    """

    name: str
    shape: tuple[int, ...]
    mean: float
    spread: float

    @property
    def size(self) -> int:
        """Its numbers."""
        return math.prod(self.shape)


def emitted_tensors(target: nn.Module, emits: Emits) -> tuple[EmittedTensor, ...]:
    """Lists the tensors of a target network that a hypernetwork emits.

    The standard deviation of a tensor's own initialiser is read from its values, for those of all layers are drawn around 0; one
    whose values are all equal was set to a constant.

    Args:
        target: Any module, with its first weights.
        emits: Which of its parameters are emitted.

    Raises:
        ValueError: If none is, or a parameter is lazy, shared by two names, or not of real floating-point numbers.
    """
    check_target(target)
    chosen = {name: tensor.detach() for name, tensor in target.named_parameters() if emits(name)}
    if not chosen:
        raise ValueError(
            f"Expected a target with parameters to emit, but got {type(target).__name__} with none of them."
        )
    return tuple(EmittedTensor(name, tuple(tensor.shape), *_first(tensor)) for name, tensor in chosen.items())


def check_target(target: nn.Module) -> None:
    """Refuses a network that no hypernetwork can write.

    Args:
        target: Any module.

    Raises:
        ValueError: If a parameter is lazy, shared by two names, or not of real floating-point numbers; the message names it.
    """
    seen: dict[int, str] = {}
    for name, tensor in target.named_parameters(remove_duplicate=False):
        if is_lazy(tensor):
            raise ValueError(
                f"Expected a target whose shapes are known, but {name!r} is lazy: run the target once first."
            )
        if not tensor.is_floating_point():
            raise ValueError(f"Expected parameters of real floating-point numbers, but {name!r} is {tensor.dtype}.")
        if id(tensor) in seen:
            raise ValueError(
                f"Expected a target whose parameters have one name each, but {seen[id(tensor)]!r} and {name!r} are the same "
                "one: copy one of them."
            )
        seen[id(tensor)] = name


def _first(tensor: Tensor) -> tuple[float, float]:
    values = tensor.to(torch.float64)
    if tensor.numel() == 0 or bool((values == values.flatten()[0]).all()):
        return float(values.mean()) if tensor.numel() else 0.0, _OF_CONSTANTS
    return 0.0, float(values.square().mean().sqrt())
