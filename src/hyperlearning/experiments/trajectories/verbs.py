"""What can be done with finished runs of the three claims: test embeddings anew, let them enter a comparison, learn a folder."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import tyro

from hyperlearning.core.errors import RunError
from hyperlearning.core.expect import AtLeast, Seed, Some, check_ranges
from hyperlearning.core.settings import rest
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.deploying_folders import Opened, deploying
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives
from hyperlearning.experiments.experiment import Answer, Verb, values_of
from hyperlearning.reports import Table, percent
from hyperlearning.systems.trajectories.characters import CharacterSettings, load_splits
from hyperlearning.systems.trajectories.lines import HeadName, LongTestLine
from hyperlearning.systems.trajectories.long_tests import HEADS, LongTest
from hyperlearning.systems.trajectories.page_parts import tests_of
from hyperlearning.systems.trajectories.trained import TrainedEmbedding, load_embedding

NameT = TypeVar("NameT", bound=str)

_JUDGED_BY: tuple[HeadName, ...] = ("last_layer", "euclidean")
"""Heads that the best of several embeddings is chosen by."""
_MOST_CLASSES = 100
"""Classes of a further test, unless more are asked for."""


@dataclass(frozen=True, kw_only=True)
class FurtherTest:
    """A long test on runs that were not met before."""

    num_classes: Annotated[int, AtLeast(2)] | None = None
    """Evaluation classes that a run learns one after another; 100, or the most that were tested if these are fewer, if absent."""
    num_runs: Annotated[int, AtLeast(2), tyro.conf.arg(aliases=["--num-functions"])] = 20
    """Runs, each of other classes in another order."""
    seed: Seed = 7000
    """What runs and first weights are drawn from; take another than the run's."""
    heads: Annotated[tuple[HeadName, ...], Some(distinct=True)] = ("last_layer", "unit_layer", "whitened")
    """What learns on the embedding."""

    def __post_init__(self) -> None:
        check_ranges(self)


def _evaluate(record: RunRecord, test: FurtherTest) -> Answer:
    return evaluated([load_embedding(record)], test)


EVALUATE = Verb(
    "Let a new last layer learn evaluation classes in a row, on runs that were not met before.", FurtherTest, _evaluate
)
"""Of runs of one network."""


def evaluated(embeddings: Iterable[TrainedEmbedding], test: FurtherTest) -> Answer:
    """Tests embeddings anew.

    Raises:
        ValueError: If there are fewer classes than a run asks for.
    """
    rows, values = [], {}
    for line in _tested(embeddings, test):
        scores = {"held_out": estimate(line.scores.held_out), "memory": estimate(line.scores.memory)}
        words = (line.title, HEADS[line.head].title, str(line.num_classes))
        rows.append((*words, *(percent(score) for score in scores.values())))
        values |= {f"{line.embedding} {line.head} {name}": values_of(score) for name, score in scores.items()}
    table = Table(
        title=f"Percent recognised, {test.num_runs} runs of seed {test.seed}",
        header=("embedding", "what learns on it", "classes", "held-out images", "images learned"),
        rows=tuple(rows),
    )
    return Answer(table=table, values=values)


def _tested(embeddings: Iterable[TrainedEmbedding], test: FurtherTest) -> Iterator[LongTestLine]:
    load = functools.cache(load_splits)
    for embedding in embeddings:
        own = load(embedding.data)
        num_classes = test.num_classes or min(_MOST_CLASSES, max(embedding.test.test_classes))
        settings = replace(embedding.test, test_classes=(num_classes,), num_runs=test.num_runs)
        settings.check(meta_train=len(own.meta_train), meta_test=len(own.meta_test))
        bench = LongTest(embedding=embedding.embedding, splits=own, settings=settings, seed=test.seed)
        yield from (bench.line(head, num_classes) for head in test.heads)


_MEASURES = (
    Measure(name="held_out", title="held-out images", unit="share"),
    Measure(name="memory", title="images learned", unit="share"),
    Measure(name="held_out_in_run", title="held-out images, classes of the run", unit="share"),
    Measure(name="memory_in_run", title="images learned, classes of the run", unit="share"),
)


def entering(
    load: Callable[[RunRecord], Iterable[TrainedEmbedding]],
) -> Callable[[RunRecord, FurtherLives | None], Entry]:
    """Makes what lets runs enter a comparison: an embedding with each of the heads that learned on it is a system.

    Args:
        load: Opens a run's embeddings.
    """

    def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
        settings = record.settings(_Settings)
        if further is None:
            return _entry(record.lines(LongTestLine), settings.data, settings.seed)
        test = FurtherTest(num_runs=further.num_lives, seed=further.seed)
        return _entry(_tested(load(record), test), settings.data, further.seed)

    return enter


ENTER = entering(lambda record: [load_embedding(record)])
"""Of runs of one network."""


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """The settings that runs of a meta-test follow from; a claim has others beside them."""

    data: CharacterSettings
    seed: int
    others: dict[str, Any] = rest()


def _entry(lines: Iterable[LongTestLine], data: CharacterSettings, seed: int) -> Entry:
    """Most classes first. Runs are drawn one after another: of fewer, they are the first ones."""
    found: dict[int, list[Fared]] = {}
    for line in lines:
        system = Fared(
            system=f"{line.embedding}/{line.head}",
            title=f"{line.title}, {HEADS[line.head].title}",
            enters=line.head == "last_layer",
            scores=vars(line.scores),
        )
        found.setdefault(line.num_classes, []).append(system)
    met = [_met(count, data.meta_test_classes, seed, found[count]) for count in sorted(found, reverse=True)]
    return Entry(measures=_MEASURES, met=tuple(met))


def _met(num_classes: int, available: int, seed: int, systems: list[Fared]) -> MetLives:
    facts = {
        "kind": "characters in a row",
        "num_classes": num_classes,
        "meta_test_classes": available,
        "seed": seed,
    }
    return MetLives(title=f"{num_classes} classes in a row", facts=facts, systems=tuple(systems))


def opened_embedding(embedding: TrainedEmbedding) -> Opened:
    """What learns a folder on an embedding."""
    return Opened(embedding, embedding.innate)


DEPLOY = deploying(lambda record: opened_embedding(load_embedding(record)))
"""Of runs of one network."""


def best_embedding(record: RunRecord, names: Sequence[NameT]) -> tuple[NameT, str]:
    """The embedding that recognises most held-out images of as many classes as were tested, by class means or a last layer.

    Args:
        record: The run's record.
        names: Embeddings to choose from; of equal ones the first.

    Returns:
        Its name, and the sentence that says why.

    Raises:
        RunError: If the record says of none of them how it did.
    """
    tests = tests_of(record)
    found = {
        (name, test.head.title): test.at_the_end()
        for name in names
        for test in tests
        if test.embedding == name and test.lines[test.most].head in _JUDGED_BY
    }
    if not found:
        raise RunError(
            f"Expected a run that has tested an embedding with a last layer or class means, but {record.path} has not. "
            "Name a `--method`."
        )
    name, head = max(found, key=lambda pair: found[pair])
    said = (
        f"Of {', '.join(names)}, {name} was taken, which recognised most held-out images in the run ({head}: "
        f"{found[name, head]:.1f} %); `--method` takes another."
    )
    return name, said
