"""What the records of experiments on images say, as far as several claims say it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.rounding import rounded
from hyperlearning.core.settings import absent
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.accuracy import LifeAccuracy, forgetting
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.networks.parameter_counts import ParameterCounts
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.pools import Split
from hyperlearning.systems.system import Method

MeanAndInterval = tuple[float, float]
"""A mean, of 1, and half its 95 % interval."""

ScoreName = Literal["memory", "generalization", "memory_of_life", "generalization_of_life", "forgetting"]

Matrix = list[list[float]]


class ShortScores(NamedTuple):
    """Memory and generalization at the end of life."""

    memory: MeanAndInterval
    generalization: MeanAndInterval


@dataclass(frozen=True, kw_only=True)
class ValidationLine:
    """How a system in training fares when it is deployed.

    Attributes:
        epoch: Epochs finished.
        images: Images met so far, the measure of compute.
        meta_train: How lives of these classes end.
        meta_test: Likewise.
        meta_eval: Likewise.
    """

    kind: ClassVar[str] = "validation"

    epoch: int
    images: int
    meta_train: ShortScores
    meta_test: ShortScores
    meta_eval: ShortScores

    def of(self, split: Split) -> ShortScores:
        """How lives of a split's classes end."""
        return {"meta_train": self.meta_train, "meta_test": self.meta_test, "meta_eval": self.meta_eval}[split]


class LossCourse(NamedTuple):
    """Means of a loss since the point before, by epochs finished."""

    epoch: list[int]
    mean: list[float]


@dataclass(frozen=True, kw_only=True)
class SystemLine:
    """The course of a system's training.

    Attributes:
        label: The system's name.
        method: What kind of system it is.
        looks: How it fared when it was deployed.
        hyper_loss: What training minimized.
        training_seconds: How long it took.
        settings: What it was built from.
    """

    kind: ClassVar[str] = "system"

    label: str
    method: str
    looks: list[ValidationLine]
    hyper_loss: LossCourse
    training_seconds: float
    settings: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Shares of images classified rightly at the end of every life; 1 is best but for forgetting, where 0 is.

    Attributes:
        memory: Of the images learned, argmax over all outputs.
        generalization: Likewise of other images of their classes.
        memory_of_life: Argmax over the life's classes alone.
        generalization_of_life: Likewise.
        forgetting: How much memory fell since each class was learned; only of lives that were looked at all along.
    """

    memory: list[float]
    generalization: list[float]
    memory_of_life: list[float]
    generalization_of_life: list[float]
    forgetting: list[float] | None = absent()

    def by_name(self) -> dict[str, list[float]]:
        """Those that there are."""
        return {name: scores for name, scores in vars(self).items() if scores is not None}


class Course(NamedTuple):
    """A curve over the stages of a life: its mean over lives, and half the 95 % interval."""

    mean: list[float]
    ci95: list[float]


class AccuracyCourse(NamedTuple):
    """Memory and generalization over the classes met so far, after each class."""

    memory: Course
    generalization: Course


@dataclass(frozen=True, kw_only=True)
class MethodLine:
    """A method on lives of one split.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        note: What it is, in a sentence.
        parameters: How many it has, if plastic and innate ones differ.
        split: Where the lives come from; in `continual-versus-iid` also the number of classes.
        num_tasks: Classes of a life.
        scores: Of every life.
        num_parameters: How many it has in all.
        trials: Generalization on lives of their own, by the rate that was tried.
        inner_lr: The rate chosen.
        updates: Updates of a life.
        budget: What its training was given as much of as others.
        images_of_class: Images of a class in hyper-training.
        num_learned: How many of them were learned.
        epochs: Epochs of hyper-training.
        images: Images met in hyper-training.
        pixel_error: Of reconstructing held-out images, of every life.
        course: Over the stages of a life; nothing if it was looked at only at its end.
        accuracy_matrix: (T + 1, T), memory; likewise.
        generalization_matrix: Likewise.
    """

    kind: ClassVar[str] = "method"

    method: str
    title: str
    note: str
    parameters: ParameterCounts | None
    split: str
    num_tasks: int
    scores: Scores
    num_parameters: int | None = absent()
    trials: dict[str, float] | None = absent()
    inner_lr: float | None = absent()
    updates: int | None = absent()
    budget: str | None = absent()
    images_of_class: int | None = absent()
    num_learned: int | None = absent()
    epochs: int | None = absent()
    images: int | None = absent()
    pixel_error: list[float] | None = absent()
    course: AccuracyCourse | None = absent()
    accuracy_matrix: Matrix | None = absent()
    generalization_matrix: Matrix | None = absent()

    def estimate(self, name: ScoreName) -> Estimate:
        """A score's mean over lives, with its interval."""
        return estimate(self.scores.by_name()[name])


