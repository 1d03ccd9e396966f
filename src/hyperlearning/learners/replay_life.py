"""A life that keeps examples: a reservoir of the past, some of which are learned again with every new one.

Source: Vitter, "Random Sampling with a Reservoir" (1985), algorithm R; Chaudhry et al., "On Tiny Episodic Memories in Continual
Learning" (2019).
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hyperlearning.core.losses import LossFn
from hyperlearning.learners.deployment import Deployment


class ReplayLife:
    """A deployment with a replay buffer.

    Args:
        life: What learns.
        loss_fn: The loss that it learns by, to say that of a new example alone.
        buffer_size: Examples kept: every one met so far is as likely to be among them.
        replay_batch_size: How many of them are learned with each new example.
        generator: Source of what is kept and replayed.
    """

    def __init__(
        self,
        life: Deployment,
        loss_fn: LossFn,
        *,
        buffer_size: int,
        replay_batch_size: int,
        generator: torch.Generator,
    ) -> None:
        self._life, self._loss_fn = life, loss_fn
        self._buffer_size, self._replay_batch_size = buffer_size, replay_batch_size
        self._generator = generator
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._num_met = 0

    @property
    def num_stored(self) -> int:
        """Numbers of the network, and of a full buffer once an example has been met."""
        of_example = sum(tensor.numel() for tensor in self._kept[0]) if self._kept else 0
        return self._life.num_stored + self._buffer_size * of_example

    def observe(self, inputs: Float[Tensor, "1 *inputs"], targets: Shaped[Tensor, "1 *targets"]) -> float:
        """Learns one new example beside some of the past; returns the new one's loss before."""
        loss = float(self._loss_fn(self._life.predict(inputs)[None], targets[None]))
        chosen = self._draw(len(self._kept), self._replay_batch_size) if self._kept else []
        batch = [(inputs, targets), *(self._kept[index] for index in chosen)]
        self._life.observe(*(torch.cat(parts) for parts in zip(*batch, strict=True)))
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
        self._num_met += 1
        if len(self._kept) < self._buffer_size:
            self._kept.append((inputs, targets))
        elif (place := self._draw(self._num_met, 1)[0]) < self._buffer_size:
            self._kept[place] = (inputs, targets)

    def _draw(self, number: int, count: int) -> list[int]:
        return torch.randint(number, (count,), generator=self._generator).tolist()
