"""OML for regression: an innate representation of several layers, and a plastic prediction network on its features.

Members of a population may each have their own plastic parameters: then these carry a leading axis M, and inputs are
(M, B, inputs).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.networks.gated.anml import functional_part


class Affine(nn.Module):
    """`x @ weight + bias`; each may have a leading member axis.

    The weight is normal with variance `2 / fan_in` (Kaiming), the bias 0.
    """

    def __init__(self, fan_in: int, fan_out: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_in, fan_out, generator=generator) * (2 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(fan_out))

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Maps inputs to outputs."""
        bias = self.bias if self.bias.ndim == 1 else self.bias.unsqueeze(-2)
        return inputs @ self.weight + bias


class ReluNetwork(nn.Module):
    """Affine maps with a ReLU between them, and after the last if `ends_in_relu`.

    Args:
        sizes: Units per layer, inputs first.
        ends_in_relu: Whether there is a ReLU after the last map.
        generator: Source of the initial weights; the global one if absent.
    """

    def __init__(self, sizes: Sequence[int], *, ends_in_relu: bool, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Affine(a, b, generator=generator) for a, b in pairwise(sizes))
        self.ends_in_relu = ends_in_relu

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Runs all layers."""
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            inputs = layer(inputs)
            inputs = torch.relu(inputs) if number < last or self.ends_in_relu else inputs
        return inputs


class OMLRegressor(nn.Module):
    """A representation network (innate) and a prediction network (plastic).

    Args:
        num_inputs: Size of an input.
        width: Units of every hidden layer (300 or 400 in the authors' code).
        num_representation_layers: Layers of the representation, each with a ReLU (6 in the authors' code).
        num_prediction_layers: Layers of the prediction network, with a ReLU between them.
        generator: Source of the initial weights; the global one if absent.

    Raises:
        ValueError: If a size is not positive.

    Source: "Meta-Learning Representations for Continual Learning" (Javed and White, 2019); sizes from the authors' code.
    """

    def __init__(
        self,
        num_inputs: int,
        *,
        width: int = 300,
        num_representation_layers: int = 6,
        num_prediction_layers: int = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if min(num_inputs, width, num_representation_layers, num_prediction_layers) < 1:
            raise ValueError(
                "Expected positive `num_inputs`, `width`, `num_representation_layers` and `num_prediction_layers`, "
                f"but got {num_inputs}, {width}, {num_representation_layers} and {num_prediction_layers}."
            )
        representation = (num_inputs, *[width] * num_representation_layers)
        predictor = (*[width] * num_prediction_layers, 1)
        self.representation = ReluNetwork(representation, ends_in_relu=True, generator=generator)
        self.predictor = ReluNetwork(predictor, ends_in_relu=False, generator=generator)

    @staticmethod
    def is_innate(name: str) -> bool:
        """Says whether a parameter of this name is the representation's."""
        return name.startswith("representation.")

    def prepare(self, innate: Params, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch features"]:
        """Computes the features of inputs with any number of batch axes (steps, members, batch)."""
        return functional_part(self.representation, "representation", innate, inputs)

    def predict(
        self, plastic: Params, innate: Params, features: Float[Tensor, "members batch features"]
    ) -> Float[Tensor, "members batch 1"]:
        """Runs every member's prediction network on features."""
        return functional_part(self.predictor, "predictor", plastic, features)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch 1"]:
        """Predicts."""
        return self.predictor(self.representation(inputs))
