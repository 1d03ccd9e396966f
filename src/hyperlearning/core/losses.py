"""Losses that keep the member axis, so that one member's loss never reaches another's synapses."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

LossFn = Callable[[Tensor, Tensor], Tensor]
"""Maps predictions (M, B, ...) and targets (M, B, ...) to one loss per member (M,)."""


def mean_squared_error(
    predictions: Float[Tensor, "members *batch"], targets: Float[Tensor, "members *batch"]
) -> Float[Tensor, " members"]:
    """Mean squared error of every member: `L_m = mean((prediction - target)**2)` over all but the member axis.

    Raises:
        ValueError: If the shapes differ.

    This is the task loss of incremental regression ("Continual Learning with Deep Artificial Neurons", section 5).
    """
    if predictions.shape != targets.shape:
        raise ValueError(
            f"Expected targets of the predictions' shape {tuple(predictions.shape)}, but got {tuple(targets.shape)}."
        )
    return (predictions - targets).square().flatten(1).mean(1)
