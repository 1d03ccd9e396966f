"""The page of `omniglot-600`, from its record alone."""

from collections.abc import Callable
from typing import NamedTuple

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, Table
from hyperlearning.systems.trajectories.lines import HeadName, SystemLine
from hyperlearning.systems.trajectories.long_tests import HEADS, Head
from hyperlearning.systems.trajectories.page_parts import (
    HELD_OUT,
    HELD_OUT_IN_RUN,
    MEMORY,
    ByCount,
    Score,
    Tests,
    accuracy_picture,
    accuracy_table,
    at_the_end,
    cell,
    counts_at_a_glance,
    heads_section,
    tests_of,
    training_section,
)

_MOST_ROWS = 10


class _Best(NamedTuple):
    """What does best on an embedding at most classes.

    Attributes:
        title: The embedding's.
        head: The head's title.
        tests: Its lines by number of classes.
    """

    title: str
    head: str
    tests: ByCount

    @property
    def share(self) -> float:
        """Held-out images recognised at most classes."""
        return at_the_end(self.tests)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    tests = tests_of(record)
    most = max(count for by_count in tests.values() for count in by_count)
    learned, means = _best(tests, lambda head: head.in_a_row), _best(tests, _is_class_means)
    return Page(
        title=f"Up to {most} classes in a row",
        lead="Embeddings were trained on Omniglot's background classes and then fixed; a new last layer learned evaluation "
        f"classes one after another, 15 images each, one image at a time, in one pass. {_verdict(tests, most)}",
        facts=_facts(learned, means, most),
        sections=(
            _at_a_glance(learned, means, most),
            _section("A last layer, number by number", tests, lambda head: head.rule is not None),
            _section("Class means, number by number", tests, _is_class_means),
            heads_section(tests),
            training_section(record.lines(SystemLine)),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _is_class_means(head: Head) -> bool:
    return head.rule is None


def _best(tests: Tests, wanted: Callable[[Head], bool]) -> dict[str, _Best]:
    """The best of some heads on each embedding, the best embedding first."""
    best: dict[str, _Best] = {}
    for (embedding, head), by_count in tests.items():
        found = _Best(next(iter(by_count.values())).title, HEADS[head].title, by_count)
        if wanted(HEADS[head]) and (embedding not in best or found.share > best[embedding].share):
            best[embedding] = found
    return dict(sorted(best.items(), key=lambda item: -item[1].share))


def _verdict(tests: Tests, most: int) -> str:
    """How the published layer, the best layer, and the strongest cheap baseline end, each on its best embedding."""
    published = _best(tests, lambda head: head is HEADS["last_layer"])
    learned, means = _best(tests, lambda head: head.in_a_row), _best(tests, _is_class_means)
    parts = [
        f"{words} {100 * found.share:.1f} % ({found.head}, {found.title})"
        for words, best in (("the published layer", published), ("the best layer", learned), ("class means", means))
        for found in list(best.values())[:1]
    ]
    return f"Held-out images recognised after {most} classes: {', '.join(parts)}."


def _facts(learned: dict[str, _Best], means: dict[str, _Best], most: int) -> dict[str, str]:
    return {
        f"{words}, {most} classes, held-out: {found.title}": f"{cell(found.tests, max(found.tests))} %"
        for words, best in (("learned in a row", learned), ("class means", means))
        for found in list(best.values())[:1]
    }


def _at_a_glance(learned: dict[str, _Best], means: dict[str, _Best], most: int) -> Section:
    shown = learned or means
    counts = counts_at_a_glance(found.tests for found in shown.values())
    rows = [
        (
            found.title,
            found.head,
            *(cell(found.tests, count) for count in counts),
            cell(means[embedding].tests, most) if embedding in means else "",
        )
        for embedding, found in shown.items()
    ]
    left_out = f" The {len(rows) - _MOST_ROWS} lowest are left out." if len(rows) > _MOST_ROWS else ""
    table = Table(
        title="Percent of held-out images recognised",
        header=("embedding", "learned best by", *(f"{count} classes" for count in counts), f"class means, {most}"),
        rows=tuple(rows[:_MOST_ROWS]),
        caption="Mean and 95 % interval over runs: of each embedding the layer that learns best in a row, and beside it the best "
        f"class means, which learn nothing.{left_out}",
    )
    curves = {found.title: found.tests for found in list(shown.values())[:_MOST_ROWS]}
    picture = accuracy_picture(curves, HELD_OUT, title="Held-out images, the best layer on each embedding")
    return Section(title="At a glance", pictures=(picture,), tables=(table,))


def _section(title: str, tests: Tests, wanted: Callable[[Head], bool]) -> Section:
    """One table for each head and score, a row for each embedding."""
    by_head: dict[HeadName, dict[str, ByCount]] = {}
    for (_, head), by_count in tests.items():
        if wanted(HEADS[head]):
            by_head.setdefault(head, {})[next(iter(by_count.values())).title] = by_count
    if not by_head:
        return Section(title=title, paragraphs=("None was asked for.",))
    scores = {
        head: (HELD_OUT, MEMORY) if _is_class_means(HEADS[head]) else (HELD_OUT, MEMORY, HELD_OUT_IN_RUN)
        for head in by_head
    }
    return Section(
        title=title,
        pictures=tuple(
            accuracy_picture(curves, HELD_OUT, title=_titled(HELD_OUT, head)) for head, curves in by_head.items()
        ),
        tables=tuple(
            accuracy_table(curves, score, title=_titled(score, head), of_rows="embedding")
            for head, curves in by_head.items()
            for score in scores[head]
        ),
    )


def _titled(score: Score, head: HeadName) -> str:
    return f"{score.title}: {HEADS[head].title}"
