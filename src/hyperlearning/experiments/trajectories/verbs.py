"""What can be done with finished runs of the three claims: test their embeddings anew, compare two of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from hyperlearning.core.errors import RunError
from hyperlearning.core.expect import AtLeast, Seed, Some, check_ranges
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.experiments.experiment import Answer, Verb
from hyperlearning.reports import Table
from hyperlearning.systems.trajectories.characters import Splits, load_splits
from hyperlearning.systems.trajectories.lines import HeadName, LongTestLine
from hyperlearning.systems.trajectories.long_tests import HEADS, LongTest
from hyperlearning.systems.trajectories.page_parts import percent
from hyperlearning.systems.trajectories.trained import TrainedEmbedding, load_embedding

Open = Callable[[RunRecord], Sequence[TrainedEmbedding]]
"""Opens a finished run's embeddings."""


@dataclass(frozen=True, kw_only=True)
class FurtherTest:
    """A long test on runs that were not met before."""

    num_classes: Annotated[int, AtLeast(2)] = 100
    """Evaluation classes that a run learns one after another."""
    num_runs: Annotated[int, AtLeast(2), tyro.conf.arg(aliases=["--num-functions"])] = 20
    """Runs, each of other classes in another order."""
    seed: Seed = 7000
    """What runs and first weights are drawn from; take another than the run's."""
    heads: Annotated[tuple[HeadName, ...], Some(distinct=True)] = ("last_layer", "unit_layer", "whitened")
    """What learns on the embedding."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Two runs on the same further test, paired."""

    other: tyro.conf.Positional[Path]
    """The run to compare with."""
    test: tyro.conf.OmitArgPrefixes[FurtherTest] = field(default_factory=FurtherTest)
    """The test."""


def single(record: RunRecord) -> Sequence[TrainedEmbedding]:
    """Opens the one embedding of a run of `omniglot-oml` or `omniglot-anml`."""
    return (load_embedding(record),)


def evaluating(open_run: Open) -> Verb:
    """Makes the verb that tests a finished run's embeddings anew.

    Args:
        open_run: Opens a run.
    """
    help = "Let a new last layer learn evaluation classes in a row, on runs that were not met before."
    return Verb(help, FurtherTest, lambda record, test: evaluated(open_run(record), test))


def comparing(open_run: Open) -> Verb:
    """Makes the verb that compares two runs of a claim on the same further test.

    Args:
        open_run: Opens a run.
    """

    def act(record: RunRecord, options: CompareOptions) -> Answer:
        other = RunRecord(options.other)
        if other.experiment != record.experiment:
            raise RunError(f"Expected a run of {record.experiment}, but {other.path} is of {other.experiment}.")
        return _compared(open_run(record), open_run(other), options.test)

    return Verb("Compare two runs on the same further test, run by run.", CompareOptions, act)


def evaluated(embeddings: Iterable[TrainedEmbedding], test: FurtherTest) -> Answer:
    """Tests embeddings anew.

    Raises:
        ValueError: If there are fewer classes than a run asks for.
    """
    rows, values = [], {}
    for line in _tested(embeddings, test):
        scores = {"held_out": estimate(line.scores.held_out), "memory": estimate(line.scores.memory)}
        rows.append((line.title, HEADS[line.head].title, *(percent(score) for score in scores.values())))
        values |= {f"{line.embedding} {line.head} {name}": _values(score) for name, score in scores.items()}
    table = Table(
        title=f"Percent recognised after {test.num_classes} classes, {test.num_runs} runs of seed {test.seed}",
        header=("embedding", "what learns on it", "held-out images", "images learned"),
        rows=tuple(rows),
    )
    return Answer(table=table, values=values)


def _compared(ours: Sequence[TrainedEmbedding], theirs: Sequence[TrainedEmbedding], test: FurtherTest) -> Answer:
    available = {embedding.data.meta_test_classes for embedding in (*ours, *theirs)}
    if len(available) > 1:
        raise ValueError(f"Expected both runs to have as many `meta_test_classes`, but got {sorted(available)}.")
    second = {(line.embedding, line.head): line for line in _tested(theirs, test)}
    rows, values = [], {}
    for line in _tested(ours, test):
        if (line.embedding, line.head) not in second:
            continue
        pair = line.scores.held_out, second[line.embedding, line.head].scores.held_out
        scores = estimate(pair[0]), estimate(pair[1]), paired_difference(*pair)
        rows.append((line.title, HEADS[line.head].title, *(percent(score) for score in scores)))
        names = ("first", "second", "difference")
        key = f"{line.embedding} {line.head} held_out"
        values[key] = {name: _values(score) for name, score in zip(names, scores, strict=True)}
    table = Table(
        title=f"Percent of held-out images recognised after {test.num_classes} classes, {test.num_runs} paired runs",
        header=("embedding", "what learns on it", "first", "second", "difference"),
        rows=tuple(rows),
    )
    return Answer(table=table, values=values)


def _tested(embeddings: Iterable[TrainedEmbedding], test: FurtherTest) -> Iterable[LongTestLine]:
    splits: dict[Any, Splits] = {}
    for embedding in embeddings:
        settings = replace(embedding.test, test_classes=(test.num_classes,), num_runs=test.num_runs)
        if embedding.data not in splits:
            splits[embedding.data] = load_splits(embedding.data)
        own = splits[embedding.data]
        settings.check(meta_train=len(own.meta_train), meta_test=len(own.meta_test))
        bench = LongTest(embedding=embedding.embedding, splits=own, settings=settings, seed=test.seed)
        yield from (bench.line(head, test.num_classes) for head in test.heads)


def _values(score: Estimate) -> dict[str, float]:
    return {"mean": score.mean, "ci95": score.ci95}
