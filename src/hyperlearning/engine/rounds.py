"""Rounds: a few long steps, each of which begins where the one before ended, as a job that can stop between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.params import Params, on_default_device
from hyperlearning.engine.job import Packed, Step
from hyperlearning.engine.run_record import Line


class RoundsState(NamedTuple):
    """All that is needed to go on to the same numbers.

    Attributes:
        tensors: What rounds hand on, such as which examples are labelled, and a network.
        facts: JSON values that they hand on.
        round: Rounds finished.
        generator_state: The generator's state; the next round's random numbers follow from it.
    """

    tensors: Params
    facts: dict[str, Any]
    round: int
    generator_state: Tensor


class Played(NamedTuple):
    """What came of a round.

    Attributes:
        tensors: What the next round gets.
        facts: Likewise.
        line: What the record says of it.
        note: How it went, in a few words.
    """

    tensors: Params
    facts: dict[str, Any]
    line: Line
    note: str


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The job that plays rounds one after another.

    Attributes:
        initial: The state before the first.
        play: Plays one, given the state before it and the source of its random numbers.
        num_rounds: Rounds in all.
        source: Source of random numbers; its state is taken from the state's.
        title: What is being done.
        unit: Name of a round, plural.
    """

    initial: RoundsState
    play: Callable[[RoundsState, torch.Generator], Played]
    num_rounds: int
    source: torch.Generator
    title: str = "rounds"
    unit: str = "rounds"

    @property
    def total(self) -> int:
        """Rounds in all."""
        return self.num_rounds

    @property
    def num_epochs(self) -> int:
        """Each round is an epoch."""
        return self.num_rounds

    def begin(self) -> RoundsState:
        """The state before the first round."""
        return self.initial

    def done(self, state: RoundsState) -> int:
        """Rounds finished."""
        return state.round

    def steps(self, state: RoundsState) -> Iterator[Step[RoundsState]]:
        """Goes on from a state, one round after another."""
        self.source.set_state(state.generator_state)
        for number in range(state.round + 1, self.num_rounds + 1):
            played = self.play(state, self.source)
            state = RoundsState(played.tensors, played.facts, number, self.source.get_state())
            yield Step(state, number, played.note, played.line, number)

    def pack(self, state: RoundsState) -> Packed:
        """Names every tensor of a state, and says where it stands."""
        tensors = {f"tensors/{name}": tensor for name, tensor in state.tensors.items()}
        return Packed(tensors | {"generator": state.generator_state}, {"round": state.round, "facts": state.facts})

    def unpack(self, packed: Packed) -> RoundsState:
        """Rebuilds the state that `pack` took apart."""
        prefix = "tensors/"
        tensors = {
            name.removeprefix(prefix): on_default_device(tensor)
            for name, tensor in packed.tensors.items()
            if name.startswith(prefix)
        }
        return RoundsState(tensors, packed.facts["facts"], packed.facts["round"], packed.tensors["generator"])
