"""The contract of few-shot learners, and those that embed images once and then work on features.

A **learner** is a module that takes the images of a support (E, W, S, ...) and of queries (E, Q, ...) and gives logits (E, Q,
W): the label of an image of the support is its place along the axis of ways. A **head** does the same with features. Both
take any number of episodes at once and are differentiable.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.networks.conv4 import spread_features


@runtime_checkable
class Head(Protocol):
    """Maps features of a support (E, W, S, D) and of queries (E, Q, D) to logits (E, Q, W)."""

    def __call__(self, support: Tensor, query: Tensor) -> Tensor:
        """Scores queries."""
        ...


class EpisodeFeatures(NamedTuple):
    """What an embedding makes of episodes.

    Attributes:
        support: Features of labelled images.
        query: Features of those to be told apart.
    """

    support: Float[Tensor, "E W S D"]
    query: Float[Tensor, "E Q D"]


class Embedded(nn.Module):
    """A learner that embeds all images of all episodes in one call, and hands features to a head.

    Args:
        network: The embedding, of images (N, C, H, W) to features (N, D).
        head: What works on features.
    """

    def __init__(self, network: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head

    def features(self, support: Float[Tensor, "E W S C H H"], query: Float[Tensor, "E Q C H H"]) -> EpisodeFeatures:
        """Embeds support and queries together."""
        _, num_ways, num_shots = support.shape[:3]
        together = torch.cat([support.flatten(1, 2), query], 1)
        of_support, of_query = spread_features(self.network, together).split([num_ways * num_shots, query.shape[1]], 1)
        return EpisodeFeatures(of_support.unflatten(1, (num_ways, num_shots)), of_query)

    def forward(self, support: Float[Tensor, "E W S C H H"], query: Float[Tensor, "E Q C H H"]) -> Tensor:
        """Scores queries, (E, Q, W)."""
        return self.head(*self.features(support, query))


def cosines(first: Float[Tensor, "*E N D"], second: Float[Tensor, "*E M D"]) -> Float[Tensor, "*E N M"]:
    """Cosines of each of the one to each of the other."""
    return normalised(first) @ normalised(second).transpose(-1, -2)


def normalised(features: Float[Tensor, "*E D"]) -> Float[Tensor, "*E D"]:
    """Features of length 1."""
    return torch.nn.functional.normalize(features, dim=-1)


def flat_support(support: Float[Tensor, "E W S *D"]) -> tuple[Float[Tensor, "E WS *D"], Tensor]:
    """The support in one row, way by way, and its labels (W S,)."""
    num_ways, num_shots = support.shape[1:3]
    labels = torch.arange(num_ways, device=support.device).repeat_interleave(num_shots)
    return support.flatten(1, 2), labels


def linear_layer(num_inputs: int, num_outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """A dense layer that passes on the variance of its inputs at first, with offsets of 0."""
    layer = nn.Linear(num_inputs, num_outputs)
    nn.init.normal_(layer.weight, std=num_inputs**-0.5, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
