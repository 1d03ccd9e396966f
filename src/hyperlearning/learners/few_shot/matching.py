"""Matching networks: a query has the labels of the support, each weighted by how near the query is to it.

Source: Vinyals et al., "Matching Networks for One Shot Learning" (2016), equations 1 and 2, without full context embeddings.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.learners.few_shot.embedded import cosines, flat_support


class MatchingHead(nn.Module):
    """Logits are the logarithm of the attention that a class's images have together: a softmax of scaled cosines."""

    scale: nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"]) -> Float[Tensor, "E Q W"]:
        """Scores queries."""
        images, _ = flat_support(support)
        attention = (self.scale * cosines(query, images)).log_softmax(-1)
        return attention.unflatten(-1, support.shape[1:3]).logsumexp(-1)
