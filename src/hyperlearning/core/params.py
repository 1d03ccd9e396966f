"""Named parameters, their plastic and innate halves, and the population axis."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Params = dict[str, Tensor]
"""Named tensors. A population of M members has a leading axis of size M on every plastic tensor."""


def partition(module: nn.Module, is_innate: Callable[[str], bool]) -> tuple[Params, Params]:
    """Splits a module's parameters into plastic and innate ones.

    Args:
        module: Any module. It is not modified; the returned tensors are detached copies.
        is_innate: Says of each parameter name whether it is innate.

    Returns:
        The plastic and the innate parameters, each in the module's own order.

    Raises:
        ValueError: If no parameter is plastic: nothing would learn.
    """
    plastic: Params = {}
    innate: Params = {}
    for name, tensor in module.named_parameters():
        (innate if is_innate(name) else plastic)[name] = tensor.detach().clone()
    if not plastic:
        raise ValueError("Expected at least one plastic parameter, but got only innate ones.")
    return plastic, innate


def stack_members(params: Params, num_members: int) -> Params:
    """Copies parameters for every member of a population: each tensor gains a leading axis of size M."""
    return {name: tensor.expand(num_members, *tensor.shape).clone() for name, tensor in params.items()}


def detach(params: Params) -> Params:
    """Cuts every tensor from the graph that made it."""
    return {name: tensor.detach() for name, tensor in params.items()}


def count(params: Mapping[str, Tensor]) -> int:
    """Counts the numbers in named tensors."""
    return sum(math.prod(tensor.shape) for tensor in params.values())


def joined(parts: Mapping[str, Params]) -> Params:
    """Named tensors of several parts of a state as one, `part/name`; `part_of` takes one out again."""
    return {f"{part}/{name}": tensor for part, own in parts.items() for name, tensor in own.items()}


def part_of(tensors: Params, part: str, *, separator: str = "/") -> Params:
    """Tensors of one part of a state, such as "best", by their own names."""
    prefix = f"{part}{separator}"
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def on_default_device(tensor: Tensor) -> Tensor:
    """Moves a tensor that was read from a file, or made of an array, to where new tensors are made."""
    return tensor.to(torch.get_default_device())
