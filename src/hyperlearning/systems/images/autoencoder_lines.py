"""What records of autoencoders say of methods."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from hyperlearning.core.rounding import rounded
from hyperlearning.core.settings import absent
from hyperlearning.evaluation.accuracy import forgetting
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.evaluation.reconstruction import LifeErrors, forward_transfer, unseen_error
from hyperlearning.networks.parameter_counts import ParameterCounts
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.lines import Course, Matrix, course_of, course_over_met
from hyperlearning.systems.images.pools import Split
from hyperlearning.systems.system import Method

ErrorName = Literal["memory", "generalization", "forgetting", "unseen", "forward_transfer"]

AutoencoderMethod = Method[ClassLives, LifeErrors]


class ErrorScores(NamedTuple):
    """Scores of every life; of all, lower is better but for forward transfer.

    Attributes:
        memory: Error over all classes at the end, on the images learned.
        generalization: Likewise on other images of the classes.
        forgetting: How much memory's error rose since each class was learned.
        unseen: Error on a class just before it is met.
        forward_transfer: How much smaller that is than at birth.
    """

    memory: list[float]
    generalization: list[float]
    forgetting: list[float]
    unseen: list[float]
    forward_transfer: list[float]

    def by_name(self) -> dict[str, list[float]]:
        """All of them."""
        return self._asdict()


class ErrorCourse(NamedTuple):
    """Errors after each stage of a life: on images learned, others of their classes, images of classes not met yet.

    The first two begin after the first class, the last ends before the last one.
    """

    memory: Course
    generalization: Course
    unseen: Course


@dataclass(frozen=True, kw_only=True)
class ReconstructionLine:
    """A method on lives of one split.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        note: What it is, in a sentence.
        parameters: How many it has, if it has any.
        split: Where the lives come from.
        scores: Of every life.
        course: Over the stages of a life.
        memory_matrix: (T + 1, T), means over lives.
        generalization_matrix: Likewise.
        generalization_ci95: Half the widths of the intervals of that.
        trials: Generalization on lives of their own, by the rate that was tried.
    """

    kind: ClassVar[str] = "method"

    method: str
    title: str
    note: str
    parameters: ParameterCounts | None
    split: Split
    scores: ErrorScores
    course: ErrorCourse
    memory_matrix: Matrix
    generalization_matrix: Matrix
    generalization_ci95: Matrix
    trials: dict[str, float] | None = absent()

    def estimate(self, name: ErrorName) -> Estimate:
        """A score's mean over lives, with its interval."""
        return estimate(self.scores.by_name()[name])


def reconstruction_line(method: AutoencoderMethod, split: Split, errors: LifeErrors) -> ReconstructionLine:
    """Says how a method's lives went."""
    facts: dict[str, Any] = {"parameters": None, **method.facts}
    by_stage = errors.generalization.transpose(0, 1)
    return ReconstructionLine(
        method=method.name,
        title=method.title,
        note=method.note,
        split=split,
        scores=error_scores(errors),
        course=_course(errors),
        memory_matrix=rounded(errors.memory.mean(0), 6),
        generalization_matrix=rounded(errors.generalization.mean(0), 6),
        generalization_ci95=[[round(width, 6) for width in course_of(stage.T).ci95] for stage in by_stage],
        **facts,
    )


def error_scores(errors: LifeErrors) -> ErrorScores:
    """Scores every life, to be averaged and paired."""
    values = (
        errors.memory[:, -1].mean(-1),
        errors.generalization[:, -1].mean(-1),
        forgetting(-errors.memory),
        unseen_error(errors.generalization),
        forward_transfer(errors.generalization),
    )
    return ErrorScores(*(rounded(each, 6) for each in values))


def _course(errors: LifeErrors) -> ErrorCourse:
    ahead = (errors.generalization[:, stage, stage:].mean(-1) for stage in range(errors.memory.shape[2]))
    return ErrorCourse(course_over_met(errors.memory), course_over_met(errors.generalization), course_of(ahead))
