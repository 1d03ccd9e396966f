"""What networks share whose weights are computed from a fixed source and something small that is learned."""

import copy
from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.core.params import Params


class RewrittenNetwork(nn.Module, ABC):
    """Any module, run with weights that are computed from those it came with.

    Args:
        module: The network. Its parameters as they are now are the source; it is not changed. Buffers stay as they are.

    Raises:
        ValueError: If there are no parameters.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._source = {name: tensor.detach().clone() for name, tensor in module.named_parameters()}
        if not self._source:
            raise ValueError(f"Expected a network with parameters, but got {type(module).__name__}, which has none.")
        self._module = [copy.deepcopy(module).requires_grad_(False)]  # A list: its numbers are no part of the state.

    @abstractmethod
    def weights(self) -> Params:
        """The network's parameters, by name, differentiable by what is learned."""

    def train(self, mode: bool = True) -> "RewrittenNetwork":
        """Sets the mode of the network too, which is no submodule."""
        self._module[0].train(mode)
        super().train(mode)
        return self

    def forward(self, *args: Tensor) -> Tensor:
        """Runs the network with its weights."""
        return functional_call(self._module[0], self.weights(), args)

    def plain(self) -> nn.Module:
        """A copy of the network with these weights, for good."""
        own = copy.deepcopy(self._module[0])
        own.load_state_dict({**own.state_dict(), **{name: value.detach() for name, value in self.weights().items()}})
        return own
