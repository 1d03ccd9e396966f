"""A linear classifier that is trained on the support, on features that stay.

Source: Chen et al., "A Closer Look at Few-shot Classification" (2019), section 3.2: Baseline, with a linear classifier, and
Baseline++, with cosines.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features, N images, K classes of meta-training.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.learners.few_shot.descent import descend, mean_losses
from hyperlearning.learners.few_shot.embedded import cosines, flat_support
from hyperlearning.learners.optimizers import adam

Kind = Literal["linear", "cosine"]
_SCALE = 10.0


class TunedHead(nn.Module):
    """A classifier that is trained anew on every support, all episodes at once, by Adam on the whole support.

    It begins with class means, weights of length 1, where it is of cosines, and else with zeros. No gradient passes through
    it: the embedding is trained by `classes`, a classifier of all classes of meta-training.

    Args:
        kind: Linear, or of cosines times 10.
        num_features: Features, D.
        num_classes: Classes of meta-training, K.
        num_steps: Steps on a support.
        lr: Their rate.
        generator: Source of first weights.
    """

    classes: nn.Parameter

    def __init__(
        self,
        kind: Kind,
        num_features: int,
        num_classes: int,
        *,
        num_steps: int = 100,
        lr: float = 0.01,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.num_steps, self.lr = num_steps, lr
        self.classes = nn.Parameter(torch.randn(num_classes, num_features, generator=generator) * num_features**-0.5)

    def class_logits(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """Scores images of all classes of meta-training."""
        return _logits(self.kind, {"weights": self.classes}, features)

    def forward(self, support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"]) -> Float[Tensor, "E Q W"]:
        """Trains a classifier on each support, and scores queries with it."""
        images, labels = flat_support(support.detach())
        means = support.detach().mean(2)
        first = {"weights": torch.nn.functional.normalize(means, dim=-1) if self.kind == "cosine" else 0 * means}
        if self.kind == "linear":
            first["offsets"] = torch.zeros_like(means[..., :1]).transpose(1, 2)
        weights = descend(
            lambda own: mean_losses(_logits(self.kind, own, images), labels),
            first,
            num_steps=self.num_steps,
            lr=self.lr,
            order="none",
            optimizer=adam(),
        )
        return _logits(self.kind, weights, query)


def _logits(kind: Kind, weights: Params, features: Tensor) -> Tensor:
    if kind == "cosine":
        return _SCALE * cosines(features, weights["weights"])
    return features @ weights["weights"].transpose(-1, -2) + weights.get("offsets", 0.0)
