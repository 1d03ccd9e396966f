"""What can be done with finished runs of this family, as far as several claims offer it."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from hyperlearning.core.expect import AtLeast, Seed, check_ranges
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.experiment import Answer, Verb, values_of
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


def _evaluate_functions(record: RunRecord, options: EvaluateFunctions) -> Answer:
    scores = evaluate(record, num_functions=options.num_functions, seed=options.seed)
    return evaluated(scores, f"{options.num_functions} functions of seed {options.seed}")


EVALUATE_FUNCTIONS = Verb(
    "Deploys the hyper-trained network on functions that it has not met.", EvaluateFunctions, _evaluate_functions
)
"""Of a run that hyper-trains one network."""


def evaluated(scores: Scores, title: str) -> Answer:
    """Says how lives went: every score, with its interval."""
    estimates = scores.estimates()
    rows = tuple((name.replace("_", " "), str(value)) for name, value in estimates.items())
    return Answer(
        table=Table(title=title, header=("score", "mean ± 95 %"), rows=rows),
        values={name: values_of(value) for name, value in estimates.items()},
    )
