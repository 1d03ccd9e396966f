"""Class means: a query belongs to the class whose mean is nearest, by distance or by angle.

Sources: Snell et al., "Prototypical Networks for Few-shot Learning" (2017), equations 1 and 2; by angle: Gidaris and Komodakis,
"Dynamic Few-Shot Visual Learning without Forgetting" (2018), section 3.1.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.learners.few_shot.embedded import cosines, normalised
from hyperlearning.learners.prototypes import distance_logits

Metric = Literal["euclidean", "cosine"]
_FIRST_SCALES = {"euclidean": 10.0, "cosine": 10.0}


class PrototypeHead(nn.Module):
    """Scores are minus mean squared distances to class means, or cosines to them, times a learned scale.

    Args:
        metric: Which; by angle, images are brought to length 1 before they are averaged.
    """

    scale: nn.Parameter

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self.metric: Metric = metric
        self.scale = nn.Parameter(torch.tensor(_FIRST_SCALES[metric]))

    def forward(self, support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"]) -> Float[Tensor, "E Q W"]:
        """Scores queries."""
        return self.scale * mean_scores(support, query, self.metric)


def mean_scores(
    support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"], metric: Metric
) -> Float[Tensor, "E Q W"]:
    """How near queries are to class means: minus the mean squared distance, or the cosine."""
    if metric == "cosine":
        return cosines(query, normalised(support).mean(2))
    means = support.mean(2)
    return distance_logits(query, means, torch.ones(means.shape[:2], dtype=torch.bool, device=means.device))
