"""The page of `omniglot-600`, from its record alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, Table
from hyperlearning.streams.trajectories import TRAIN_IMAGES
from hyperlearning.systems.trajectories.lines import SystemLine
from hyperlearning.systems.trajectories.long_tests import HEADS, Head
from hyperlearning.systems.trajectories.page_parts import (
    HELD_OUT,
    HELD_OUT_IN_RUN,
    MEMORY,
    HeadTests,
    Score,
    accuracy_picture,
    accuracy_table,
    at_a_glance,
    heads_section,
    tests_of,
    training_section,
)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    tests = tests_of(record)
    most, heads = max(test.most for test in tests), [test.head for test in tests]
    published = _best(tests, lambda head: head is HEADS["last_layer"])
    learned, means = _best(tests, lambda head: head.in_a_row), _best(tests, _is_class_means)
    solved = _best(tests, _is_solved)
    firsts = {
        words: best[0]
        for words, best in (
            ("the published layer", published),
            ("the best layer", learned),
            ("class means", means),
            ("solved", solved),
        )
        if best
    }
    verdict = ", ".join(
        f"{words} {test.at_the_end():.1f} % ({test.head.title}, {test.title})" for words, test in firsts.items()
    )
    return Page(
        title=f"Up to {most} classes in a row",
        lead="Embeddings were trained on Omniglot's background classes and then fixed; a new last layer learned evaluation "
        f"classes one after another, {_images(record)} images each, one image at a time, in one pass. "
        f"Held-out images recognised after {most} classes: {verdict}.",
        facts={
            f"{words}, {most} classes, held-out: {test.title}": f"{test.cell(test.most)} %"
            for words, test in firsts.items()
        },
        sections=(
            _glance(learned or means, _best(tests, lambda head: head.rule is None), most),
            _section("A last layer, number by number", tests, lambda head: head.rule is not None),
            _section("Class means, number by number", tests, _is_class_means),
            *((_section("Solved readouts, number by number", tests, _is_solved),) if solved else ()),
            *((_reading_section(tests),) if any(map(_reads, heads)) else ()),
            heads_section(tests),
            training_section(record.lines(SystemLine)),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _images(record: RunRecord) -> int:
    """Images of a class that a run learned; 15 in records older than the setting."""
    return record.config["settings"]["test"].get("learned_images", TRAIN_IMAGES)


def _is_class_means(head: Head) -> bool:
    return head.means


def _is_solved(head: Head) -> bool:
    return head.solved


def _reads(head: Head) -> bool:
    return head.reads


def _best(tests: Sequence[HeadTests], wanted: Callable[[Head], bool]) -> list[HeadTests]:
    """The best of some heads on each embedding, the best embedding first."""
    best: dict[str, HeadTests] = {}
    for test in sorted(tests, key=lambda test: -test.at_the_end()):
        if wanted(test.head):
            best.setdefault(test.embedding, test)
    return list(best.values())


def _glance(shown: list[HeadTests], others: list[HeadTests], most: int) -> Section:
    beside = {test.embedding: f"{test.cell(most)}, {test.head.title}" for test in others}
    return at_a_glance(
        {(test.title, test.head.title): test for test in shown},
        lambda test: beside.get(test.embedding, ""),
        header=("embedding", "learned best by"),
        last_header=f"means or solved, {most}",
        title="Held-out images, the best layer on each embedding",
        caption="Of each embedding the layer that learns best in a row, and beside it "
        "the best of class means and readouts that are solved.",
    )


def _section(title: str, tests: Sequence[HeadTests], wanted: Callable[[Head], bool]) -> Section:
    """One table for each head and score, a row for each embedding."""
    by_head: dict[Head, dict[str, HeadTests]] = {}
    for test in tests:
        if wanted(test.head):
            by_head.setdefault(test.head, {})[test.title] = test
    if not by_head:
        return Section(title=title, paragraphs=("None was asked for.",))
    return Section(
        title=title,
        pictures=tuple(accuracy_picture(own, HELD_OUT, title=_titled(HELD_OUT, head)) for head, own in by_head.items()),
        tables=tuple(
            accuracy_table(own, score, title=_titled(score, head), of_rows="embedding")
            for head, own in by_head.items()
            for score in (HELD_OUT, MEMORY, HELD_OUT_IN_RUN)
            if not (head.rule is None and score is HELD_OUT_IN_RUN)
        ),
    )


def _reading_section(tests: Sequence[HeadTests]) -> Section:
    """What the sequence model reads, and beside it what other heads made of the same features."""
    section = _section("Read in a row, number by number", tests, _reads)
    read = next(test for test in tests if test.head.reads)
    counts = sorted(read.lines)
    rivals = [test for test in tests if test.embedding == "prototypical" and counts[-1] in test.lines]
    best_first = sorted([read, *rivals], key=lambda test: -test.accuracy(counts[-1]).mean)
    table = Table(
        title="Held-out images: the sequence model, and other heads on the features that it reads",
        caption="Percent of images recognised by number of classes, mean and 95 % interval over "
        f"{read.lines[counts[-1]].num_runs} runs. It keeps all that it has read; the others keep no image.",
        header=("what learns", *map(str, counts)),
        rows=tuple((test.head.title, *(test.cell(count) for count in counts)) for test in best_first),
        highlight=(best_first.index(read),),
    )
    return replace(section, tables=(table, *section.tables))


def _titled(score: Score, head: Head) -> str:
    return f"{score.title}: {head.title}"
