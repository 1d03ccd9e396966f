"""ANML: a neuromodulatory network that gates the activations, and so the plasticity, of a prediction network.

Images are (B, C, 28, 28). Inside they are rows of channels (`row_convolution`), so that flattened features are ordered by
row, column and map.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.kernels.row_convolution import correlate, pool, pooled_first_block, standardize

Gates = Literal["learned", "random", "none"]

IMAGE_SIDE = 28
_LAST_SIDE = 3
_MAPS, _GATE_MAPS = 256, 112


class ConvStack(nn.Module):
    """Three 3 x 3 convolutions with instance normalization and ReLU, and 2 x 2 max-pooling after the first two.

    Normalization takes each image by itself, as the authors' batch normalization on batches of one does. It cancels any
    bias of a convolution, so there is none. Pooling stands before the ReLU: the numbers are the same, the work a quarter.

    Args:
        in_channels: Channels of the images.
        maps: Feature maps of each convolution.
        generator: Source of the initial weights; the global one if absent.

    Source: "Learning to Continually Learn", section 3; sides 28, 13, 5, 3.
    """

    def __init__(self, in_channels: int, maps: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        sources = (in_channels, maps, maps)
        self.weights = nn.ParameterList(kaiming_normal((maps, 3, 3, source), generator) for source in sources)
        self.scales = nn.ParameterList(torch.ones(maps) for _ in sources)
        self.shifts = nn.ParameterList(torch.zeros(maps) for _ in sources)
        self.num_features = _LAST_SIDE**2 * maps

    def forward(self, images: Float[Tensor, "batch channels 28 28"]) -> Float[Tensor, "batch features"]:
        """Turns images into features. No gradient reaches the images."""
        (first, *weights), (scale, *scales), (shift, *shifts) = self.weights, self.scales, self.shifts
        maps = _activate(pooled_first_block(images.permute(0, 2, 3, 1), first, scale) + shift)
        for layer, (weight, scale, shift) in enumerate(zip(weights, scales, shifts, strict=True), start=2):
            maps = torch.addcmul(shift, standardize(correlate(maps, weight)), scale)
            maps = _activate(pool(maps) if layer == 2 else maps)
        return maps.flatten(1)


class Neuromodulator(nn.Module):
    """Turns images into gates between 0 and 1, one for each feature of the prediction network."""

    def __init__(
        self, in_channels: int, maps: int, num_gates: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.stack = ConvStack(in_channels, maps, generator=generator)
        self.last = kaiming_linear(self.stack.num_features, num_gates, generator)

    def forward(self, images: Float[Tensor, "batch channels 28 28"]) -> Float[Tensor, "batch gates"]:
        """Computes the gates."""
        return torch.sigmoid(self.last(self.stack(images)))


class GatedPredictor(nn.Module):
    """The prediction network: features of images times gates, and a linear layer. All of it is plastic."""

    def __init__(
        self, in_channels: int, maps: int, num_classes: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.stack = ConvStack(in_channels, maps, generator=generator)
        self.last = kaiming_linear(self.stack.num_features, num_classes, generator)
        self.image_shape = (in_channels, IMAGE_SIDE, IMAGE_SIDE)

    def features(self, prepared: Float[Tensor, "batch prepared"]) -> Float[Tensor, "batch features"]:
        """Computes gated features of images, whose gates lie behind their pixels; no gates there, no gating."""
        pixels = math.prod(self.image_shape)
        features = self.stack(prepared[:, :pixels].detach().unflatten(1, self.image_shape))
        return features * prepared[:, pixels:] if prepared.shape[1] > pixels else features

    def forward(self, prepared: Float[Tensor, "batch prepared"]) -> Float[Tensor, "batch classes"]:
        """Predicts."""
        return self.last(self.features(prepared))


class ANMLNetwork(nn.Module):
    """A prediction network (plastic) whose features a neuromodulatory network (innate) gates.

    Args:
        num_classes: Outputs, 1000 in the paper.
        width: Share of the published feature maps, 256 and 112: 1, 1/2 or 1/4.
        in_channels: Channels of the images; the authors have 3 equal ones.
        gates: "learned"; "random" for a neuromodulator that stays as it was drawn, neither plastic nor innate; "none" for a
            prediction network alone.
        generator: Source of the initial weights; the global one if absent.

    Raises:
        ValueError: If a setting is out of range.

    Source: "Learning to Continually Learn" (Beaulieu et al., 2020), section 3.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        width: float = 1.0,
        in_channels: int = 1,
        gates: Gates = "learned",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        maps, gate_maps = scaled_maps(_MAPS, width), scaled_maps(_GATE_MAPS, width)
        if num_classes < 2 or in_channels < 1:
            raise ValueError(
                f"Expected at least 2 `num_classes` and 1 of `in_channels`, but got {num_classes} and {in_channels}."
            )
        if gates not in ("learned", "random", "none"):
            raise ValueError(f"Expected `gates` to be 'learned', 'random' or 'none', but got {gates!r}.")
        self.predictor = GatedPredictor(in_channels, maps, num_classes, generator=generator)
        self.neuromodulator = None
        if gates != "none":
            features = self.predictor.stack.num_features
            self.neuromodulator = Neuromodulator(in_channels, gate_maps, features, generator=generator)
        if gates == "random":
            _freeze(self.neuromodulator)

    def is_innate(self, name: str) -> bool:
        """Says whether a parameter of this name is the neuromodulator's."""
        return name.startswith("neuromodulator.")

    def prepare(
        self, innate: Params, inputs: Float[Tensor, "*batch channels 28 28"]
    ) -> Float[Tensor, "*batch prepared"]:
        """Computes what the prediction network takes: an image's pixels, and behind them its gates.

        Args:
            innate: Innate parameters of the whole network by name.
            inputs: Images with any number of batch axes (steps, members, batch), all of them in one call.
        """
        pixels = inputs.flatten(-3)
        if self.neuromodulator is None:
            return pixels
        gates = functional_part(self.neuromodulator, "neuromodulator", innate, inputs.flatten(0, -4))
        return torch.cat((pixels, gates.unflatten(0, inputs.shape[:-3])), dim=-1)

    def forward(self, inputs: Float[Tensor, "batch channels 28 28"]) -> Float[Tensor, "batch classes"]:
        """Predicts from images."""
        return self.predictor(self.prepare(dict(self.named_parameters()), inputs))


