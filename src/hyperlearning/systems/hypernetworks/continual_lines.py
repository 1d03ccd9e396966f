"""What records of continual lives say."""

from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar, Literal

Scenario = Literal["task", "domain", "class"]
SCENARIOS: dict[Scenario, str] = {"task": "task known", "domain": "domain", "class": "class"}
"""Task-incremental: which task an image is of is known. Domain-incremental: it is not, and need not be found. Class-incremental:
it is not, and the label is one of all of all tasks (van de Ven and Tolias, "Three scenarios for continual learning", 2019)."""


@dataclass(frozen=True, kw_only=True)
class StageLine:
    """A learner after a task.

    Attributes:
        stage: Which, from 1.
        accuracies: On every task so far, as its scenario has it; where a task has a network, with the task known.
        domain: Likewise, the right label of a task, the task inferred; where it was looked at.
        right: Likewise, the right label of all labels of all tasks.
        num_bytes: Everything that its networks need.
        num_held: Numbers held besides while the task was learned.
        num_steps: Updates of the task.
        step_seconds: What an update took.
        seconds: What the task took: training, and looking.
    """

    kind: ClassVar[str] = "stage"

    stage: int
    accuracies: tuple[float, ...]
    domain: tuple[float, ...] = ()
    right: tuple[float, ...] = ()
    num_bytes: int
    num_held: int = 0
    num_steps: int = 0
    step_seconds: float = 0.0
    seconds: float


@dataclass(frozen=True, kw_only=True)
class MethodLine:
    """A method throughout a life, in one scenario.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        note: What it is, in a sentence.
        scenario: Which.
        inferred: How the task of an image is inferred, if it is.
        stages: How it stood after every task.
    """

    kind: ClassVar[str] = "method"

    method: str
    title: str
    note: str
    scenario: Scenario
    inferred: str = ""
    stages: tuple[StageLine, ...]

    @property
    def last(self) -> StageLine:
        """After the last task."""
        return self.stages[-1]

    @property
    def accuracy(self) -> float:
        """Mean over tasks after the last."""
        return fmean(self.last.accuracies)

    @property
    def when_learned(self) -> list[float]:
        """On each task just after it was learned; none where all were learned at once."""
        return [stage.accuracies[-1] for stage in self.stages] if len(self.stages) > 1 else []

    @property
    def forgetting(self) -> float | None:
        """`1/(T-1) sum_{j<T} (max_{j<=i<T} a_ij - a_Tj)`, as Chaudhry et al. (2018) have it."""
        if len(self.stages) < 2:
            return None
        num = len(self.stages)
        best = [max(stage.accuracies[task] for stage in self.stages[task : num - 1]) for task in range(num - 1)]
        return fmean(one - self.last.accuracies[task] for task, one in enumerate(best))

    def forward_transfer(self, alone: "MethodLine") -> float | None:
        """`1/(T-1) sum_{j>1} (a_jj - b_j)`: how much better a later task is learned than by a network of its own, b_j."""
        own = self.when_learned
        return fmean(a - b for a, b in zip(own[1:], alone.when_learned[1:], strict=True)) if len(own) > 1 else None


@dataclass(frozen=True, kw_only=True)
class TasksLine:
    """The tasks of a life.

    Attributes:
        tasks: What each is called.
        num_outputs: Labels of each.
        num_weights: Weights of a network of one task.
        num_emitting: Numbers of the hypernetwork, embeddings of all tasks among them.
    """

    kind: ClassVar[str] = "tasks"

    tasks: tuple[str, ...]
    num_outputs: int
    num_weights: int
    num_emitting: int


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """A strength, tried on other tasks.

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
    """The strength of a rival.

    Attributes:
        method: Its name, with the scenario's.
        title: What a figure calls it.
        strength: What did best.
        strengths: What was tried, in order.
        accuracies: How each did.
    """

    kind: ClassVar[str] = "tuned"

    method: str
    title: str
    strength: float
    strengths: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class InferenceLine:
    """How well tasks are inferred, after the last of them.

    Attributes:
        method: Whose networks.
        title: What a figure calls these.
        rule: How.
        found: Of every task, the share of its images whose task is found.
        domain: Of every task, the share that get the right label of a task.
        right: Of every task, the share that get the right label of all labels of all tasks.
        num_bytes: What inferring keeps, beside the networks.
    """

    kind: ClassVar[str] = "inference"

    method: str
    title: str
    rule: str
    found: tuple[float, ...]
    domain: tuple[float, ...]
    right: tuple[float, ...]
    num_bytes: int = 0
