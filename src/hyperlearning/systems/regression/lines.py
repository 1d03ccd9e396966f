"""What records of functions learned piece by piece say, as far as several claims say it."""

from dataclasses import dataclass
from typing import ClassVar

from hyperlearning.core.rounding import rounded
from hyperlearning.core.settings import absent
from hyperlearning.evaluation import continual
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors
from hyperlearning.systems.regression.scores import Course, Scores, course_of, scores_of, settled
from hyperlearning.systems.system import Method

Matrix = list[list[float]]


@dataclass(frozen=True, kw_only=True)
class ValidationLine:
    """How a network in training fares when it is deployed.

    Attributes:
        epoch: Epochs finished.
        total_error: Mean over validation lives.
        memory_error: Likewise.
    """

    kind: ClassVar[str] = "validation"

    epoch: int
    total_error: float
    memory_error: float


@dataclass(frozen=True, kw_only=True)
class MethodLine:
    """A method on the held-out lives.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        note: What it is, in a sentence.
        num_plastic: Numbers that change in a life.
        num_innate: Numbers that do not.
        num_diverged: Lives that diverged, which count with a fixed error.
        scores: Of every life.
        error_matrix: (T + 1, T), means over lives.
        error_matrix_ci95: Half the widths of their intervals.
        total_curve: Error on all tasks in the course of a life.
        memory_curve: Error on the tasks met so far.
        trials: Total error on validation lives, by what was tried.
    """

    kind: ClassVar[str] = "method"

    method: str
    title: str
    note: str
    num_plastic: int
    num_innate: int | None = absent()
    num_diverged: int
    scores: Scores
    error_matrix: Matrix
    error_matrix_ci95: Matrix | None = absent()
    total_curve: Course
    memory_curve: Course
    trials: dict[str, float] | None = absent()


def validation_line(epoch: int, lives: LifeErrors) -> ValidationLine:
    """Says how validation lives went."""
    return ValidationLine(
        epoch=epoch,
        total_error=float(continual.total_error(lives.errors).mean()),
        memory_error=float(continual.memory_error(lives.errors).mean()),
    )


def method_line(
    method: Method[HeldOut, LifeErrors], lives: LifeErrors, *, instead: float = 1.0, with_intervals: bool = False
) -> MethodLine:
    """Says how a method's lives went.

    Args:
        method: The method.
        lives: Its lives.
        instead: Error of a life that diverged.
        with_intervals: Whether every cell of the error matrix has its interval; if not, cells are short numbers.
    """
    errors, num_diverged = settled(lives.errors, instead=instead)
    cells = [course_of(stage) for stage in errors.transpose(0, 1)]
    return MethodLine(
        method=method.name,
        title=method.title,
        note=method.note,
        num_diverged=num_diverged,
        scores=scores_of(errors),
        error_matrix=[row.mean for row in cells] if with_intervals else rounded(errors.mean(0), 7),
        error_matrix_ci95=[row.ci95 for row in cells] if with_intervals else None,
        total_curve=course_of(continual.total_curve(errors)),
        memory_curve=course_of(continual.memory_curve(errors)),
        **method.facts,
    )
