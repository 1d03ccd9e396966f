"""How what a hypernetwork emits becomes a tensor of its target: as it is, as what a base is moved by, or as a mask on it.

What is emitted has a variance of about 1 at first; an emission gives it the scale that the target's own initialiser would.

Shape suffixes: B conditions.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.networks.hypernetworks.targets import EmittedTensor

_SQUARED_TANH = 0.3943
"""The mean of tanh(z)^2 where z is normal with a variance of 1."""


@runtime_checkable
class Emission(Protocol):
    """How emitted numbers become weights."""

    @property
    def has_base(self) -> bool:
        """Whether there is a base, which is trained and which all conditions share."""
        ...

    def num_emitted(self, tensor: EmittedTensor) -> int:
        """Numbers that must be emitted for a tensor."""
        ...

    def reach(self, tensor: EmittedTensor) -> float:
        """How far a weight moves where an emitted number moves by 1, at the most."""
        ...

    def first_base(self, values: Tensor) -> Tensor:
        """Makes a tensor's base of its own first values."""
        ...

    def weights(
        self, emitted: Float[Tensor, "B emitted"], base: Tensor | None, tensor: EmittedTensor
    ) -> Float[Tensor, "B ..."]:
        """Makes a tensor of what is emitted for it, and of its base if there is one."""
        ...


@dataclass(frozen=True)
class FullEmission:
    """Every number is emitted: `mean + spread * emitted`.

    Networks that are emitted at first pass on the variance that the target's own first weights do.

    Source: Chang et al., "Principled Weight Initialization for Hypernetworks" (2020), section 4; the variances of layers are
    read from the target, in place of its fan-ins.
    """

    has_base = False

    def num_emitted(self, tensor: EmittedTensor) -> int:
        """All of them."""
        return tensor.size

    def reach(self, tensor: EmittedTensor) -> float:
        """As far as first weights are spread."""
        return tensor.spread

    def first_base(self, values: Tensor) -> Tensor:
        """Is of no use."""
        return values

    def weights(
        self, emitted: Float[Tensor, "B emitted"], base: Tensor | None, tensor: EmittedTensor
    ) -> Float[Tensor, "B ..."]:
        """Scales and moves what is emitted."""
        scaled = emitted.reshape(-1, *tensor.shape) * tensor.spread
        return scaled + tensor.mean if tensor.mean else scaled


@dataclass(frozen=True)
class ResidualEmission:
    """A base is moved by what is emitted: `base + gain * spread * emitted`.

    The base begins as the target came, so that a target that needs its own first weights, as SIREN does, begins with them.

    Attributes:
        gain: How far at first, in standard deviations of the target's own initialiser.
    """

    gain: float = 0.01
    has_base = True

    def __post_init__(self) -> None:
        _check_gain(self.gain)

    def num_emitted(self, tensor: EmittedTensor) -> int:
        """All of them."""
        return tensor.size

    def reach(self, tensor: EmittedTensor) -> float:
        """A part of how far first weights are spread."""
        return self.gain * tensor.spread

    def first_base(self, values: Tensor) -> Tensor:
        """The target's own values."""
        return values

    def weights(
        self, emitted: Float[Tensor, "B emitted"], base: Tensor | None, tensor: EmittedTensor
    ) -> Float[Tensor, "B ..."]:
        """Moves the base."""
        assert base is not None
        return base + (self.gain * tensor.spread) * emitted.reshape(-1, *tensor.shape)