class HeldOut(NamedTuple):
    """Lives to deploy on, and the split that lines say they are of."""

    split: str
    lives: ClassLives

    @property
    def num_tasks(self) -> int:
        """Classes of a life."""
        return self.lives.labels.shape[1]


ClassMethod = Method[ClassLives, LifeAccuracy]


def method_line(method: Method[ClassLives, Any], held_out: HeldOut, lives: LifeAccuracy, **more: Any) -> MethodLine:
    """Says how a method's lives went.

    Earlier stages may be NaN, and then there is no course; `more` is said besides the method's facts.
    """
    by_stage: dict[str, Any] = {}
    if torch.isfinite(matrix := lives.generalization.mean(0)).all():
        by_stage["course"] = AccuracyCourse(course_over_met(lives.memory), course_over_met(lives.generalization))
        by_stage["accuracy_matrix"] = rounded(lives.memory.mean(0))
        by_stage["generalization_matrix"] = rounded(matrix)
    return MethodLine(
        method=method.name,
        title=method.title,
        note=method.note,
        split=held_out.split,
        num_tasks=held_out.num_tasks,
        scores=scores_of(lives),
        **{"parameters": None, **method.facts, **more, **by_stage},
    )


def record_lives(record: RunRecord, methods: Iterable[ClassMethod], held_out: Iterable[HeldOut]) -> None:
    """Lets methods live, one set of lives after another, and says how it went; what the record says is not lived again."""
    methods = tuple(methods)
    for lives in held_out:
        for method in methods:
            record_life(record, method.name, lives, lambda: method)  # noqa: B023 (Called at once.)


def record_life(record: RunRecord, name: str, held_out: HeldOut, make: Callable[[], ClassMethod]) -> MethodLine:
    """Likewise of one method on one set of lives; `make`, which may take tuning, is called if the record lacks the line."""

    def line() -> MethodLine:
        method = make()
        return method_line(method, held_out, method.live(held_out.lives))

    return record.once(MethodLine, line_key(name, held_out), line)


def line_key(name: str, held_out: HeldOut) -> dict[str, Any]:
    """What tells a method's line from others."""
    return {"method": name, "split": held_out.split, "num_tasks": held_out.num_tasks}


def scores_of(lives: LifeAccuracy) -> Scores:
    """Scores every life at its end, to be averaged and paired."""
    fallen = forgetting(lives.memory)
    return Scores(
        memory=rounded(lives.memory[:, -1].mean(-1), 6),
        generalization=rounded(lives.generalization[:, -1].mean(-1), 6),
        memory_of_life=rounded(lives.memory_of_life.mean(-1), 6),
        generalization_of_life=rounded(lives.generalization_of_life.mean(-1), 6),
        forgetting=rounded(fallen, 6) if torch.isfinite(fallen).all() else None,
    )


def short_scores(memory: Sequence[float], generalization: Sequence[float], *, digits: int = 5) -> ShortScores:
    """Averages memory and generalization of lives."""
    both = [estimate(values) for values in (memory, generalization)]
    return ShortScores(*((round(value.mean, digits), round(value.ci95, digits)) for value in both))


def course_over_met(accuracy: Float[Tensor, "lives stages tasks"]) -> Course:
    """The mean over the classes met so far, after each class."""
    return course_of(accuracy[:, stage, :stage].mean(-1) for stage in range(1, accuracy.shape[1]))


def course_of(stages: Iterable[Float[Tensor, " lives"]]) -> Course:
    """Averages every stage over lives."""
    points = [estimate(stage.double().cpu().numpy()) for stage in stages]
    return Course([point.mean for point in points], [point.ci95 for point in points])
