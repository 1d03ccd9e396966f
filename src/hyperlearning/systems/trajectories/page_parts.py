"""What the pages of OML and ANML have in common: accuracy against the number of classes, tables, and the course of training."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.reports import Curve, Picture, Section, Table, curves_figure, png_bytes
from hyperlearning.systems.trajectories.lines import (
    HeadName,
    LongTestLine,
    LookLine,
    MeanAndInterval,
    RunScores,
    SystemLine,
)
from hyperlearning.systems.trajectories.long_tests import HEADS

ByCount = Mapping[int, LongTestLine]
"""Lines by number of classes."""
Tests = dict[tuple[str, HeadName], dict[int, LongTestLine]]
"""Lines by embedding and head, then by number of classes."""

_GLANCE = 100
"""The number of classes shown beside the fewest and the most."""


class Score(NamedTuple):
    """One of the accuracies of a test.

    Attributes:
        title: What a table calls it.
        note: What counts as recognised.
        of: Takes it from the scores.
    """

    title: str
    note: str
    of: Callable[[RunScores], Sequence[float]]


HELD_OUT = Score("Held-out images", "Argmax over all outputs of the layer.", lambda scores: scores.held_out)
MEMORY = Score("Images learned", "Argmax over all outputs of the layer.", lambda scores: scores.memory)
HELD_OUT_IN_RUN = Score(
    "Held-out images, the run's classes",
    "Argmax over the outputs of the run's classes alone.",
    lambda scores: scores.held_out_in_run,
)


def tests_of(record: RunRecord) -> Tests:
    """Arranges the lines `test` of a record."""
    tests: Tests = {}
    for line in record.lines(LongTestLine):
        tests.setdefault((line.embedding, line.head), {})[line.num_classes] = line
    return tests


def accuracy(line: LongTestLine, score: Score) -> Estimate:
    """Estimates an accuracy over runs."""
    return estimate(score.of(line.scores))


def at_the_end(by_count: ByCount, score: Score = HELD_OUT) -> float:
    """The mean accuracy at most classes."""
    return accuracy(by_count[max(by_count)], score).mean


def percent(value: Estimate) -> str:
    """Writes a share of 1 as percent."""
    return f"{100 * value.mean:.1f} ± {100 * value.ci95:.1f}"


def cell(by_count: ByCount, count: int, score: Score = HELD_OUT) -> str:
    """Writes an accuracy in percent; nothing if it was not tested."""
    return percent(accuracy(by_count[count], score)) if count in by_count else ""


def counts_of(tests: Iterable[ByCount]) -> list[int]:
    """All numbers of classes tested, fewest first."""
    return sorted({count for by_count in tests for count in by_count})


def counts_at_a_glance(tests: Iterable[ByCount]) -> list[int]:
    """The fewest classes, a hundred, and the most, as far as they were tested."""
    counts = counts_of(tests)
    return sorted({counts[0], counts[-1], *({_GLANCE} & set(counts))})


def accuracy_table(curves: Mapping[str, ByCount], score: Score, *, title: str, of_rows: str) -> Table:
    """One accuracy, a column for each number of classes; the best row at the end comes first.

    Args:
        curves: Lines by the row's name.
        score: The accuracy.
        title: Of the table.
        of_rows: What rows are.
    """
    counts = counts_of(curves.values())
    ordered = sorted(curves.items(), key=lambda item: -at_the_end(item[1], score))
    found = {name: {count: accuracy(line, score) for count, line in tests.items()} for name, tests in ordered}
    rows = tuple(
        (name, *(f"{100 * points[count].mean:.1f}" if count in points else "" for count in counts))
        for name, points in found.items()
    )
    widest = max(point.ci95 for points in found.values() for point in points.values())
    num_runs = max(line.num_runs for by_count in curves.values() for line in by_count.values())
    return Table(
        title=title,
        header=(of_rows, *map(str, counts)),
        rows=rows,
        caption=f"Percent of images recognised by number of classes, mean over {num_runs} runs; 95 % intervals are at most "
        f"± {100 * widest:.1f}. {score.note}",
    )


def accuracy_picture(curves: Mapping[str, ByCount], score: Score, *, title: str) -> Picture:
    """One accuracy against the number of classes."""
    drawn = {}
    for name, by_count in curves.items():
        points = {count: accuracy(line, score) for count, line in sorted(by_count.items())}
        means, intervals = zip(*((100 * point.mean, 100 * point.ci95) for point in points.values()), strict=True)
        drawn[name] = Curve(list(points), list(means), list(intervals))
    figure = curves_figure(drawn, xlabel="classes learned one after another", ylabel="percent recognised")
    caption = "Shaded: 95 % intervals over runs."
    return Picture(title=title, caption=caption, content=png_bytes(figure), kind="png", alt=title)


def heads_table(heads: Iterable[HeadName]) -> Table:
    """What each head is."""
    rows = tuple((HEADS[name].title, HEADS[name].note) for name in dict.fromkeys(heads))
    return Table(title="What learns on an embedding", header=("name", "what it is"), rows=rows)


def rates_table(tests: Tests) -> Table:
    """The learning rates that were chosen, and by what."""
    learned = {key: by_count for key, by_count in tests.items() if HEADS[key[1]].rule is not None}
    counts = counts_of(learned.values())
    lines = [line for by_count in learned.values() for line in by_count.values()]
    rows = tuple(
        (
            next(iter(by_count.values())).title,
            HEADS[head].title,
            *(f"{by_count[count].lr:g}" if count in by_count else "" for count in counts),
        )
        for (_, head), by_count in learned.items()
    )
    return Table(
        title="Learning rates by number of classes: SGD for the cosine layer, else Adam",
        header=("embedding", "what learns on it", *map(str, counts)),
        rows=rows,
        caption="Chosen anew for each number of classes, never on the images reported"
        + "".join(f"; at first: {line.lr_rule}" for line in lines[:1])
        + ".",
    )


def shrinkage_table(tests: Tests) -> Table:
    """How far whitening leaves directions as they are, for each embedding."""
    lines = [line for by_count in tests.values() for line in by_count.values()]
    shrinkages = {line.title: line.shrinkage for line in lines if line.shrinkage is not None}
    return Table(
        title="Shrinkage of whitening",
        header=("embedding", "shrinkage"),
        rows=tuple((title, f"{value:g}") for title, value in shrinkages.items()),
        caption="Chosen by the rule of the rates. Near 0 each direction gets the same spread, with 1 none is changed.",
    )


def heads_section(tests: Tests) -> Section:
    """What learned, and at what rates."""
    tables = (heads_table(head for _, head in tests), rates_table(tests), shrinkage_table(tests))
    return Section(title="What learns, and at what rate", tables=tables)


def training_section(systems: Sequence[SystemLine]) -> Section:
    """The course of meta-training: meta-loss, and accuracy of a short meta-test, against outer steps."""
    losses = {system.title: Curve(list(system.meta_loss.step), list(system.meta_loss.mean)) for system in systems}
    pictures = [
        Picture(
            title="Meta-loss",
            caption="Mean since the point before. Losses of different systems are of different tasks: compare shapes.",
            content=png_bytes(curves_figure(losses, xlabel="outer step", ylabel="meta-loss", log_y=True)),
            kind="png",
            alt="Meta-loss by outer step",
        )
    ]
    looked = [system for system in systems if system.looks]
    if looked:
        classes = looked[0].looks[0].classes
        pictures += [
            _look_picture(
                looked, lambda look: look.held_out, f"Held-out accuracy on {classes} classes over meta-training"
            ),
            _look_picture(looked, lambda look: look.prototypes, f"Class means on {classes} classes over meta-training"),
        ]
    rows = tuple(
        (system.title, system.order, f"{system.meta_loss.step[-1]:,}", f"{system.training_seconds:,.0f}")
        for system in systems
    )
    return Section(
        title="Meta-training",
        paragraphs=(
            "Now and then the first evaluation classes are learned in a row by Adam at a fixed rate of .001. Nothing is chosen "
            "by it: every network is tested as it is after its last step.",
        ),
        pictures=tuple(pictures),
        tables=(Table(title="Compute", header=("system", "outer gradient", "outer steps", "seconds"), rows=rows),),
    )


def _look_picture(systems: Sequence[SystemLine], of: Callable[[LookLine], MeanAndInterval], title: str) -> Picture:
    curves = {
        system.title: Curve(
            [look.step for look in system.looks],
            [100 * of(look)[0] for look in system.looks],
            [100 * of(look)[1] for look in system.looks],
        )
        for system in systems
    }
    figure = curves_figure(curves, xlabel="outer step", ylabel="percent recognised")
    caption = "Mean and 95 % interval over five orders of the classes."
    return Picture(title=title, caption=caption, content=png_bytes(figure), kind="png", alt=title)
