"""A ridge regression to one-hot labels, solved for each episode, which an outer gradient passes through.

Source: Bertinetto et al., "Meta-learning with differentiable closed-form solvers" (2019), R2-D2, equations 2 to 6.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features, N images of the support.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from hyperlearning.learners.few_shot.embedded import flat_support


class RidgeHead(nn.Module):
    """Scores of a ridge regression, times a learned scale, moved by a learned offset; its precision is learned too.

    Args:
        num_features: Features, D; they are divided by the root of it.
    """

    log_precision: nn.Parameter
    scale: nn.Parameter
    offset: nn.Parameter

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.log_precision = nn.Parameter(torch.tensor(math.log(0.1)))
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.offset = nn.Parameter(torch.tensor(0.0))

    def forward(self, support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"]) -> Float[Tensor, "E Q W"]:
        """Scores queries."""
        root = self.num_features**-0.5
        weights = ridge_weights(support * root, self.log_precision.exp())
        return self.scale * ((query * root) @ weights) + self.offset


def ridge_weights(support: Float[Tensor, "E W S D"], precision: Float[Tensor, ""]) -> Float[Tensor, "E D W"]:
    """Solves `(X'X + precision I) B = X'Y` as `B = X' (X X' + precision I)^-1 Y`: a system of images, which are few.

    Args:
        support: Features X.
        precision: Of the prior on weights, positive.
    """
    images, labels = flat_support(support)
    gram = images @ images.transpose(1, 2)
    targets = one_hot(labels, support.shape[1]).to(images.dtype).expand(len(images), -1, -1)
    ridge = precision * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    return images.transpose(1, 2) @ torch.linalg.solve(gram + ridge, targets)
