"""Gradients of plain multilayer perceptrons, written out: for networks so small that autograd costs more than the arithmetic.

Of a chain `h_l = phi(h_{l-1} W_l' + b_l)` with the mean squared error of the last: `delta_L = 2 (h_L - y) / N`,
`dW_l = delta_l' h_{l-1}`, `db_l = sum delta_l`, `delta_{l-1} = phi'(h_{l-1}) * (delta_l W_l)`.
"""

from collections.abc import Callable, Collection
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

Gradients = Callable[[Tensor, Tensor], tuple[Tensor, list[Tensor]]]
"""Maps inputs (B, in) and targets (B, out) to outputs (B, out) and the gradients of the plastic parameters, in their order."""


def chain_gradients(network: nn.Module, plastic: Collection[str]) -> Gradients | None:
    """Makes the gradients of the mean squared error of a chain of linear layers, with tanh or ReLU between any of them.

    Args:
        network: Any module.
        plastic: Names of the parameters that gradients are wanted of.

    Returns:
        The function; none if the network is no such chain.
    """
    layers = list(network) if type(network) is nn.Sequential else []
    known = all(type(layer) in (nn.Linear, nn.Tanh, nn.ReLU) for layer in layers)
    if not known or not layers or len(set(layers)) < len(layers) or not isinstance(layers[0], nn.Linear):
        return None
    if any(
        not isinstance(first, nn.Linear) and not isinstance(second, nn.Linear) for first, second in pairwise(layers)
    ):
        return None

    def gradients(x: Float[Tensor, "batch inputs"], y: Float[Tensor, "batch outputs"]) -> tuple[Tensor, list[Tensor]]:
        values = _forward(layers, x)
        apart = values[-1] - y
        delta, found = apart * (2 / apart.numel()), []
        for place in range(len(layers) - 1, -1, -1):
            layer, below, above = layers[place], values[place], values[place + 1]
            if isinstance(layer, nn.Linear):
                if f"{place}.bias" in plastic:
                    found.append(delta.sum(0))
                if f"{place}.weight" in plastic:
                    found.append(delta.T @ below)
                delta = delta @ layer.weight if place else delta
            elif isinstance(layer, nn.Tanh):
                delta = torch.addcmul(delta, delta * above, above, value=-1)
            else:
                delta = delta * (above > 0)
        return values[-1], found[::-1]

    return gradients


def _forward(layers: list[nn.Module], x: Tensor) -> list[Tensor]:
    """What stands before the first layer and after each."""
    values = [x]
    for layer in layers:
        values.append(layer(values[-1]))
    return values
