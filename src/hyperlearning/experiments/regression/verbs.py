"""What can be done with finished runs of this family, as far as several claims offer it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hyperlearning.core.expect import AtLeast, Seed, check_ranges
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.experiment import Answer
from hyperlearning.experiments.paired import paired, values_of
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
        values={name: values_of(value) for name, value in estimates.items()},
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
            pair = paired(one, second[name]._asdict()[score])
            label = f"{name} {score}".strip().replace("_", " ")
            rows.append((label, *map(str, pair), pair.verdict))
            values[label.replace(" ", "_")] = values_of(pair.difference)
    header = ("score", "A", "B", "A - B, paired", "95 % interval")
    return Answer(table=Table(title=title, header=header, rows=tuple(rows)), values=values)


def title_of(first: RunRecord, second: RunRecord) -> str:
    """Names two runs that are compared."""
    return f"A: {first.path}   B: {second.path}"
