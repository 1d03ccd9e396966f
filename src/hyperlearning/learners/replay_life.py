"""A life that keeps examples: a reservoir of the past, some of which are learned again with every new one.

Source: Vitter, "Random Sampling with a Reservoir" (1985), algorithm R; Chaudhry et al., "On Tiny Episodic Memories in Continual
Learning" (2019).
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hyperlearning.core.losses import LossFn
from hyperlearning.learners.deployment import Deployment


def of_the_first(loss_fn: LossFn) -> LossFn:
    """Makes the loss of a batch's first example alone: what a deployment under replay is to show (`shown_loss_fn`)."""
    return lambda predictions, targets: loss_fn(predictions[:, :1], targets[:, :1])


class ReplayLife:
    """A deployment with a replay buffer.

    Args:
        life: What learns; its `shown_loss_fn` is `of_the_first` of its loss.
        buffer_size: Examples kept: every one met so far is as likely to be among them.
        replay_batch_size: How many of them are learned with each new example.
        generator: Source of what is kept and replayed.
    """

    def __init__(
        self, life: Deployment, *, buffer_size: int, replay_batch_size: int, generator: torch.Generator
    ) -> None:
        self._life, self._generator = life, generator
        self._buffer_size, self._replay_batch_size = buffer_size, replay_batch_size
        self._inputs = self._targets = torch.empty(0)
        self._num_met = 0

    @property
    def num_stored(self) -> int:
        """Numbers of the network, and of the whole buffer once an example has been met."""
        return self._life.num_stored + self._inputs.numel() + self._targets.numel()

    def observe(self, inputs: Float[Tensor, "1 *inputs"], targets: Shaped[Tensor, "1 *targets"]) -> float:
        """Learns one new example beside some of the past; returns the new one's loss before."""
        if not self._num_met:
            self._inputs, self._targets = (
                tensor.new_zeros(self._buffer_size, *tensor.shape[1:]) for tensor in (inputs, targets)
            )
            loss = self._life.observe(inputs, targets)
        else:
            kept = min(self._num_met, self._buffer_size)
            chosen = torch.randint(kept, (self._replay_batch_size,), generator=self._generator)
            batch = (torch.cat([inputs, self._inputs[chosen]]), torch.cat([targets, self._targets[chosen]]))
            loss = self._life.observe(*batch)
        self._keep(inputs, targets)
        return loss

    def observe_each(
        self, inputs: Float[Tensor, "examples *inputs"], targets: Shaped[Tensor, "examples *targets"]
    ) -> Float[Tensor, " examples"]:
        """Learns examples one at a time; returns each one's loss before."""
        pairs = zip(inputs.split(1), targets.split(1), strict=True)
        return torch.tensor([self.observe(x, y) for x, y in pairs], dtype=torch.float64)

    def predict(self, inputs: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch *outputs"]:
        """Says what the network expects."""
        return self._life.predict(inputs)

    def _keep(self, inputs: Tensor, targets: Tensor) -> None:
        place = self._num_met
        self._num_met += 1
        if place >= self._buffer_size:
            place = int(torch.randint(self._num_met, (), generator=self._generator))
        if place < self._buffer_size:
            self._inputs[place], self._targets[place] = inputs[0], targets[0]