def functional_part(part: nn.Module, name: str, params: Params, inputs: Tensor) -> Tensor:
    """Runs one part of a network with parameters that are named as in the whole."""
    own = {key.removeprefix(name + "."): tensor for key, tensor in params.items() if key.startswith(name + ".")}
    return torch.func.functional_call(part, own, (inputs,))


def scaled_maps(maps: int, width: float) -> int:
    """Scales a number of feature maps.

    Raises:
        ValueError: If the width is not positive, or leaves a fraction of a map.
    """
    scaled = maps * Fraction(width).limit_denominator(64)
    if scaled <= 0 or scaled.denominator != 1:
        raise ValueError(f"Expected `width` to be a share that leaves whole feature maps of {maps}, but got {width}.")
    return int(scaled)


def kaiming_normal(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Draws weights (outputs, *inputs) from a normal distribution of variance `2 / fan_in`.

    Source: He et al., "Delving Deep into Rectifiers", equation 10.
    """
    return torch.empty(tuple(shape)).normal_(0.0, math.sqrt(2 / math.prod(shape[1:])), generator=generator)


def kaiming_linear(fan_in: int, fan_out: int, generator: torch.Generator | None) -> nn.Linear:
    """Makes a linear layer with weights by `kaiming_normal` and biases of 0."""
    with torch.device("meta"):
        layer = nn.Linear(fan_in, fan_out)
    layer.weight = nn.Parameter(kaiming_normal((fan_out, fan_in), generator))
    layer.bias = nn.Parameter(torch.zeros(fan_out))
    return layer


def _activate(maps: Tensor) -> Tensor:
    # The one place for another activation, such as a phenotype. Nothing else needs what it writes over.
    return torch.relu_(maps)


def _freeze(module: nn.Module | None) -> None:
    """Turns parameters into buffers: no list of parameters has them, yet they move and are saved with the module."""
    assert module is not None
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
