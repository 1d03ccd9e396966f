"""What every life is made of, whatever it learns: batches in the order in which they are met, and what hyper-losses see.

Shape suffixes: T batches, U outer updates at a step, M members, B batch.
"""

from typing import NamedTuple

from jaxtyping import Shaped
from torch import Tensor


class Stream(NamedTuple):
    """Training data in the order in which it is met.

    Attributes:
        inputs: (T, M, B, ...).
        targets: (T, M, B, ...).
    """

    inputs: Shaped[Tensor, "batches members batch *inputs"]
    targets: Shaped[Tensor, "batches members batch *targets"]


class HyperStream(NamedTuple):
    """Training data in order, and what the hyper-loss is measured on at every outer update.

    Attributes:
        inputs: (T, M, B, ...).
        targets: (T, M, B, ...).
        hyper_inputs: (outer steps, U, M, hyper_batch, ...).
        hyper_targets: Likewise.
    """

    inputs: Shaped[Tensor, "batches members batch *inputs"]
    targets: Shaped[Tensor, "batches members batch *targets"]
    hyper_inputs: Shaped[Tensor, "outer_steps updates members hyper_batch *inputs"]
    hyper_targets: Shaped[Tensor, "outer_steps updates members hyper_batch *targets"]
