"""HyperMAML: a hypernetwork reads a support, and writes by how much a common classifier is moved for it.

Source: Przewięźlikowski et al., "HyperMAML: Few-Shot Adaptation of Deep Models with Hypernetworks" (2022), section 3.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.learners.few_shot.anil import linear_scores
from hyperlearning.learners.few_shot.descent import mean_losses
from hyperlearning.learners.few_shot.embedded import flat_support, linear_layer
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

_FIRST_STEPS = 5
"""Steps of gradients while they have a share (authors: 5)."""


class HyperMamlHead(nn.Module):
    """A linear classifier, of which each class's row is moved by what a hypernetwork makes of the class's images.

    It reads the mean over a class's images of their features, of what the classifier says of them (a softmax), and of their
    label: `theta' = theta - delta`. While gradients have a share p, each of five steps moves the classifier by `p * lr *
    gradient + (1 - p) * delta` in training; otherwise it is moved once, by delta.

    Args:
        num_features: Features, D.
        num_ways: Classes of an episode, W; no other number is possible.
        hidden: Units of the hypernetwork's hidden layers (authors: three of 512 for characters).
        lr: Rate of the gradients' steps (authors: .01).
        generator: Source of first weights.

    Attributes:
        gradient_share: The gradients' share p, 0 to 1; `blend_share` has the authors' course.
    """

    weights: nn.Parameter
    offsets: nn.Parameter

    def __init__(
        self,
        num_features: int,
        num_ways: int,
        *,
        hidden: tuple[int, ...] = (512, 512),
        lr: float = 0.01,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.lr, self.gradient_share = lr, 0.0
        self.weights = nn.Parameter(torch.randn(num_ways, num_features, generator=generator) * num_features**-0.5)
        self.offsets = nn.Parameter(torch.zeros(num_ways))
        self.hyper = Hypernetwork(
            linear_layer(num_features, 1, generator),
            nn.Identity(),
            embedding_size=num_features + num_ways + 1,
            hidden=hidden,
            generator=generator,
        )

    def forward(self, support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"]) -> Float[Tensor, "E Q W"]:
        """Moves the classifier for each support, and scores queries."""
        moved = {
            "weights": self.weights.expand(len(support), -1, -1),
            "offsets": self.offsets.expand(len(support), 1, -1),
        }
        if not (self.training and self.gradient_share):
            return linear_scores(_less(moved, self.deltas(support, moved), 1.0), query)
        images, labels = flat_support(support)
        for _ in range(_FIRST_STEPS):
            losses = mean_losses(linear_scores(moved, images), labels)
            gradients = torch.autograd.grad(losses.sum(), list(moved.values()), create_graph=True)
            by_gradient = dict(zip(moved, gradients, strict=True))
            deltas = self.deltas(support, moved)
            moved = _less(_less(moved, by_gradient, self.gradient_share * self.lr), deltas, 1 - self.gradient_share)
        return linear_scores(moved, query)

    def deltas(self, support: Float[Tensor, "E W S D"], classifier: Params) -> Params:
        """What the hypernetwork writes: by how much each class's row, (E, W, D), and offset, (E, 1, W), are moved."""
        images, labels = flat_support(support)
        said = linear_scores(classifier, images).softmax(-1)
        label = labels.to(images.dtype)[:, None].expand(*images.shape[:2], 1)
        enhanced = torch.cat([images, said, label], -1).unflatten(1, support.shape[1:3]).mean(2)
        written = self.hyper.emit(self.hyper.embed(enhanced.flatten(0, 1)))
        rows = written["weight"][:, 0].unflatten(0, support.shape[:2])
        return {"weights": rows, "offsets": written["bias"][:, 0].unflatten(0, support.shape[:2])[:, None]}


def blend_share(done: float, *, warm_up: float = 0.2, end: float = 2.16) -> float:
    """The gradients' share in the course of training: 1 in a warm-up, then falling to 0 linearly.

    The authors' command for characters trains 256 epochs, of which 50 are the warm-up, and lets the share fall over 500 more:
    it ends at .59, so that steps without gradients are never trained.

    Args:
        done: The share of training that is done, 0 to 1.
        warm_up: The share of training that the warm-up lasts (authors: 50 of 256 epochs).
        end: When the share would be 0 (authors: after 550 of 256 epochs).
    """
    return min(1.0, max(0.0, (end - done) / (end - warm_up)))


def _less(params: Params, moves: Params, share: float) -> Params:
    return {name: tensor - share * moves[name] for name, tensor in params.items()}
