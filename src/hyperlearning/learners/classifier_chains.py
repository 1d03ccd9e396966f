"""Which networks the compiled kernel of small classifiers (`kernels/classifiers`) runs: chains of layers that it has."""

import re

from torch import Tensor, nn

from hyperlearning.kernels import classifiers
from hyperlearning.kernels.classifiers import ClassifierKernel, ClassifierSpec


def kernel_of(network: nn.Module, images: Tensor) -> ClassifierKernel | None:
    """The compiled kernel of a network, if it is a chain that one can be built for.

    Args:
        network: The network.
        images: Such as it gets, (N, channels, side, side).
    """
    spec = spec_of(network, images)
    return None if spec is None or classifiers.unsupported(spec) else classifiers.build(spec)


def spec_of(network: nn.Module, images: Tensor) -> ClassifierSpec | None:
    """A chain of convolutions, each with pooling and ReLU, and of dense layers with ReLU between them; no other network."""
    layers = list(network.children()) if type(network).forward is nn.Sequential.forward else []
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if not convolutions or not dense or images.shape[-1] != images.shape[-2] or images.device.type != "cpu":
        return None
    spec = ClassifierSpec(
        channels=convolutions[0].in_channels,
        side=images.shape[-1],
        maps=tuple(layer.out_channels for layer in convolutions),
        kernel_size=convolutions[0].kernel_size[0],
        units=tuple(layer.out_features for layer in dense),
        dtype=images.dtype,
    )
    shapes = tuple(parameter.shape for parameter in network.parameters())
    kinds = "".join(_kind(layer, spec.kernel_size) for layer in layers)
    fits = re.fullmatch("(cpr|crp)+f(dr)*d", kinds) and spec.side_left > 0 and shapes == spec.shapes
    return spec if fits and all(parameter.dtype == spec.dtype for parameter in network.parameters()) else None


def _kind(layer: nn.Module, kernel_size: int) -> str:
    """A letter a layer; one of other settings than a kernel has gets none that stands in a chain."""
    if isinstance(layer, nn.Conv2d):
        plain = (layer.stride, layer.padding, layer.dilation, layer.groups) == ((1, 1), (0, 0), (1, 1), 1)
        return "c" if plain and layer.kernel_size == (kernel_size, kernel_size) else "-"
    if isinstance(layer, nn.MaxPool2d):
        return "p" if (layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode) == (2, 2, 0, False) else "-"
    letters = {nn.ReLU: "r", nn.Flatten: "f", nn.Linear: "d"}
    return letters.get(type(layer), "-")
