"""A network that differs from a fixed source in a few numbers, each of which moves many weights: what is learned is the code.

`w = source + spread * sign * step * round(code[place] / step)`: every weight has one place in the code and one sign, drawn once
from a seed, so that neither has to be stored. A task is learned by gradients on the code alone, which pass straight through the
rounding: what is tested is what is stored, and a code of few different values compresses further.

Every tensor has a stretch of the code of its own, longer the more weights it has, but not in proportion: a small tensor, such as
a first convolution, has fewer weights to a number.

Source: Chen et al., "Compressing Neural Networks with the Hashing Trick" (2015), for weights of a tensor that share numbers by a
hash; Li et al., "Measuring the Intrinsic Dimension of Objective Landscapes" (2018), for learning in a random subspace around a
start; Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons" (2013), for gradients straight through.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.networks.weight_codec.rewritten import RewrittenNetwork

_OF_BIASES = 0.1
"""Spread of biases and the like, whose first values say little."""
_POWER = 0.75
"""A tensor's share of the code goes with its number of weights to this power."""


class CodedNetwork(RewrittenNetwork):
    """Any module, its parameters held at a source and moved by a code.

    Args:
        module: The network. Its parameters as they are now are the source; it is not changed. Buffers stay as they are.
        code_size: Numbers of the code.
        step: What numbers are rounded to multiples of, in standard deviations of a tensor's weights; not rounded if 0.
        seed: Of places and signs; the same for all networks that one source is for.

    Raises:
        ValueError: If there are no parameters, `code_size` is not positive, or `step` is negative.

    Example:
        >>> coded = CodedNetwork(nn.Linear(30, 2), code_size=8)
        >>> sum(parameter.numel() for parameter in coded.parameters())
        8
    """

    code: nn.Parameter

    def __init__(self, module: nn.Module, *, code_size: int, step: float = 1.0, seed: int = 0) -> None:
        super().__init__(module)
        if code_size < 1:
            raise ValueError(f"Expected `code_size` to be positive, but got {code_size}.")
        if step < 0:
            raise ValueError(f"Expected `step` to be 0 or more, but got {step}.")
        self.code, self.step = nn.Parameter(torch.zeros(code_size)), step
        self._places, self._moves = _drawn(self._source, code_size, seed)
        self._sizes = [source.numel() for source in self._source.values()]

    def weights(self) -> Params:
        """The network's parameters, by name; backwards, the gradient of the rounded code is that of the code."""
        code = self.code
        if self.step:
            code = code + (self.rounded() - code).detach()
        # One look-up for all tensors: backwards it takes a quarter of the time of one each.
        parts = (self._moves * code.index_select(0, self._places)).split(self._sizes)
        return {
            name: source + part.view_as(source)
            for (name, source), part in zip(self._source.items(), parts, strict=True)
        }

    @torch.no_grad()
    def rounded(self) -> Float[Tensor, " code"]:
        """The code as it counts."""
        return (self.code / self.step).round() * self.step if self.step else self.code.clone()

    def load_code(self, code: Float[Tensor, " code"]) -> None:
        """Takes a code over.

        Raises:
            ValueError: If it has another size.
        """
        if code.shape != self.code.shape:
            raise ValueError(f"Expected a code of {len(self.code)} numbers, but got shape {tuple(code.shape)}.")
        with torch.no_grad():
            self.code.copy_(code)


def _drawn(own: Mapping[str, Tensor], code_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """The place of every weight in the code, and its sign times how far weights of its tensor lie apart, in one vector each."""
    source, begin = torch.Generator().manual_seed(seed), 0.0
    places, moves = [], []
    lengths = _lengths([tensor.numel() for tensor in own.values()], code_size)
    for tensor, length in zip(own.values(), lengths, strict=True):
        count = tensor.numel()
        even = begin + length * (torch.arange(count, dtype=torch.float64) + 0.5) / count
        order = torch.randperm(count, generator=source)
        places.append(even.floor().long().clamp(max=code_size - 1)[order])
        moves.append((torch.randint(2, (count,), generator=source) * 2.0 - 1) * _spread(tensor))
        begin += length
    return torch.cat(places), torch.cat(moves)


def _lengths(counts: Sequence[int], code_size: int) -> list[float]:
    """How much of a code every tensor has, in numbers and parts of them: none more than it has weights."""
    lengths, left, free = [0.0] * len(counts), float(code_size), set(range(len(counts)))
    while free:
        unit = left / sum(counts[place] ** _POWER for place in free)
        full = {place for place in free if unit * counts[place] ** _POWER >= counts[place]}
        for place in full or free:
            lengths[place] = min(unit * counts[place] ** _POWER, float(counts[place]))
        left -= sum(float(counts[place]) for place in full)
        free = free - full if full else set()
    return lengths


def _spread(tensor: Tensor) -> float:
    """The standard deviation of a tensor of two axes or more."""
    return float(tensor.std()) if tensor.ndim > 1 and tensor.numel() > 1 else _OF_BIASES
