"""HyperShot: a hypernetwork reads how alike the images of a support are, and writes a small network that tells queries apart.

What the network that is written takes of a query is how alike it is to the support, class by class: no feature itself is
read, so that the hypernetwork does not depend on what features mean.

Source: Sendera et al., "HyperShot: Few-Shot Learning by Kernel HyperNetworks" (2023), section 3; and a variant of ours that
does not depend on the order or the number of classes.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.learners.few_shot.descent import descend, mean_losses
from hyperlearning.learners.few_shot.embedded import cosines, flat_support, linear_layer
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.hypernetworks.writing import HiddenLayers

_FIRST_GAIN = 0.1
"""Of what networks that are written add to class means by angle, with which learning begins."""


class HyperShotHead(nn.Module):
    """The kernel of the class means (W, W), flattened, is the condition; the target takes a query's W kernel values.

    It depends on the order of the classes, which is therefore drawn anew with every episode.

    Args:
        num_ways: Classes of an episode, W; no other number is possible.
        hidden: Units of the target's hidden layer (authors: 128).
        neck: Units of the layer that all of the hypernetwork's parts read the kernel with, and of their own hidden layer (512).
        num_steps: Steps on the support that the target's weights take after they are written; none: they are used as written.
        lr: Their rate.
        generator: Source of first weights.
    """

    def __init__(
        self,
        num_ways: int,
        *,
        hidden: int = 128,
        neck: int = 512,
        num_steps: int = 0,
        lr: float = 0.01,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.num_steps, self.lr = num_steps, lr
        encoder = nn.Sequential(nn.Flatten(), linear_layer(num_ways**2, neck, generator))
        self.hyper = Hypernetwork(
            _perceptron((num_ways, hidden, num_ways), generator),
            encoder,
            embedding_size=neck,
            hidden=(neck,),
            heads="per_tensor",
            generator=generator,
        )

    def write(self, support: Float[Tensor, "E W S D"]) -> Params:
        """Writes a target network for each support: parameters by name, (E, ...) each."""
        means = support.mean(2)
        return self.hyper.emit(self.hyper.embed(cosines(means, means)))

    def forward(self, support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"]) -> Float[Tensor, "E Q W"]:
        """Scores queries."""
        weights, means = self.write(support), support.mean(2)
        if self.num_steps:
            images, labels = flat_support(support.detach())
            kernel = cosines(images, means.detach())
            weights = descend(
                lambda own: mean_losses(self.hyper.run(own, kernel), labels),
                weights,
                num_steps=self.num_steps,
                lr=self.lr,
                order="none",
            )
        return self.hyper.run(weights, cosines(query, means))


class EquivariantHyperShotHead(nn.Module):
    """Each class gets a network of its own, written from its row of the kernel and a summary of all rows, read as sets.

    The network of a class takes a query's kernel value to the class, the mean of those to the others and the largest of them,
    and its output is added to the first of these times a learned scale. Classes in another order have their logits in that
    order; any number of classes is possible.

    Args:
        hidden: Units of the target's hidden layer.
        summary: Numbers that a row is summarised by.
        num_steps: As for `HyperShotHead`.
        lr: Likewise.
        generator: Source of first weights.

    Source: ours; Zaheer et al., "Deep Sets" (2017), theorem 2, for what reads sets.
    """

    scale: nn.Parameter

    def __init__(
        self,
        *,
        hidden: int = 32,
        summary: int = 32,
        num_steps: int = 0,
        lr: float = 0.01,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.num_steps, self.lr = num_steps, lr
        self.entries = HiddenLayers(2, (summary, summary), "relu", generator)
        self.hyper = Hypernetwork(
            _perceptron((3, hidden, 1), generator, gain=_FIRST_GAIN),
            linear_layer(3 * summary, 4 * summary, generator),
            embedding_size=4 * summary,
            hidden=(4 * summary,),
            generator=generator,
        )
        self.scale = nn.Parameter(torch.tensor(10.0))

    def write(self, support: Float[Tensor, "E W S D"]) -> Params:
        """Writes a target network for each class of each support: parameters by name, (E * W, ...) each."""
        num_episodes, num_ways = support.shape[:2]
        means = support.mean(2)
        kernel = cosines(means, means)
        own = cosines(support, means[:, :, None])[..., 0].mean(2)
        entries = self.entries(torch.stack([kernel, own[:, None].expand_as(kernel)], -1))
        apart = ~torch.eye(num_ways, dtype=torch.bool, device=kernel.device)[..., None]
        rows = (entries * apart).sum(2) / (num_ways - 1)
        largest = entries.masked_fill(~apart, 0.0).amax(2)
        everywhere = rows.mean(1, keepdim=True).expand_as(rows)
        conditions = torch.cat([rows, largest, everywhere], -1).flatten(0, 1)
        assert len(conditions) == num_episodes * num_ways
        return self.hyper.emit(self.hyper.embed(conditions))

    def forward(self, support: Float[Tensor, "E W S D"], query: Float[Tensor, "E Q D"]) -> Float[Tensor, "E Q W"]:
        """Scores queries."""
        weights, means = self.write(support), support.mean(2)
        if self.num_steps:
            images, labels = flat_support(support.detach())
            kernel = cosines(images, means.detach())
            weights = descend(
                lambda own: mean_losses(self._scores(own, kernel), labels),
                weights,
                num_steps=self.num_steps,
                lr=self.lr,
                order="none",
            )
        return self._scores(weights, cosines(query, means))

    def _scores(self, weights: Params, kernel: Float[Tensor, "E Q W"]) -> Float[Tensor, "E Q W"]:
        num_ways = kernel.shape[-1]
        others = (kernel.sum(-1, keepdim=True) - kernel) / (num_ways - 1)
        best, runner_up = kernel.topk(2, dim=-1).values.split(1, -1)
        largest_other = torch.where(kernel == best, runner_up, best)
        inputs = torch.stack([kernel, others, largest_other], -1).transpose(1, 2).flatten(0, 1)
        written = self.hyper.run(weights, inputs)[..., 0].unflatten(0, (len(kernel), num_ways))
        return self.scale * kernel + written.transpose(1, 2)


def _perceptron(sizes: Sequence[int], generator: torch.Generator | None, *, gain: float = 1.0) -> nn.Sequential:
    first, hidden, last = sizes
    output = linear_layer(hidden, last, generator)
    with torch.no_grad():
        output.weight.mul_(gain)
    return nn.Sequential(linear_layer(first, hidden, generator), nn.ReLU(), output)
