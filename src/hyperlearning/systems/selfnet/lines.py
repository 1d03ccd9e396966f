"""What records of stores of networks say."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class StageLine:
    """A store after a stage.

    Attributes:
        stage: Which, from 1.
        accuracies: Of the network of every task so far, recollected.
        num_bytes: Everything that the store keeps.
        cosines: Of every recollection to the network that was trained, where there is one.
        iterations: What training the store took, if it is trained.
        to_targets: The mean cosine to what it was trained on, likewise.
        seconds: What the stage took: training, and looking.
    """

    kind: ClassVar[str] = "stage"

    stage: int
    accuracies: tuple[float, ...]
    num_bytes: int
    cosines: tuple[float, ...] = ()
    iterations: int | None = None
    to_targets: float | None = None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StoreLine:
    """A store throughout a life.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        note: What it is, in a sentence.
        num_tasks: Tasks after every stage.
        num_weights: Weights of a task network.
        stages: How it stood then.
    """

    kind: ClassVar[str] = "store"

    method: str
    title: str
    note: str
    num_tasks: tuple[int, ...]
    num_weights: int
    stages: tuple[StageLine, ...]

    @property
    def last(self) -> StageLine:
        """After the last task."""
        return self.stages[-1]

    def unit(self, stage: int) -> int:
        """Bytes of as many separate networks in float32."""
        return 4 * self.num_weights * self.num_tasks[stage]

    def compression(self, stage: int = -1) -> float:
        """How many times fewer bytes it keeps."""
        return self.unit(stage) / max(self.stages[stage].num_bytes, 1)

    @property
    def bytes_a_task(self) -> float:
        """Bytes that the tasks after the first stage added, a task."""
        added = self.stages[-1].num_bytes - self.stages[0].num_bytes
        return added / max(self.num_tasks[-1] - self.num_tasks[0], 1)


@dataclass(frozen=True, kw_only=True)
class CodersLine:
    """What quantised differences take after the last task, by what compresses them.

    Attributes:
        method: The store's name.
        title: What a figure calls it.
        coders: What compresses.
        num_bytes: Everything that the store keeps with each.
    """

    kind: ClassVar[str] = "coders"

    method: str
    title: str
    coders: tuple[str, ...]
    num_bytes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TasksLine:
    """The tasks of a life.

    Attributes:
        tasks: What each is called.
        buffer: Tasks of a stage.
        chance: What guessing gets right.
    """

    kind: ClassVar[str] = "tasks"

    tasks: tuple[str, ...]
    buffer: int
    chance: float = 0.5


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """A strength of a continual learner, tried on other tasks.

    Attributes:
        trial: Which, from 1.
        strength: What was tried.
        accuracy: Over the tasks of the trial.
    """

    kind: ClassVar[str] = "trial"

    trial: int
    strength: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class TunedLine:
    """The strength of a continual learner.

    Attributes:
        method: Its name.
        strength: What did best.
        strengths: What was tried, in order.
        accuracies: How each did.
    """

    kind: ClassVar[str] = "tuned"

    method: str
    strength: float
    strengths: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class InferenceLine:
    """How well tasks are inferred, after the last of them.

    Attributes:
        rule: Its name.
        title: What a table calls it.
        note: What it is, in a sentence.
        found: Of every task, the share of its images whose task is found.
        right: Of every task, the share of its images that get the right label of all labels of all tasks.
        num_bytes: What inferring keeps, beside the networks.
    """

    kind: ClassVar[str] = "inference"

    rule: str
    title: str
    note: str
    found: tuple[float, ...]
    right: tuple[float, ...]
    num_bytes: int
