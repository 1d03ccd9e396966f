"""What every family builds, and what every comparison compares."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from torch import nn

from hyperlearning.engine.hyper_training import HyperTraining
from hyperlearning.learners.inner_loop import Learner

N = TypeVar("N", bound=nn.Module)
HeldOutT = TypeVar("HeldOutT")
LivesT = TypeVar("LivesT")

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class System(NamedTuple, Generic[N]):
    """A network with its hyper-training, ready to begin.

    Attributes:
        network: The network; its own values are those at birth before training.
        learner: The inner loop in deployment.
        job: Its hyper-training.
    """

    network: N
    learner: Learner
    job: HyperTraining


class Method(NamedTuple, Generic[HeldOutT, LivesT]):
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
    facts: Mapping[str, Any] = _NOTHING
