"""What a life is, whatever learns in it."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Shaped
from torch import Tensor


@runtime_checkable
class Life(Protocol):
    """Something that learns from a stream one batch at a time and keeps no example, unless it says so.

    `learners.deployment.Deployment` descends, `learners.closed_form.ClosedFormLife` solves.
    """

    @property
    def num_stored(self) -> int:
        """Numbers that change in life and have to be kept."""
        ...

    def observe(self, inputs: Float[Tensor, "batch *inputs"], targets: Shaped[Tensor, "batch *targets"]) -> float:
        """Learns from a batch; returns the loss before."""
        ...

    def observe_each(
        self, inputs: Float[Tensor, "examples *inputs"], targets: Shaped[Tensor, "examples *targets"]
    ) -> Float[Tensor, " examples"]:
        """Learns examples one at a time, in order; returns each one's loss before it was learned."""
        ...

    def predict(self, inputs: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch *outputs"]:
        """Says what it expects. Nothing changes."""
        ...
