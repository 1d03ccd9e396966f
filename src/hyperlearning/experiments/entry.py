"""How a finished run enters a comparison: which held-out lives it met, and how each of its systems fared, life by life."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a life is measured by.

    Attributes:
        name: Its key in scores; runs share measures of the same name.
        title: What a table calls it.
        unit: What its numbers are in; shares of 1 are shown as percent.
        lower_is_better: Which end is the best.
    """

    name: str
    title: str
    unit: str
    lower_is_better: bool = False

    @property
    def shown_unit(self) -> str:
        """What numbers are shown in."""
        return "percent" if self.unit == "share" else self.unit

    @property
    def scale(self) -> float:
        """What numbers are multiplied by when they are shown."""
        return 100.0 if self.unit == "share" else 1.0

    def shown(self, value: Estimate) -> Estimate:
        """An estimate in the unit that it is shown in."""
        return Estimate(self.scale * value.mean, self.scale * value.ci95, value.count)


@dataclass(frozen=True, kw_only=True)
class Fared:
    """How a system fared on lives.

    Attributes:
        system: Its name within the run, as `compare RUN:SYSTEM` has it.
        title: What it is.
        enters: Whether it is meant where the run alone is named: what the run's claim is about.
        scores: One number a life, by measure.
    """

    system: str
    title: str
    enters: bool
    scores: Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class MetLives:
    """Held-out lives, and the systems that met them.

    Attributes:
        title: What tables call them.
        facts: All that the lives follow from: of equal facts they are equal, one after another. A run that met fewer, where
            the number is none of the facts, met the first of them.
        systems: How each fared.
    """

    title: str
    facts: Mapping[str, Any]
    systems: tuple[Fared, ...]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """All that a run has to say in a comparison.

    Attributes:
        measures: The one that tells most first.
        met: Lives of all kinds, those that tell most first.
    """

    measures: tuple[Measure, ...]
    met: tuple[MetLives, ...]


class FurtherLives(NamedTuple):
    """Lives that no run has met: how many, and what they are drawn from."""

    num_lives: int
    seed: int


def refuse_further(record: RunRecord, further: FurtherLives | None) -> None:
    """Raises if further lives are asked for of a run that keeps nothing that could live them.

    Raises:
        RunError: If so.
    """
    if further is not None:
        raise RunError(
            f"Expected a run whose systems can live further lives, but {record.path} is of {record.experiment}, which has those "
            "of its record alone. Leave out --seed and --num-lives."
        )
