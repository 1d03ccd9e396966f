"""Intervals: a task is a box of embeddings, and every network of the box, not its centre alone, has learned it.

Shape suffixes: B tasks of a batch, E numbers of an embedding, N numbers emitted.

Source: Krukowski et al., "HINT: Hypernetwork approach to training weight interval regions in continual learning" (2024).
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from hyperlearning.core.params import Params
from hyperlearning.learners.hypernet_continual.learner import KeepOutputs, Update
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty, TargetsOf
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.hypernetworks.intervals import emitted_interval, run_interval

_LEAST_KAPPA = 0.5
"""What the centre's loss counts for at the end of a task; the worst case counts for the rest."""
_RAMP = 0.5
"""How much of a task passes until boxes have their size."""


def worst_scores(
    lower: Float[Tensor, "M O"], upper: Float[Tensor, "M O"], labels: Int64[Tensor, " M"]
) -> Float[Tensor, "M O"]:
    """The worst that scores between bounds can be: the lower bound for the true label, the upper for all others."""
    true = one_hot(labels, lower.shape[1]).bool()
    return torch.where(true, lower, upper)


class KeepIntervals(KeepOutputs):
    """The objective of HINT: `kappa * CE(middle) + (1 - kappa) * CE(worst)`, and the penalty on both bounds and the middle.

    Kappa falls from 1 to 0.5 in the course of a task, and boxes grow to their size in its first half. With `nested` the
    centre of a box is `r / 2 * cos(e)`, and its radius r: all boxes hold the embedding 0, whose network is one for all tasks.

    Args:
        network: The target's layers.
        strength: Of the penalty, beta.
        radius: Sum of a box's radii over all directions, which are the same along each.
        nested: Whether boxes share a part.
        targets: As for `OutputPenalty`.

    Raises:
        ValueError: If `radius` is not positive.
    """

    def __init__(
        self,
        network: nn.Sequential,
        *,
        strength: float,
        radius: float,
        nested: bool = False,
        targets: TargetsOf = "stored",
    ) -> None:
        if radius <= 0:
            raise ValueError(f"Expected `radius` to be positive, but got {radius}.")
        self._network, self._radius, self._nested = network, radius, nested
        super().__init__(OutputPenalty(strength=strength, targets=targets, emit=self._bounds))

    def centres(self, embeddings_BE: Float[Tensor, "B E"]) -> Float[Tensor, "B E"]:
        """Centres of boxes."""
        return embeddings_BE.cos() * (self._radius / embeddings_BE.shape[1] / 2) if self._nested else embeddings_BE

    def _bounds(self, hyper: Hypernetwork, embeddings_BE: Tensor, *, share: float | Tensor = 1.0) -> Tensor:
        """Lower bounds, middles and upper bounds side by side, (B, 3 N), of boxes of a share of their size."""
        centres_BE = self.centres(embeddings_BE)
        radii_BE = torch.full_like(centres_BE, self._radius / centres_BE.shape[1]) * share
        return torch.cat(emitted_interval(hyper, centres_BE, radii_BE), 1)

    def backward(self, hyper: Hypernetwork, update: Update) -> None:
        """Gives everything that learns its gradient."""
        which = self.penalty.draw(update.source)
        old_BE = self.penalty.embeddings(which)
        shares_B1 = torch.ones(len(old_BE) + 1, 1)
        shares_B1[-1] = min(1.0, update.progress / _RAMP)
        bounds_BN = self._bounds(hyper, torch.cat([old_BE, update.embedding_1E]), share=shares_B1)
        slopes_BN = self._room(bounds_BN)
        self._task_slopes(hyper, update, bounds_BN[-1:], slopes_BN[-1:])
        if len(old_BE):
            self.penalty.slopes(bounds_BN[:-1], which, out=slopes_BN[:-1])
        bounds_BN.backward(slopes_BN)

    def _task_loss(self, hyper: Hypernetwork, own_1N: Tensor, update: Update) -> Tensor:
        lower, middle, upper = (
            {name: tensor[0] for name, tensor in hyper.weights_of(part).items()} for part in own_1N.chunk(3, 1)
        )
        kappa = 1 - (1 - _LEAST_KAPPA) * update.progress
        centre = cross_entropy(hyper.run_one(middle, update.images, update.task), update.labels)
        ends = run_interval(self._network, lower, upper, update.images)
        return kappa * centre + (1 - kappa) * cross_entropy(worst_scores(*ends, update.labels), update.labels)

    def scores(self, hyper: Hypernetwork, images: Tensor, task: int) -> Tensor:
        """What the network of a box's centre says."""
        return self._run(hyper, self.centres(hyper.embed(task)), images)

    def all_scores(self, hyper: Hypernetwork, images: Tensor, num_tasks: int) -> Tensor:
        """What those of all centres say."""
        centres = self.centres(hyper.embed(torch.arange(num_tasks)))
        return hyper.run(hyper.emit(centres), images, same_inputs=True)

    def shared_scores(self, hyper: Hypernetwork, images: Tensor) -> Tensor:
        """What the one network that lies in all boxes says.

        Raises:
            ValueError: If boxes are not nested.
        """
        if not self._nested:
            raise ValueError("Expected boxes that are `nested`, but these need not share an embedding.")
        return self._run(hyper, torch.zeros(1, hyper.embedding_size), images)

    def bounds(self, hyper: Hypernetwork, images: Tensor, task: int) -> tuple[Tensor, Tensor]:
        """What no network of a task's box says less than, and none more than."""
        lower, _, upper = self._bounds(hyper, hyper.embed(task)).chunk(3, 1)
        ends = [{name: tensor[0] for name, tensor in hyper.weights_of(part).items()} for part in (lower, upper)]
        return run_interval(self._network, ends[0], ends[1], images)

    def _run(self, hyper: Hypernetwork, embedding_1E: Tensor, images: Tensor) -> Tensor:
        weights: Params = {name: tensor[0] for name, tensor in hyper.emit(embedding_1E).items()}
        return hyper.run_one(weights, images)
