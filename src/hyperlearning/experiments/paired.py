"""Paired comparison of two runs: what claims of every family share of `compare`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import tyro

from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.reports.page import Table


@dataclass(frozen=True, kw_only=True)
class CompareRuns:
    """Options of `compare`."""

    other: tyro.conf.Positional[Path]
    """The run to compare with."""


class Pair(NamedTuple):
    """A score of two runs over the lives that both have met."""

    first: Estimate
    second: Estimate
    difference: Estimate

    @property
    def verdict(self) -> str:
        """Whether the difference's interval leaves out 0."""
        return "no clear difference" if self.difference.low <= 0 <= self.difference.high else "clear of 0"

    def values(self) -> dict[str, dict[str, float]]:
        """All three as JSON values."""
        return {name: values_of(value) for name, value in self._asdict().items()}


def paired(first: Sequence[float], second: Sequence[float]) -> Pair:
    """Compares two runs' scores life by life, with the errors of `paired_difference`."""
    return Pair(estimate(first), estimate(second), paired_difference(first, second))


def values_of(value: Estimate) -> dict[str, float]:
    """An estimate as JSON values."""
    return {"mean": value.mean, "ci95": value.ci95}


def pairs_table(
    pairs: Mapping[tuple[str, ...], Pair],
    records: tuple[RunRecord, RunRecord],
    *,
    words: tuple[str, ...] = ("score",),
    title: str = "",
    write: Callable[[Estimate], str] = str,
) -> Table:
    """Every pair in a row.

    Args:
        pairs: What was compared, by the words that its row begins with.
        records: The two runs.
        words: What those words are.
        title: What there is to say before the runs' names.
        write: Writes an estimate.
    """
    first, second = records
    return Table(
        title=f"{title}A: {first.path}   B: {second.path}",
        header=(*words, "A", "B", "A - B, paired", "95 % interval"),
        rows=tuple((*begin, *map(write, pair), pair.verdict) for begin, pair in pairs.items()),
    )


def opened_other(record: RunRecord, path: Path) -> RunRecord:
    """Opens the run that a run is compared with.

    Raises:
        RunError: If it is of another experiment.
    """
    other = RunRecord(path)
    if other.experiment != record.experiment:
        raise RunError(f"Expected another run of {record.experiment}, but {other.path} is of {other.experiment}.")
    return other


def check_shared(first: object, second: object, names: Sequence[str], *, met: str = "lives") -> None:
    """Raises if two runs did not meet the same.

    Args:
        first: Settings of one run.
        second: Settings of the other.
        names: Settings that lives follow from.
        met: What was met.

    Raises:
        RunError: If one of them differs.
    """
    for name in names:
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            raise RunError(f"Expected two runs that met the same {met}, but `{name}` is {one} and {other}.")
