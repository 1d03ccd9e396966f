"""MAML: the whole network takes gradient steps on the support, from a start from which few of them suffice.

Source: Finn et al., "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks" (2017), algorithm 2; section 5.2 for
the first order.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from hyperlearning.learners.few_shot.descent import Order, descend
from hyperlearning.learners.few_shot.embedded import flat_support


class Maml(nn.Module):
    """An embedding and a linear classifier that are adapted together, one episode after another.

    Batches of images with weights of their own are slower in one call than in turn on a CPU, where they are grouped
    convolutions.

    Args:
        network: The embedding. If it normalises by the batch at hand, queries are normalised together (as the authors have it).
        num_features: What it makes of an image, D.
        num_ways: Classes of an episode, W; no other number is possible.
        num_steps: Steps on a support.
        lr: Their rate.
        order: What of the steps the outer gradient sees.
        generator: Source of the classifier's first weights.
    """

    def __init__(
        self,
        network: nn.Module,
        num_features: int,
        num_ways: int,
        *,
        num_steps: int = 5,
        lr: float = 0.1,
        order: Order = "second",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        classifier = nn.Linear(num_features, num_ways)
        nn.init.normal_(classifier.weight, std=0.1 * num_features**-0.5, generator=generator)
        nn.init.zeros_(classifier.bias)
        self.whole = nn.Sequential(network, classifier)
        self.num_steps, self.lr = num_steps, lr
        self.order: Order = order

    def forward(
        self, support: Float[Tensor, "E W S C H H"], query: Float[Tensor, "E Q C H H"]
    ) -> Float[Tensor, "E Q W"]:
        """Adapts to each support, and scores queries."""
        return torch.stack([self._scores(*episode) for episode in zip(support, query, strict=True)])

    def _scores(self, support: Float[Tensor, "W S C H H"], query: Float[Tensor, "Q C H H"]) -> Float[Tensor, "Q W"]:
        (images,), labels = flat_support(support[None])
        adapted = descend(
            lambda own: cross_entropy(functional_call(self.whole, own, (images,)), labels)[None],
            dict(self.whole.named_parameters()),
            num_steps=self.num_steps,
            lr=self.lr,
            order=self.order if self.training else "none",
        )
        return functional_call(self.whole, adapted, (query,))
