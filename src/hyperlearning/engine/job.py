"""A job: long work cut into steps, and all that going on after an interruption needs."""

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from hyperlearning.core.params import Params
from hyperlearning.engine.run_record import Line

S = TypeVar("S")


class Step(NamedTuple, Generic[S]):
    """One step of a job.

    Attributes:
        state: The state after it.
        done: Units of work finished in all.
        note: How it went, in a few words.
        line: What the record says of it, if anything.
        epoch: Epochs finished in all, if it ended one; looks are taken then.
        same_pace_until: Units up to which the work goes as fast as now; to its end if absent.
    """

    state: S
    done: int
    note: str
    line: Line | None = None
    epoch: int | None = None
    same_pace_until: int | None = None


class Packed(NamedTuple):
    """A state as a checkpoint holds it.

    Attributes:
        tensors: Every tensor, by name.
        facts: JSON values beside them, such as where the job stands.
    """

    tensors: Params
    facts: dict[str, Any]


@runtime_checkable
class Job(Protocol[S]):
    """Work that can be stopped after any step and gone on with to the same numbers.

    Attributes:
        title: What is being done, such as "hyper-training".
        unit: Name of a unit of work, plural.
        total: Units in all.
        num_epochs: Epochs in all.
    """

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def unit(self) -> str: ...  # noqa: D102
    @property
    def total(self) -> int: ...  # noqa: D102
    @property
    def num_epochs(self) -> int: ...  # noqa: D102

    def begin(self) -> S:
        """The state before the first step."""
        ...

    def done(self, state: S) -> int:
        """Units of work finished."""
        ...

    def steps(self, state: S) -> Iterator[Step[S]]:
        """Goes on from a state to the end, step by step."""
        ...

    def pack(self, state: S) -> Packed:
        """Takes a state apart, for a checkpoint."""
        ...

    def unpack(self, packed: Packed) -> S:
        """Puts together what `pack` took apart."""
        ...