@dataclass(frozen=True)
class LowRankEmission:
    """A base is moved by a product of two thin matrices, which are emitted: `base + gain * spread / sqrt(rank) * U @ V`.

    A tensor of more than two axes is a matrix of its first axis and all others; one of a single axis is moved as by
    `ResidualEmission`.

    Attributes:
        rank: Columns of the one, rows of the other.
        gain: How far at first, in standard deviations of the target's own initialiser.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), section 4.1, with both matrices emitted.
    """

    rank: int = 4
    gain: float = 0.01
    has_base = True

    def __post_init__(self) -> None:
        _check_gain(self.gain)
        if self.rank < 1:
            raise ValueError(f"Expected `rank` to be positive, but got {self.rank}.")

    def num_emitted(self, tensor: EmittedTensor) -> int:
        """Both matrices, or all numbers where those are no more."""
        return self.rank * sum(_matrix(tensor)) if self._is_thin(tensor) else tensor.size

    def reach(self, tensor: EmittedTensor) -> float:
        """As far as for `ResidualEmission`, beside a number of 1 of the other matrix."""
        return self.gain * tensor.spread

    def first_base(self, values: Tensor) -> Tensor:
        """The target's own values."""
        return values

    def weights(
        self, emitted: Float[Tensor, "B emitted"], base: Tensor | None, tensor: EmittedTensor
    ) -> Float[Tensor, "B ..."]:
        """Multiplies the two matrices, and moves the base."""
        assert base is not None
        if not self._is_thin(tensor):
            return base + (self.gain * tensor.spread) * emitted.reshape(-1, *tensor.shape)
        rows, columns = _matrix(tensor)
        left, right = emitted.split([self.rank * rows, self.rank * columns], 1)
        product = left.unflatten(1, (rows, self.rank)) @ right.unflatten(1, (self.rank, columns))
        return base + (self.gain * tensor.spread / math.sqrt(self.rank)) * product.reshape(-1, *tensor.shape)

    def _is_thin(self, tensor: EmittedTensor) -> bool:
        return len(tensor.shape) > 1 and self.rank * sum(_matrix(tensor)) < tensor.size


@dataclass(frozen=True)
class MaskEmission:
    """Weights of a base are multiplied by `|tanh(emitted)|`, the smallest of a tensor by 0.

    Attributes:
        zeros: The share of a tensor's weights that are 0.

    Source: Książek and Spurek, "HyperMask" (2023), section 3, "semi-binary" masks. The base begins 1.6 times as large as the
    target came, so that the masked network passes on as much variance.
    """

    zeros: float = 0.0
    has_base = True

    def __post_init__(self) -> None:
        if not 0 <= self.zeros < 1:
            raise ValueError(f"Expected `zeros` from 0 to below 1, but got {self.zeros}.")

    def num_emitted(self, tensor: EmittedTensor) -> int:
        """One for each weight."""
        return tensor.size

    def reach(self, tensor: EmittedTensor) -> float:
        """From nothing of a weight to nearly all of it."""
        return 1.0

    def first_base(self, values: Tensor) -> Tensor:
        """The target's own values, as much larger as masks make them smaller."""
        return values / math.sqrt(_SQUARED_TANH)

    def weights(
        self, emitted: Float[Tensor, "B emitted"], base: Tensor | None, tensor: EmittedTensor
    ) -> Float[Tensor, "B ..."]:
        """Masks the base; backwards, what is 0 has no gradient."""
        assert base is not None
        return base * self.mask(emitted).reshape(-1, *tensor.shape)

    def mask(self, emitted: Float[Tensor, "B emitted"]) -> Float[Tensor, "B emitted"]:
        """Makes masks of what is emitted for one tensor."""
        kept = emitted.tanh().abs()
        num_zeros = round(self.zeros * emitted.shape[1])
        if not num_zeros:
            return kept
        largest_zero = kept.detach().kthvalue(num_zeros, dim=1, keepdim=True).values
        return torch.where(kept > largest_zero, kept, 0.0)


def _check_gain(gain: float) -> None:
    if not 0 < gain < math.inf:
        raise ValueError(f"Expected `gain` to be positive and finite, but got {gain}.")


def _matrix(tensor: EmittedTensor) -> tuple[int, int]:
    return tensor.shape[0], tensor.size // max(1, tensor.shape[0])
