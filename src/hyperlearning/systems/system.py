"""What every family builds, and what every comparison compares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import nn

from hyperlearning.engine.hyper_training import HyperTraining
from hyperlearning.learners.inner_loop import Learner

N = TypeVar("N", bound=nn.Module)
HeldOutT = TypeVar("HeldOutT")
LivesT = TypeVar("LivesT")


@dataclass(frozen=True)
class System(Generic[N]):
    """A network with its hyper-training, ready to begin.

    Attributes:
        network: The network; its own values are those at birth before training.
        learner: The inner loop in deployment.
        job: Its hyper-training.
    """

    network: N
    learner: Learner
    job: HyperTraining


@dataclass(frozen=True)
class Method(Generic[HeldOutT, LivesT]):
    """A thing compared in a table.

    Attributes:
        name: Its key in records, distinct among the methods of a run.
        title: What a figure calls it.
        note: What it is, in a sentence.
        live: Lives one life for each of those held out.
        facts: What its line of the record says besides, such as its number of parameters or its rate.
    """

    name: str
    title: str
    note: str
    live: Callable[[HeldOutT], LivesT]
    facts: Mapping[str, Any] = field(default_factory=dict)
