"""Losses that keep the member axis, so that one member's loss never reaches another's synapses."""

from collections.abc import Callable

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy as _cross_entropy

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


_NEVER = -(2**63)
"""PyTorch passes over a label of -100, with a loss of 0; here it is out of range like any other."""


def cross_entropy(
    logits: Float[Tensor, "members batch classes"], labels: Int64[Tensor, "members batch"]
) -> Float[Tensor, " members"]:
    """Negative log-likelihood of every member: `L_m = mean_b(-log softmax(logits_mb)[label_mb])`, over all logits.

    Raises:
        ValueError: If the shapes do not belong together.

    Source: dissertation, equation 6.1.
    """
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"Expected labels of shape {tuple(logits.shape[:-1])}, one for each row of logits, "
            f"but got {tuple(labels.shape)}."
        )
    losses = _cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=_NEVER)
    return losses.unflatten(0, labels.shape).mean(1)


def cross_entropy_of_one(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Likewise of a network by itself, in one operation there and back."""
    return _cross_entropy(logits, labels, ignore_index=_NEVER)


def tempered_cross_entropy(temperature: float) -> LossFn:
    """Makes the negative log-likelihood of logits divided by a temperature T, times T: `T * NLL(logits / T)`.

    The gradient `softmax(logits / T) - onehot` keeps its size, while the softmax of a high T stays soft: an update then
    depends on the class alone and not on how sure the network already is, so that many updates on one class in a row do not
    turn all its other outputs off.

    Args:
        temperature: T, positive; 1 for the plain loss.

    Raises:
        ValueError: If it is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"Expected `temperature` to be positive, but got {temperature}.")

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits / temperature, labels) * temperature

    return loss
