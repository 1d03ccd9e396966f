"""How well images of a life's classes are reconstructed, as pure functions of mean squared errors; lower is better.

Shape suffixes: L lives, T tasks.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class LifeErrors(NamedTuple):
    """Mean squared errors of pixels after so many tasks, of each task.

    Attributes:
        memory: (L, T + 1, T), on the very images learned.
        generalization: Likewise on other images of the same classes.
    """

    memory: Float[Tensor, "lives stages tasks"]
    generalization: Float[Tensor, "lives stages tasks"]


def unseen_error(errors: Float[Tensor, "lives stages tasks"]) -> Float[Tensor, " lives"]:
    """Error on a class just before it is met, over all but the first: `1/(T-1) sum_{j>0} E[j, j]`."""
    return _ahead(errors).mean(-1)


def forward_transfer(errors: Float[Tensor, "lives stages tasks"]) -> Float[Tensor, " lives"]:
    """How much smaller that is than at birth: `1/(T-1) sum_{j>0} (E[0, j] - E[j, j])`; positive is better.

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", equation 4, in errors.
    """
    return (errors[:, 0, 1:] - _ahead(errors)).mean(-1)


def _ahead(errors: Tensor) -> Float[Tensor, "lives later_tasks"]:
    return torch.diagonal(errors, dim1=1, dim2=2)[:, 1:]
