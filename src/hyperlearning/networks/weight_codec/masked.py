"""A network whose weights are those of a fixed source, or 0: what is learned is which, one bit a weight.

Source: Ramanujan et al., "What's Hidden in a Randomly Weighted Neural Network?" (2020), for masks by scores with a gradient that
passes straight through; Wortsman et al., "Supermasks in Superposition" (2020), for a mask a task on one network.
"""

import copy
import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.networks.weight_codec.rewritten import RewrittenNetwork


class MaskedNetwork(RewrittenNetwork):
    """Any module, of whose weights the best by score are kept at their source and all others are 0.

    Tensors of one axis, biases and the like, have no mask and stay at their source.

    Args:
        module: The network. Its parameters as they are now are the source; it is not changed.
        share: The share of each tensor's weights that is kept.
        generator: Source of first scores; the global one if absent.

    Raises:
        ValueError: If no parameter has two axes, or `share` is not between 0 and 1.
    """

    scores: nn.Parameter

    def __init__(self, module: nn.Module, *, share: float = 0.5, generator: torch.Generator | None = None) -> None:
        super().__init__(module)
        if not 0 < share < 1:
            raise ValueError(f"Expected `share` between 0 and 1, but got {share}.")
        self._masked = {name: tensor for name, tensor in self._source.items() if tensor.ndim > 1}
        if not self._masked:
            raise ValueError(f"Expected a network with weights of two axes, but got {type(module).__name__}.")
        self._share = share
        first = [_first_scores(tensor, generator) for tensor in self._masked.values()]
        self.scores = nn.Parameter(torch.cat(first))

    def weights(self) -> Params:
        """The network's parameters under its mask, by name; backwards, the mask's gradient is that of the scores."""
        kept = self.mask().to(self.scores.dtype)
        return self.masked(kept + self.scores - self.scores.detach())

    @torch.no_grad()
    def mask(self) -> Bool[Tensor, " masked"]:
        """Which weights are kept, in the order of the network's tensors."""
        kept = []
        for scores in self._by_tensor(self.scores):
            num_kept = max(1, round(self._share * len(scores)))
            kept.append(scores >= _smallest(scores, len(scores) - num_kept))
        return torch.cat(kept)

    def masked(self, mask: Tensor) -> Params:
        """The network's parameters under any mask, (masked,), by name."""
        parts = dict(zip(self._masked, self._by_tensor(mask), strict=True))
        return {
            name: source * parts[name].view_as(source) if name in parts else source
            for name, source in self._source.items()
        }

    def _by_tensor(self, flat: Float[Tensor, " masked"] | Bool[Tensor, " masked"]) -> tuple[Tensor, ...]:
        return flat.split([tensor.numel() for tensor in self._masked.values()])


def signed_constants(module: nn.Module, *, share: float = 0.5) -> nn.Module:
    """A copy whose weights keep their signs alone: all of a tensor are as large, as a network to be masked should be.

    Their size is sqrt(2 / (inputs * share)), so that what is kept of them passes on the variance of what comes in; tensors of one
    axis, which no mask can take away, are 0, but for scales of normalisation, which stay.

    Args:
        module: The network; it is not changed.
        share: The share of weights that masks will keep.

    Source: Ramanujan et al. (2020), section 4, "signed Kaiming constant", scaled.
    """
    made = copy.deepcopy(module)
    with torch.no_grad():
        for own in made.modules():
            for name, tensor in own.named_parameters(recurse=False):
                if tensor.ndim > 1:
                    tensor.copy_(tensor.sign() * math.sqrt(2 / (tensor[0].numel() * share)))
                elif name == "bias":
                    tensor.zero_()
    return made


def _smallest(scores: Float[Tensor, " masked"], place: int) -> float | Tensor:
    """The score that `place` others precede. On a CPU NumPy finds it in a tenth of the time, without a branch a number."""
    if not scores.is_cpu:
        return scores.kthvalue(place + 1).values
    return np.partition(scores.cpu().numpy(), place)[place].item()


def _first_scores(tensor: Tensor, source: torch.Generator | None) -> Tensor:
    reach = 1 / math.sqrt(tensor[0].numel())
    return torch.empty(tensor.numel()).uniform_(-reach, reach, generator=source)
