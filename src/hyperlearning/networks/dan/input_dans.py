"""Input DANs: stacked innate convolutions, read as neurons of one type that each see a part of the image.

Shape suffixes: B batch, C channels or maps, S side of a map, F features.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

Downsampling = Literal["stride", "pool"]
Normalization = Literal["none", "instance", "group"]
Rectifier = Literal["leaky_relu", "relu"]

_KERNEL = 3
_EPS = 1e-5

_RECTIFIERS: dict[Rectifier, Callable[[Tensor], Tensor]] = {
    "leaky_relu": nn.functional.leaky_relu,
    "relu": nn.functional.relu,
}


class InputDANs(nn.Module):
    """Stacked convolutions of side 3 from square images to a vector of features; each layer halves the side.

    A layer is convolution (zero padding 1), normalization if any, rectifier, and max-pool if that is what halves it. All its
    numbers are innate, and nothing in it depends on other images: normalization has no running statistics.
    Weights start as PyTorch's own do: uniform in `+-1/sqrt(fan_in)`.

    Args:
        image_shape: Channels and both sides of the images, (C, S, S).
        maps: Feature maps of each convolution.
        downsampling: What halves the side: a convolution of "stride" 2 (odd sides round up) or a 2 x 2 max-"pool" (down).
        rectifier: Applied after each convolution; leaky ReLU has slope 0.01.
        normalization: "none"; "instance": each map of each image by its own mean and deviation; "group": maps in groups.
            With one innate gain and offset a map.
        num_groups: Groups of maps, for "group" alone; it divides each of `maps`.
        unit_rms: Whether the features of each image are divided by their root mean square, so that the size of synaptic
            updates does not depend on contrast.
        centred: Whether the last layer has no rectifier and each image's features are brought to mean 0: features of different
            images can then be at right angles, and what one image writes into the synapses need not touch another's.
        checkpoint: Whether the backward pass computes layers again and keeps only their inputs: less memory, a third more
            time, same gradients. Not under `torch.vmap`.
        generator: Source of the initial weights; the global one if absent.

    Attributes:
        num_features: Length of the feature vector, F.

    Raises:
        ValueError: If images are not square or too small for the stack, or settings contradict one another.

    Source: "Continual Learning with Deep Artificial Neurons", section 3.2 (two layers, leaky ReLU); the authors'
    class-incremental script pools.

    Example:
        >>> InputDANs((1, 28, 28), maps=(16, 16))(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 784])
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        maps: Sequence[int],
        downsampling: Downsampling = "stride",
        rectifier: Rectifier = "leaky_relu",
        normalization: Normalization = "none",
        num_groups: int | None = None,
        unit_rms: bool = True,
        centred: bool = False,
        checkpoint: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_shape(image_shape, maps)
        sides = _sides(image_shape[1], len(maps), downsampling)
        self.image_shape = image_shape
        self.maps = tuple(maps)
        self.downsampling: Downsampling = downsampling
        self.rectifier: Rectifier = rectifier
        self.normalization: Normalization = normalization
        self.num_groups = num_groups
        self.unit_rms = unit_rms
        self.centred = centred
        self.checkpoint = checkpoint
        # Normalization comes before pooling, so it sees the map that the convolution makes.
        self._check_normalization(sides[1:] if downsampling == "stride" else sides[:-1])
        self.num_features = maps[-1] * sides[-1] ** 2
        layers = [(a, b, a * _KERNEL**2) for a, b in pairwise((image_shape[0], *maps))]
        self.weights = nn.ParameterList(
            _uniform((b, a, _KERNEL, _KERNEL), fan_in, generator) for a, b, fan_in in layers
        )
        self.biases = nn.ParameterList(_uniform((b,), fan_in, generator) for _, b, fan_in in layers)
        if normalization != "none":
            self.gains = nn.ParameterList(nn.Parameter(torch.ones(size)) for size in maps)
            self.offsets = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in maps)

    def forward(self, images: Float[Tensor, "batch channels side side"]) -> Float[Tensor, "batch features"]:
        """Turns images into features."""
        if images.shape[1:] != self.image_shape:
            raise ValueError(f"Expected images of shape {self.image_shape}, but got {tuple(images.shape[1:])}.")
        maps_BCSS = images
        for layer in range(len(self.maps)):
            # Parameters are arguments: what computes the layer again must see those of this call (`functional_call`).
            rectified = not (self.centred and layer == len(self.maps) - 1)
            arguments = (rectified, maps_BCSS, self.weights[layer], self.biases[layer], *self._affine(layer))
            if self.checkpoint:
                maps_BCSS = recompute(self._layer, *arguments, use_reentrant=False, preserve_rng_state=False)
            else:
                maps_BCSS = self._layer(*arguments)
        features_BF = maps_BCSS.flatten(1)
        if self.centred:
            features_BF = features_BF - features_BF.mean(-1, keepdim=True)
        return _over_rms(features_BF) if self.unit_rms else features_BF

    def _affine(self, layer: int) -> tuple[Tensor, ...]:
        return () if self.normalization == "none" else (self.gains[layer], self.offsets[layer])

    def _layer(self, rectified: bool, maps_BCSS: Tensor, weight: Tensor, bias: Tensor, *affine: Tensor) -> Tensor:
        stride = 2 if self.downsampling == "stride" else 1
        maps_BCSS = nn.functional.conv2d(maps_BCSS, weight, bias, stride=stride, padding=_KERNEL // 2)
        if affine:
            groups = len(weight) if self.num_groups is None else self.num_groups
            maps_BCSS = nn.functional.group_norm(maps_BCSS, groups, *affine, eps=_EPS)
        if rectified:
            maps_BCSS = _RECTIFIERS[self.rectifier](maps_BCSS)
        return nn.functional.max_pool2d(maps_BCSS, 2) if self.downsampling == "pool" else maps_BCSS

    def _check_normalization(self, sides: Sequence[int]) -> None:
        if (self.normalization == "group") != (self.num_groups is not None):
            raise ValueError(
                "Expected `num_groups` with normalization 'group' and only with it, "
                f"but got {self.num_groups} with '{self.normalization}'."
            )
        groups = self.num_groups or 1
        if groups < 1 or any(size % groups for size in self.maps):
            raise ValueError(
                f"Expected `num_groups` to divide each of the maps {self.maps}, but got {self.num_groups}."
            )
        for size, side in zip(self.maps, sides, strict=True):
            values = side**2 * (1 if self.normalization == "instance" else size // groups)
            if self.normalization != "none" and values < 2:
                raise ValueError(
                    f"Expected two or more values to normalize, but got a single one: maps of side {side} "
                    f"with normalization '{self.normalization}'."
                )


def _over_rms(features_BF: Tensor) -> Tensor:
    return features_BF * torch.rsqrt(features_BF.square().mean(-1, keepdim=True) + _EPS)


def _sides(side: int, num_layers: int, downsampling: Downsampling) -> list[int]:
    """Sides of the image and of the maps that each layer leaves."""
    sides = [side]
    for _ in range(num_layers):
        if sides[-1] < 2:
            least = 2**num_layers if downsampling == "pool" else 2 ** (num_layers - 1) + 1
            raise ValueError(
                f"Expected images of side {least} or more for {num_layers} layers that halve them, but got side {side}."
            )
        sides.append(sides[-1] // 2 if downsampling == "pool" else (sides[-1] + 1) // 2)
    return sides


def _check_shape(image_shape: tuple[int, int, int], maps: Sequence[int]) -> None:
    if image_shape[1] != image_shape[2] or min(image_shape) < 1:
        raise ValueError(f"Expected images of shape (channels, side, side), but got {image_shape}.")
    if not maps or min(maps) < 1:
        raise ValueError(f"Expected `maps` to be one or more positive sizes, but got {tuple(maps)}.")


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator | None) -> nn.Parameter:
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))
