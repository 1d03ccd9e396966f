"""First weights of layers, drawn from a generator."""

from typing import Literal

import torch
from torch import nn

WeightRule = Literal["uniform", "kaiming"]
"""How first weights are drawn: as PyTorch does, uniform in `+-1/sqrt(fan_in)` and biases too; or normal with a variance of
`2 / fan_out`, biases 0."""


@torch.no_grad()
def draw_weights(network: nn.Module, source: torch.Generator, *, rule: WeightRule = "uniform") -> None:
    """Draws the weights of all convolutions and dense layers anew, in the order of the modules; nothing else changes.

    Args:
        network: Any module; it is changed in place.
        source: Of all numbers.
        rule: How they are drawn.

    Source of "kaiming": He et al., "Delving Deep into Rectifiers" (2015), equation 14.
    """
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        if rule == "kaiming":
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=source)
            if layer.bias is not None:
                layer.bias.zero_()
        else:
            reach = layer.weight[0].numel() ** -0.5
            for tensor in layer.parameters():
                tensor.uniform_(-reach, reach, generator=source)
