"""A network that differs from a fixed source in a few numbers, each of which moves many weights: what is learned is the code.

`w = source + spread * sign * code[place]`: every weight has one place in the code and one sign, drawn once from a seed, so that
neither has to be stored. A task is learned by gradients on the code alone.

Source: Chen et al., "Compressing Neural Networks with the Hashing Trick" (2015), for weights that share numbers by a hash; Li et
al., "Measuring the Intrinsic Dimension of Objective Landscapes" (2018), for learning in a random subspace around a start.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.networks.weight_codec.rewritten import RewrittenNetwork


class CodedNetwork(RewrittenNetwork):
    """Any module, its parameters held at a source and moved by a code.

    Args:
        module: The network. Its parameters as they are now are the source; it is not changed. Buffers stay as they are.
        code_size: Numbers of the code.
        seed: Of places and signs; the same for all networks that one source is for.

    Raises:
        ValueError: If there are no parameters, or `code_size` is not positive.

    Example:
        >>> coded = CodedNetwork(nn.Linear(30, 2), code_size=8)
        >>> sum(parameter.numel() for parameter in coded.parameters())
        8
    """

    code: nn.Parameter

    def __init__(self, module: nn.Module, *, code_size: int, seed: int = 0) -> None:
        super().__init__(module)
        if code_size < 1:
            raise ValueError(f"Expected `code_size` to be positive, but got {code_size}.")
        self.code = nn.Parameter(torch.zeros(code_size))
        self._places, self._moves = _drawn(self._source, code_size, seed)
        self._sizes = [source.numel() for source in self._source.values()]

    def weights(self) -> Params:
        """The network's parameters, by name, differentiable by the code."""
        # One look-up for all tensors: backwards it takes a quarter of the time of one each.
        parts = (self._moves * self.code.index_select(0, self._places)).split(self._sizes)
        return {
            name: source + part.view_as(source)
            for (name, source), part in zip(self._source.items(), parts, strict=True)
        }

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
    source = torch.Generator().manual_seed(seed)
    places = [torch.randint(code_size, (tensor.numel(),), generator=source) for tensor in own.values()]
    signs = [torch.randint(2, (tensor.numel(),), generator=source) * 2.0 - 1 for tensor in own.values()]
    moves = [sign * _spread(tensor) for sign, tensor in zip(signs, own.values(), strict=True)]
    return torch.cat(places), torch.cat(moves)


def _spread(tensor: Tensor) -> float:
    """The standard deviation of a tensor of two axes or more; a tenth for biases and the like, whose first values say little."""
    return float(tensor.std()) if tensor.ndim > 1 and tensor.numel() > 1 else _OF_BIASES


_OF_BIASES = 0.1
