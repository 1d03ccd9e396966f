"""What records of few-shot learners say."""

from dataclasses import dataclass
from typing import ClassVar, Literal

Readout = Literal["own", "adapted", "class_means"]
"""What scores queries: the learner; the learner after gradient steps on the support; class means by angle on its features."""

COMMON_COURSE = "common"
"""What the training of the embedding that all learners begin with is called."""


@dataclass(frozen=True, kw_only=True)
class LookLine:
    """A learner in the course of training.

    Attributes:
        images: Images met.
        loss: Mean since the look before.
        validation: The share of queries of validation that are right.
    """

    kind: ClassVar[str] = "look"

    images: int
    loss: float
    validation: float


@dataclass(frozen=True, kw_only=True)
class ClassesLine:
    """Classes of a run.

    Attributes:
        train: How many are learned from.
        validation: How many validate.
        tests: How many are tested on, by source, in order.
    """

    kind: ClassVar[str] = "classes"

    train: int
    validation: int
    tests: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class CourseLine:
    """A learner's training.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        ways: Classes of its episodes, if it takes no other number.
        looks: How it stood.
        num_numbers: How many numbers were trained.
        seconds: What training took.
    """

    kind: ClassVar[str] = "course"

    method: str
    title: str
    ways: int | None
    looks: tuple[LookLine, ...]
    num_numbers: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ScoreLine:
    """A learner on test episodes of one kind.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        readout: What scores queries.
        test: Source of the classes.
        ways: Classes of an episode.
        shots: Labelled images of a class.
        queries: Queries of an episode.
        right: Of every episode, queries that are right.
    """

    kind: ClassVar[str] = "score"

    method: str
    title: str
    readout: Readout
    test: str
    ways: int
    shots: int
    queries: int
    right: tuple[int, ...]

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Of every episode, the share of queries that are right."""
        return tuple(number / self.queries for number in self.right)

    @property
    def system(self) -> str:
        """Its name among all that were tested."""
        return self.method if self.readout == "own" else f"{self.method}-{self.readout.replace('_', '-')}"
