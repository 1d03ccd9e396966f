"""Adam whose weight decay is a shrinking of its own, not a part of the gradient."""

from collections.abc import Sequence

from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.optimizers import Optimizer, adam


def adamw(*, weight_decay: float = 1e-4, beta1: float = 0.9, beta2: float = 0.999) -> Optimizer:
    """`p <- (1 - lr wd) p`, then a step of Adam; biases and scales of norms do not shrink.

    Args:
        weight_decay: From 0.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.

    Raises:
        ValueError: If the weight decay is negative.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.
    """
    if weight_decay < 0:
        raise ValueError(f"Expected a non-negative `weight_decay`, but got {weight_decay}.")
    rule = adam(beta1=beta1, beta2=beta2)

    def update(params: Params, grads: Sequence[Tensor], moments: Params, lr: Tensor | float) -> tuple[Params, Params]:
        kept = 1 - lr * weight_decay
        shrunk = {name: tensor if tensor.ndim < 2 else kept * tensor for name, tensor in params.items()}
        return rule.update(shrunk, grads, moments, lr)

    return Optimizer(init=rule.init, update=update)
