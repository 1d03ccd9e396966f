"""Bounds of what a hypernetwork emits for all embeddings of a box, and of what the networks between such bounds say.

A box goes through a layer as a centre and a radius, and through what never falls as two ends. No network of the box, and no
output of it, leaves its bounds; they need not be reached.

Shape suffixes: B boxes, E numbers of an embedding, C chunks, N numbers emitted.

Source: Krukowski et al., "HINT: Hypernetwork approach to training weight interval regions in continual learning" (2024); Gowal et
al., "On the effectiveness of interval bound propagation for training verifiably robust models" (2018), section 3.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from hyperlearning.core.params import Params
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.hypernetworks.writing import ACTIVATIONS, AtOnce, InChunks

RISING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.MaxPool2d, nn.AvgPool2d, nn.Flatten, nn.Identity)
"""Layers whose outputs never fall where an input rises, so that ends of boxes go to ends of boxes."""


class Emitted(NamedTuple):
    """What a hypernetwork emits for boxes.

    Attributes:
        lower_BN: Nothing that it emits for an embedding of the box is below.
        middle_BN: What it emits for the box's centre.
        upper_BN: Nothing is above.
    """

    lower_BN: Tensor
    middle_BN: Tensor
    upper_BN: Tensor


def emitted_interval(
    hyper: Hypernetwork, centres_BE: Float[Tensor, "B E"], radii_BE: Float[Tensor, "B E"], *, of: str = "target"
) -> Emitted:
    """Bounds what a hypernetwork emits.

    Args:
        hyper: The hypernetwork.
        centres_BE: Centres of boxes of embeddings.
        radii_BE: How far they reach along each direction, 0 or more.
        of: Which target.

    Raises:
        ValueError: If every tensor has layers of its own.
    """
    writer = hyper.writers[of]
    if isinstance(writer, InChunks):
        assert hyper.chunk_head is not None
        head, chunks_CE = hyper.chunk_head, writer.embeddings
    elif isinstance(writer, AtOnce):
        head, chunks_CE = writer.head, None
    else:
        raise ValueError(
            "Expected `heads` of 'shared', but got a hypernetwork with layers of their own for every tensor."
        )
    middle_BN = hyper.emitted(centres_BE, of=of)
    act, layers = ACTIVATIONS[hyper.body.activation], [*hyper.body.layers, head]
    centre, radius = centres_BE, radii_BE
    for place, layer in enumerate(layers):
        assert isinstance(layer, nn.Linear)
        if not place and chunks_CE is not None:
            of_task, of_chunk = layer.weight.split([centre.shape[1], chunks_CE.shape[1]], 1)
            radius = linear(radius, of_task.abs())[:, None].expand(-1, len(chunks_CE), -1)
            centre = linear(centre, of_task)[:, None] + linear(chunks_CE, of_chunk, layer.bias)
        else:
            centre, radius = layer(centre), linear(radius, layer.weight.abs())
        if layer is not head:
            centre, radius = _through(act, centre, radius)
    return Emitted((centre - radius).flatten(1), middle_BN, (centre + radius).flatten(1))


def _through(act: Callable[[Tensor], Tensor], centre: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    lower, upper = act(centre - radius), act(centre + radius)
    return (lower + upper) / 2, (upper - lower) / 2


def run_interval(network: nn.Sequential, lower: Params, upper: Params, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds what all networks say whose weights lie between bounds.

    Args:
        network: The layers: dense ones, convolutions, and `RISING`.
        lower: No weight is below, by name.
        upper: None is above.
        inputs: A batch of exact inputs.

    Returns:
        What no output is below, and what none is above.

    Raises:
        TypeError: If there is another layer; the message names it.
    """
    centre, radius = inputs, torch.zeros_like(inputs)
    for name, layer in network.named_children():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            weight, bias = (_box(lower, upper, f"{name}.{part}") for part in ("weight", "bias"))
            run = _run_of(layer)
            spread = run(radius, weight[0].abs()) + run(centre.abs() + radius, weight[1])
            shape = (1, -1) + (1,) * (centre.ndim - 2)
            centre = run(centre, weight[0])
            if layer.bias is not None:
                centre, spread = centre + bias[0].view(shape), spread + bias[1].view(shape)
            radius = spread
        elif isinstance(layer, RISING):
            centre, radius = _through(layer, centre, radius)
        else:
            kinds = "dense layers, convolutions and layers that never fall"
            raise TypeError(f"Expected {kinds}, but {name!r} is {type(layer).__name__}.")
    return centre - radius, centre + radius


def _box(lower: Params, upper: Params, name: str) -> tuple[Tensor, Tensor]:
    if name not in lower:
        return torch.zeros(()), torch.zeros(())
    return (lower[name] + upper[name]) / 2, (upper[name] - lower[name]) / 2


def _run_of(layer: nn.Linear | nn.Conv2d) -> Callable[[Tensor, Tensor], Tensor]:
    if isinstance(layer, nn.Linear):
        return linear
    stride, padding, dilation, groups = layer.stride, layer.padding, layer.dilation, layer.groups
    return lambda inputs, weight: conv2d(inputs, weight, None, stride, padding, dilation, groups)
