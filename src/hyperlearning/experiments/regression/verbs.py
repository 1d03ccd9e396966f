"""What can be done with finished runs of this family, as far as several claims offer it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hyperlearning.core.errors import RunError
from hyperlearning.core.expect import AtLeast, Seed, check_ranges
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate, paired_difference
from hyperlearning.experiments.experiment import Answer
from hyperlearning.reports.page import Table
from hyperlearning.systems.regression.scores import Scores
from hyperlearning.systems.regression.trained import evaluate


@dataclass(frozen=True, kw_only=True)
class EvaluateFunctions:
    """Options of `evaluate`."""

    num_functions: Annotated[int, AtLeast(2)] = 256
    """How many functions."""
    seed: Seed = 1
    """What they are drawn from."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class EvaluateLives:
    """Options of `evaluate` where a life has many functions."""

    num_lives: Annotated[int, AtLeast(2), tyro.conf.arg(aliases=["--num-functions"])] = 50
    """How many lives."""
    seed: Seed = 1
    """What they are drawn from."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class CompareRuns:
    """Options of `compare`."""

    other: tyro.conf.Positional[Path]
    """The run to compare with."""

    def opened(self, record: RunRecord) -> RunRecord:
        """Opens the other run.

        Raises:
            RunError: If it is of another experiment.
        """
        other = RunRecord(self.other)
        if other.experiment != record.experiment:
            raise RunError(f"Expected another run of {record.experiment}, but {other.path} is of {other.experiment}.")
        return other


def check_shared(first: object, second: object, names: tuple[str, ...]) -> None:
    """Raises if two runs did not meet the same lives.

    Args:
        first: Settings of one run.
        second: Settings of the other.
        names: Settings that lives follow from.

    Raises:
        RunError: If one of them differs.
    """
    for name in names:
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            raise RunError(f"Expected two runs that met the same lives, but `{name}` is {one} and {other}.")


def evaluate_functions(record: RunRecord, options: EvaluateFunctions) -> Answer:
    """Deploys what a run has hyper-trained on functions that it has not met."""
    scores = evaluate(record, num_functions=options.num_functions, seed=options.seed)
    return evaluated(scores, f"{options.num_functions} functions of seed {options.seed}")


def evaluated(scores: Scores, title: str) -> Answer:
    """Says how lives went: every score, with its interval."""
    estimates = scores.estimates()
    rows = tuple((name.replace("_", " "), str(value)) for name, value in estimates.items())
    return Answer(
        table=Table(title=title, header=("score", "mean ± 95 %"), rows=rows),
        values={name: {"mean": value.mean, "ci95": value.ci95} for name, value in estimates.items()},
    )


def compared(first: Mapping[str, Scores], second: Mapping[str, Scores], title: str) -> Answer:
    """Compares two runs over the lives they share, pair by pair.

    Args:
        first: Scores of one run, by what was deployed; "" where there is one thing only.
        second: Likewise of the other.
        title: Names the two runs.
    """
    rows, values = [], {}
    for name, ours in first.items():
        for score, one in ours._asdict().items():
            other = second[name]._asdict()[score]
            difference = paired_difference(one, other)
            verdict = "no clear difference" if difference.low <= 0 <= difference.high else "clear of 0"
            label = f"{name} {score}".strip().replace("_", " ")
            rows.append((label, str(estimate(one)), str(estimate(other)), str(difference), verdict))
            values[label.replace(" ", "_")] = {"mean": difference.mean, "ci95": difference.ci95}
    header = ("score", "A", "B", "A - B, paired", "95 % interval")
    return Answer(table=Table(title=title, header=header, rows=tuple(rows)), values=values)


def title_of(first: RunRecord, second: RunRecord) -> str:
    """Names two runs that are compared."""
    return f"A: {first.path}   B: {second.path}"
