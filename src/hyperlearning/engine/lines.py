"""Lines that jobs leave in a record."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class EpochLine:
    """Losses of hyper-training, or of a fit, since the line before.

    Attributes:
        epoch: Epochs finished.
        task_loss: Mean over members and steps; of a fit, what it minimizes.
        hyper_loss: Likewise the hyper-loss; of a fit, the same number.
        final_hyper_loss: At the last step.
        outer_lr: The last step's rate.
    """

    kind: ClassVar[str] = "epoch"

    epoch: int
    task_loss: float
    hyper_loss: float
    final_hyper_loss: float
    outer_lr: float
