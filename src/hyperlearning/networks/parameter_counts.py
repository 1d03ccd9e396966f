"""How many numbers of a network are plastic and innate, without allocating any of them."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import nn

_Module = TypeVar("_Module", bound=nn.Module)


class ParameterCounts(NamedTuple):
    """Numbers of each kind.

    Attributes:
        plastic: Each member of a population has its own.
        innate: All members share them.
    """

    plastic: int
    innate: int

    @property
    def total(self) -> int:
        """Numbers of one member, as the papers count."""
        return self.plastic + self.innate

    def __str__(self) -> str:
        """Both counts and their sum."""
        return f"{self.plastic:,} plastic + {self.innate:,} innate = {self.total:,} parameters"


def count_parameters(module: nn.Module, is_innate: Callable[[str], bool]) -> ParameterCounts:
    """Counts a module's plastic and innate parameters.

    Args:
        module: Any module, also on the meta device.
        is_innate: Says of each parameter name whether it is innate.
    """
    counts = [0, 0]
    for name, tensor in module.named_parameters():
        counts[is_innate(name)] += math.prod(tensor.shape)
    return ParameterCounts(*counts)


def without_allocating(build: Callable[[], _Module]) -> _Module:
    """Builds a network on the meta device: shapes and names, no numbers and no memory.

    Args:
        build: Makes the network on the default device.

    Example:
        >>> network = without_allocating(lambda: nn.Linear(1_000_000, 1_000_000))
        >>> count_parameters(network, lambda name: False).total
        1000001000000
    """
    with torch.device("meta"):
        return build()
