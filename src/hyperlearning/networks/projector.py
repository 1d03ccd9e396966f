"""Projectors: what stands between an encoder and a loss that needs no labels, and is thrown away afterwards."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from hyperlearning.networks.first_weights import draw_weights


def projector(
    source: torch.Generator, num_features: int, *, widths: Sequence[int] = (2048, 2048, 2048)
) -> nn.Sequential:
    """Makes dense layers without bias, each but the last followed by batch norm and ReLU.

    Args:
        source: Source of first weights.
        num_features: Of the encoder.
        widths: Units of each layer; the last are the projections.

    Raises:
        ValueError: If there is no layer, or a size is not positive.

    Source: Zbontar et al., "Barlow Twins" (2021), section 3.2, with 8192 units a layer; 2048 are usual on small images.
    """
    if not widths or min(num_features, *widths) < 1:
        raise ValueError(
            f"Expected positive `num_features` and one or more positive `widths`, but got {num_features}, {tuple(widths)}."
        )
    layers: list[nn.Module] = []
    for before, after in pairwise((num_features, *widths)):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
    network = nn.Sequential(*layers[:-2])
    draw_weights(network, source)
    return network
