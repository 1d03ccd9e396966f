"""The neuron for images: a small convolutional network on its channels laid out as an image.

Shape suffixes: C channels (a square number), S side of the channel image, so C = S * S.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ConvPhenotype(nn.Module):
    """A small convolutional network from a vector of channels, seen as an S x S image of one channel, to one number.

    Convolutions (no padding), then dense layers; leaky ReLU after each layer but the last.
    Weights start as PyTorch's own do: uniform in `+-1/sqrt(fan_in)`.

    Args:
        num_channels: Size of the vector synapse, a square number.
        maps: Feature maps of each convolution.
        kernel_size: Side of its kernels.
        hidden_sizes: Units of the dense hidden layers.
        input_activation: Whether the channels pass a leaky ReLU first, as in the authors' script.
        output_activation: Whether the output does.
        generator: Source of the initial weights; the global one if absent.

    Raises:
        ValueError: If the channels are not a square, or too few for the convolutions.

    Source: "Continual Learning with Deep Artificial Neurons", section 3.2; the authors' class-incremental script has
    channels 10 x 10, convolutions 16 and 8 of side 2, dense 4000-30-1.
    """

    def __init__(
        self,
        num_channels: int,
        *,
        maps: Sequence[int] = (8, 8),
        kernel_size: int = 2,
        hidden_sizes: Sequence[int] = (16,),
        input_activation: bool = False,
        output_activation: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.side = math.isqrt(num_channels)
        if self.side**2 != num_channels:
            near = (self.side**2, (self.side + 1) ** 2)
            raise ValueError(
                "Expected a square number of channels for a convolutional phenotype, "
                f"such as {near[0]} or {near[1]}, but got {num_channels}."
            )
        left = self.side - len(maps) * (kernel_size - 1)
        if left < 1:
            raise ValueError(
                f"Expected channels of side {self.side - left + 1} or more for {len(maps)} convolutions of side "
                f"{kernel_size}, but got {num_channels} channels of side {self.side}."
            )
        convolutions, sources = [], (1, *maps)
        for source, target in zip(sources, maps, strict=False):
            convolutions.append(
                _uniform((target, source, kernel_size, kernel_size), source * kernel_size**2, generator)
            )
        sizes = (sources[-1] * left**2, *hidden_sizes, 1)
        self.conv_weights = nn.ParameterList(convolutions)
        self.conv_biases = nn.ParameterList(
            _uniform((target,), source * kernel_size**2, generator)
            for source, target in zip(sources, maps, strict=False)
        )
        self.weights = nn.ParameterList(_uniform((a, b), a, generator) for a, b in pairwise(sizes))
        self.biases = nn.ParameterList(_uniform((b,), a, generator) for a, b in pairwise(sizes))
        self.input_activation = input_activation
        self.output_activation = output_activation

    def forward(self, drive: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch"]:
        """Turns each neuron's channels into its activation."""
        activate = torch.nn.functional.leaky_relu
        image = drive.reshape(-1, 1, self.side, self.side)
        if self.input_activation:
            image = activate(image)
        for weight, bias in zip(self.conv_weights, self.conv_biases, strict=True):
            image = activate(torch.nn.functional.conv2d(image, weight, bias))
        hidden = image.flatten(1)
        layers = list(zip(self.weights, self.biases, strict=True))
        for number, (weight, bias) in enumerate(layers, start=1):
            hidden = hidden @ weight + bias
            if number < len(layers) or self.output_activation:
                hidden = activate(hidden)
        return hidden.reshape(drive.shape[:-1])


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator | None) -> nn.Parameter:
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))
