"""From embeddings to the numbers that a hypernetwork emits for one target: at once, in chunks, or a tensor at a time.

Shape suffixes: B conditions, E numbers of an embedding, C chunks, S numbers of a chunk, H hidden units, N numbers emitted.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu, linear, relu

ActivationName = Literal["relu", "leaky_relu", "elu", "tanh"]
"""What stands between the layers of a hypernetwork."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "tanh": torch.tanh,
}


class HiddenLayers(nn.Module):
    """Dense layers, each with an activation behind it; without any, inputs are handed on.

    Args:
        num_inputs: Numbers of an input.
        hidden: Units of each layer.
        activation: What stands behind each.
        generator: Source of first weights, which pass on variances (He et al., 2015); biases are 0.
    """

    def __init__(
        self, num_inputs: int, hidden: Sequence[int], activation: ActivationName, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*sizes) for sizes in pairwise((num_inputs, *hidden)))
        self.activation: ActivationName = activation
        self.num_outputs = hidden[-1] if hidden else num_inputs
        gain = 1.0 if activation == "tanh" else 2**0.5
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=gain * layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Runs the layers."""
        for layer in self.layers:
            inputs = ACTIVATIONS[self.activation](layer(inputs))
        return inputs

    def of_pairs(
        self, first_BE: Float[Tensor, "B E"], second_CE: Float[Tensor, "C E2"]
    ) -> Float[Tensor, "B C outputs"]:
        """Runs the layers on each of the one beside each of the other.

        The first layer looks at both halves apart, so that none is looked at more than once.
        """
        if not self.layers:
            return torch.cat(
                [
                    first_BE[:, None].expand(-1, len(second_CE), -1),
                    second_CE[None].expand(len(first_BE), -1, -1),
                ],
                2,
            )
        layer = self.layers[0]
        assert isinstance(layer, nn.Linear)
        of_first, of_second = layer.weight.split([first_BE.shape[1], second_CE.shape[1]], 1)
        drive = linear(first_BE, of_first)[:, None] + linear(second_CE, of_second, layer.bias)
        hidden = ACTIVATIONS[self.activation](drive)
        for layer in list(self.layers)[1:]:
            hidden = ACTIVATIONS[self.activation](layer(hidden))
        return hidden


def linear_head(
    features: Float[Tensor, "*batch features"], num_outputs: int, generator: torch.Generator | None
) -> nn.Linear:
    """Makes a last layer whose outputs have a variance of 1 over its own draws, and biases of 0.

    Args:
        features: What its inputs are at first, of which the mean square counts.
        num_outputs: Numbers of an output.
        generator: Source of its weights.

    Source: Chang et al. (2020), equation 8, with the mean square of inputs measured.
    """
    head = nn.Linear(features.shape[-1], num_outputs)
    square = float(features.detach().square().sum(-1).mean())
    nn.init.normal_(head.weight, std=square**-0.5 if square else 1.0, generator=generator)
    nn.init.zeros_(head.bias)
    return head


class AtOnce(nn.Module):
    """All numbers from one last layer on the features of an embedding.

    Args:
        features: What its inputs are at first.
        num_emitted: Numbers to emit.
        generator: Source of first weights.
    """

    def __init__(self, features: Float[Tensor, "B H"], num_emitted: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.head = linear_head(features, num_emitted, generator)

    def forward(self, body: HiddenLayers, embeddings_BE: Float[Tensor, "B E"]) -> Float[Tensor, "B N"]:
        """Emits."""
        return self.head(body(embeddings_BE))


class ByTensor(nn.Module):
    """The numbers of each of the target's tensors from layers of their own.

    Args:
        embeddings_BE: What embeddings are at first.
        sizes: Numbers of each tensor.
        hidden: Units of the layers of each.
        activation: What stands behind each layer.
        generator: Source of first weights.
    """

    def __init__(
        self,
        embeddings_BE: Float[Tensor, "B E"],
        sizes: Sequence[int],
        hidden: Sequence[int],
        activation: ActivationName,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        bodies = [HiddenLayers(embeddings_BE.shape[1], hidden, activation, generator) for _ in sizes]
        self.bodies = nn.ModuleList(bodies)
        with torch.no_grad():
            heads = [
                linear_head(body(embeddings_BE), size, generator) for body, size in zip(bodies, sizes, strict=True)
            ]
        self.heads = nn.ModuleList(heads)

    def forward(self, body: HiddenLayers, embeddings_BE: Float[Tensor, "B E"]) -> Float[Tensor, "B N"]:
        """Emits; the common body is empty."""
        return torch.cat([head(features) for head, features in self.ends(embeddings_BE)], 1)

    def ends(self, embeddings_BE: Float[Tensor, "B E"]) -> list[tuple[nn.Linear, Tensor]]:
        """Every last layer with its inputs."""
        found = []
        for body, head in zip(self.bodies, self.heads, strict=True):
            assert isinstance(head, nn.Linear)
            found.append((head, body(embeddings_BE)))
        return found


class InChunks(nn.Module):
    """All numbers as one vector, cut into chunks of one size, each from the same layers and an embedding of its own.

    Args:
        num_emitted: Numbers to emit; the last chunk may have more, which nobody needs.
        chunk_size: Numbers of a chunk.
        chunk_embedding_size: Numbers of an embedding.
        generator: Source of first embeddings, which are standard normal.

    Source: von Oswald et al., "Continual learning with hypernetworks" (2020), section 2.3.
    """

    embeddings: nn.Parameter

    def __init__(
        self, num_emitted: int, chunk_size: int, chunk_embedding_size: int, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        num_chunks = -(-num_emitted // chunk_size)
        self.num_written = num_chunks * chunk_size
        self.embeddings = nn.Parameter(torch.randn(num_chunks, chunk_embedding_size, generator=generator))

    def forward(self, body: HiddenLayers, head: nn.Linear, embeddings_BE: Float[Tensor, "B E"]) -> Float[Tensor, "B N"]:
        """Emits whole chunks."""
        return head(body.of_pairs(embeddings_BE, self.embeddings)).flatten(1)
