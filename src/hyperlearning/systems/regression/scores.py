"""What lives on functions are measured by: every score of every life, and curves over a life with their intervals.

Shape suffixes: F functions (lives), T tasks.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.rounding import rounded
from hyperlearning.evaluation import continual
from hyperlearning.evaluation.intervals import Estimate, estimate


class Scores(NamedTuple):
    """Every score of every life.

    Attributes:
        total_error: Over all tasks after the last.
        memory_error: Over the tasks met so far, averaged over a life.
        forgetting: How far errors rose above their best.
        backward_transfer: What later learning did to earlier tasks; positive is better.
    """

    total_error: list[float]
    memory_error: list[float]
    forgetting: list[float]
    backward_transfer: list[float]

    def estimates(self) -> dict[str, Estimate]:
        """The mean of each over lives, with its interval."""
        return {name: estimate(values) for name, values in self._asdict().items()}


class Course(NamedTuple):
    """A curve over the stages of a life.

    Attributes:
        mean: Its mean over lives.
        ci95: Half the width of the mean's 95 % interval.
    """

    mean: list[float]
    ci95: list[float]


def scores_of(errors: Float[Tensor, "functions stages tasks"]) -> Scores:
    """Measures lives, to be averaged and paired."""
    return Scores(
        total_error=rounded(continual.total_error(errors), 8),
        memory_error=rounded(continual.memory_error(errors), 8),
        forgetting=rounded(continual.forgetting(errors), 8),
        backward_transfer=rounded(continual.backward_transfer(errors), 8),
    )


def course_of(curves: Float[Tensor, "functions stages"]) -> Course:
    """Averages curves over lives."""
    points = [estimate(stage.double().cpu().numpy()) for stage in curves.T]
    return Course([point.mean for point in points], [point.ci95 for point in points])


def settled(
    errors: Float[Tensor, "functions stages tasks"], *, instead: float = 1.0
) -> tuple[Float[Tensor, "functions stages tasks"], int]:
    """Gives lives that diverged an error `instead`, more than predicting 0 throughout could cost, and counts them."""
    diverged = ~torch.isfinite(errors).flatten(1).all(1)
    return torch.where(diverged[:, None, None], instead, errors), int(diverged.sum())
