"""OML: a representation network that is innate, and a prediction network on its features that is plastic."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d

from hyperlearning.core.params import Params
from hyperlearning.networks.gated.anml import functional_part, kaiming_linear, kaiming_normal, scaled_maps

STRIDES = {84: (2, 1, 2, 1, 2, 2), 28: (2, 1, 1, 1, 1, 1)}
"""Strides of the six convolutions by the images' side: 84 as published (sides 41, 39, 19, 17, 8, 3); 28 as chosen here to end
at the published 3 x 3 too (sides 13, 11, 9, 7, 5, 3)."""
_MAPS = 256


class Representation(nn.Module):
    """3 x 3 convolutions without padding, each followed by a ReLU; the result is flattened."""

    def __init__(
        self, in_channels: int, maps: int, strides: Sequence[int], *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        sources = (in_channels, *[maps] * (len(strides) - 1))
        self.strides = tuple(strides)
        self.weights = nn.ParameterList(kaiming_normal((maps, source, 3, 3), generator) for source in sources)
        self.biases = nn.ParameterList(torch.zeros(maps) for _ in sources)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        """Turns images into features."""
        maps = images.contiguous(memory_format=torch.channels_last)
        for weight, bias, stride in zip(self.weights, self.biases, self.strides, strict=True):
            maps = torch.relu(conv2d(maps, weight, bias, stride=stride))
        return maps.flatten(1)


class Predictor(nn.Module):
    """A linear layer on features, or two with a ReLU between them."""

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        hidden_size: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.hidden = None if hidden_size is None else kaiming_linear(num_features, hidden_size, generator)
        self.last = kaiming_linear(hidden_size or num_features, num_classes, generator)

    def features(self, prepared: Float[Tensor, "batch features"]) -> Float[Tensor, "batch hidden"]:
        """Computes what the last layer takes."""
        return prepared if self.hidden is None else torch.relu(self.hidden(prepared))

    def forward(self, prepared: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """Predicts."""
        return self.last(self.features(prepared))


class OMLNetwork(nn.Module):
    """A representation network (innate) and a prediction network (plastic).

    Args:
        num_classes: Outputs, 1000 in the authors' code.
        side: Side of the images, 84 as published or 28.
        width: Share of the published 256 feature maps: 1, 1/2 or 1/4.
        in_channels: Channels of the images.
        hidden_size: Units of a hidden layer in the prediction network (1024 in the authors' first version); none if absent.
        generator: Source of the initial weights; the global one if absent.

    Raises:
        ValueError: If a setting is out of range.

    Source: "Meta-Learning Representations for Continual Learning" (Javed and White, 2019), section 4; sizes from the
    authors' code.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        side: int = 84,
        width: float = 1.0,
        in_channels: int = 1,
        hidden_size: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if side not in STRIDES:
            raise ValueError(f"Expected `side` to be one of {sorted(STRIDES)}, but got {side}.")
        if num_classes < 2 or in_channels < 1 or (hidden_size is not None and hidden_size < 1):
            raise ValueError(
                "Expected at least 2 `num_classes`, and 1 of `in_channels` and `hidden_size`, "
                f"but got {num_classes}, {in_channels} and {hidden_size}."
            )
        maps = scaled_maps(_MAPS, width)
        self.representation = Representation(in_channels, maps, STRIDES[side], generator=generator)
        self.predictor = Predictor(9 * maps, num_classes, hidden_size=hidden_size, generator=generator)

    def is_innate(self, name: str) -> bool:
        """Says whether a parameter of this name is the representation's."""
        return name.startswith("representation.")

    def prepare(
        self, innate: Params, inputs: Float[Tensor, "*batch channels height width"]
    ) -> Float[Tensor, "*batch features"]:
        """Computes what the prediction network takes: features of images, all of them in one call.

        Args:
            innate: Innate parameters of the whole network by name.
            inputs: Images with any number of batch axes (steps, members, batch).
        """
        features = functional_part(self.representation, "representation", innate, inputs.flatten(0, -4))
        return features.unflatten(0, inputs.shape[:-3])

    def forward(self, inputs: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """Predicts from images."""
        return self.predictor(self.prepare(dict(self.named_parameters()), inputs))
