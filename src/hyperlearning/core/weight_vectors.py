"""A network's weights as one vector, and what it takes to put them back: names, shapes and types.

Shape suffixes: N numbers of a network, P pieces, S numbers of a piece.
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params


class Part(NamedTuple):
    """One of a network's tensors.

    Attributes:
        name: Its name in the network's state.
        shape: Its shape.
        dtype: Its type, such as "float32".
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Header:
    """Names, shapes and types of all floating-point numbers of a network, parameters and buffers, in its own order."""

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Numbers in all, N."""
        return sum(math.prod(part.shape) for part in self.parts)

    def facts(self) -> list[Any]:
        """As JSON values."""
        return [[part.name, list(part.shape), part.dtype] for part in self.parts]

    @classmethod
    def of_facts(cls, facts: Iterable[Any]) -> "Header":
        """Reads what `facts` made."""
        return cls(tuple(Part(name, tuple(shape), dtype) for name, shape, dtype in facts))


class Weights(NamedTuple):
    """All that a network has learned.

    Attributes:
        header: What the numbers of the vector are.
        vector: Every floating-point number, as float32.
        exact: Tensors of other types, such as how many batches a batch norm has seen.
    """

    header: Header
    vector: Float[Tensor, " N"]
    exact: Params


def weights_of(module: nn.Module) -> Weights:
    """Takes a network's weights out, as copies: parameters and the buffers that are part of its state.

    Raises:
        ValueError: If there are none, or one is a NaN or an infinity; the message names its tensor.
    """
    state = {name: tensor.detach() for name, tensor in module.state_dict().items()}
    floats = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    if not floats:
        raise ValueError(f"Expected a network with weights, but got {type(module).__name__}, which has none.")
    for name, tensor in floats.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"Expected finite weights, but got a NaN or an infinity in {name!r}.")
    parts = (Part(name, tuple(tensor.shape), _name_of(tensor.dtype)) for name, tensor in floats.items())
    vector = torch.cat([tensor.flatten().to(torch.float32) for tensor in floats.values()])
    exact = {name: tensor.clone() for name, tensor in state.items() if name not in floats}
    return Weights(Header(tuple(parts)), vector, exact)


def state_of(weights: Weights) -> Params:
    """Makes a network's state of its weights.

    Raises:
        ValueError: If the vector has another size than the header says.
    """
    header, vector = weights.header, weights.vector
    if vector.shape != (header.size,):
        raise ValueError(f"Expected a vector of {header.size} numbers, but got shape {tuple(vector.shape)}.")
    pieces = vector.split([math.prod(part.shape) for part in header.parts])
    floats = {
        part.name: piece.reshape(part.shape).to(getattr(torch, part.dtype))
        for part, piece in zip(header.parts, pieces, strict=True)
    }
    return floats | {name: tensor.clone() for name, tensor in weights.exact.items()}


def with_weights(module: nn.Module, weights: Weights) -> nn.Module:
    """Copies a network and gives the copy these weights.

    Raises:
        ValueError: If its tensors have other names, shapes or types; the message names the first that differs.
    """
    check_fits(module, weights.header)
    own = copy.deepcopy(module)
    own.load_state_dict(state_of(weights), assign=True)
    return own


def check_fits(module: nn.Module, header: Header) -> None:
    """Refuses a network whose floating-point tensors are not those of a header.

    Raises:
        ValueError: The message names the first that differs.
    """
    wanted = {part.name: part for part in header.parts}
    here = {
        name: Part(name, tuple(tensor.shape), _name_of(tensor.dtype))
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point()
    }
    for name in [*wanted, *here]:
        if wanted.get(name) != here.get(name):
            raise ValueError(
                f"Expected a network with {_said(wanted.get(name), name)}, but got one with {_said(here.get(name), name)}."
            )


def split(vector: Float[Tensor, " N"], size: int) -> Float[Tensor, "P S"]:
    """Cuts a vector into pieces of one size; zeros fill the last one up.

    Raises:
        ValueError: If `size` is not positive.

    Source: dissertation, section 2.2.2 and its footnote.
    """
    if size < 1:
        raise ValueError(f"Expected `size` to be positive, but got {size}.")
    num_pieces = math.ceil(len(vector) / size)
    return torch.nn.functional.pad(vector, (0, num_pieces * size - len(vector))).reshape(num_pieces, size)


def join(pieces: Float[Tensor, "P S"], length: int) -> Float[Tensor, " N"]:
    """Undoes `split`, given how many numbers there were.

    Raises:
        ValueError: If they are more than the pieces hold, or so few that a piece is left over.
    """
    if math.ceil(length / pieces.shape[1]) != len(pieces):
        raise ValueError(
            f"Expected as many pieces of {pieces.shape[1]} as hold {length} numbers, but got {len(pieces)} of them."
        )
    return pieces.flatten()[:length]


def num_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Counts the bytes that tensors take in the types that they have."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _said(part: Part | None, name: str) -> str:
    return f"no {name!r}" if part is None else f"{name!r} of shape {part.shape}, {part.dtype}"
