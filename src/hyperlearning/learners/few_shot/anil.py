"""ANIL: only the last layer is adapted, from a start that is learned with the embedding.

Source: Raghu et al., "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of MAML" (2020), section 4.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.learners.few_shot.descent import Order, descend, mean_losses
from hyperlearning.learners.few_shot.embedded import flat_support


class AnilHead(nn.Module):
    """A linear classifier with learned first weights that takes gradient steps on every support, all episodes at once.

    Args:
        num_features: Features, D.
        num_ways: Classes of an episode, W; no other number is possible.
        num_steps: Steps on a support.
        lr: Their rate.
        order: What of the steps the outer gradient sees.
        generator: Source of first weights.
    """

    weights: nn.Parameter
    offsets: nn.Parameter

    def __init__(
        self,
        num_features: int,
        num_ways: int,
        *,
        num_steps: int = 5,
        lr: float = 0.1,
        order: Order = "second",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.num_steps, self.lr = num_steps, lr
        self.order: Order = order
        self.weights = nn.Parameter(0.1 * torch.randn(num_ways, num_features, generator=generator) * num_features**-0.5)
        self.offsets = nn.Parameter(torch.zeros(num_ways))

    def forward(self, support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"]) -> Float[Tensor, "E Q W"]:
        """Adapts to each support, and scores queries."""
        images, labels = flat_support(support)
        first = {
            "weights": self.weights.expand(len(support), -1, -1),
            "offsets": self.offsets.expand(len(support), 1, -1),
        }
        adapted = descend(
            lambda own: mean_losses(linear_scores(own, images), labels),
            first,
            num_steps=self.num_steps,
            lr=self.lr,
            order=self.order if self.training else "none",
        )
        return linear_scores(adapted, query)


def linear_scores(weights: Params, features: Float[Tensor, "E N D"]) -> Float[Tensor, "E N W"]:
    """Scores of linear classifiers, one an episode: `weights` (E, W, D) and `offsets` (E, 1, W)."""
    return features @ weights["weights"].transpose(1, 2) + weights["offsets"]
