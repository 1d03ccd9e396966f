"""What the pages of OML and ANML have in common: accuracy against the number of classes, tables, and the course of training."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.reports import Curve, Picture, Section, Table, curves_figure, percent, png_bytes
from hyperlearning.systems.trajectories.lines import LongTestLine, LookLine, MeanAndInterval, RunScores, SystemLine
from hyperlearning.systems.trajectories.long_tests import HEADS, Head

_GLANCE = 100
"""The number of classes shown beside the fewest and the most."""
_MOST_ROWS = 10


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


@dataclass(frozen=True, kw_only=True)
class HeadTests:
    """How one head did on one embedding.

    Attributes:
        embedding: The embedding's short name.
        title: What tables call it.
        head: The head.
        lines: What was found, by number of classes.
    """

    embedding: str
    title: str
    head: Head
    lines: Mapping[int, LongTestLine]

    @property
    def most(self) -> int:
        """The most classes."""
        return max(self.lines)

    def accuracy(self, count: int, score: Score = HELD_OUT) -> Estimate:
        """Estimates an accuracy over runs."""
        return estimate(score.of(self.lines[count].scores))

    def at_the_end(self, score: Score = HELD_OUT) -> float:
        """The mean accuracy at most classes, in percent."""
        return 100 * self.accuracy(self.most, score).mean

    def cell(self, count: int, score: Score = HELD_OUT) -> str:
        """Writes an accuracy in percent; nothing if it was not tested."""
        return percent(self.accuracy(count, score)) if count in self.lines else ""


def tests_of(record: RunRecord) -> list[HeadTests]:
    """Arranges the lines `test` of a record by embedding and head."""
    found: dict[tuple[str, str], dict[int, LongTestLine]] = {}
    for line in record.lines(LongTestLine):
        found.setdefault((line.embedding, line.head), {})[line.num_classes] = line
    return [
        HeadTests(embedding=line.embedding, title=line.title, head=HEADS[line.head], lines=lines)
        for lines in found.values()
        for line in list(lines.values())[:1]
    ]


def counts_of(tests: Iterable[HeadTests]) -> list[int]:
    """All numbers of classes tested, fewest first."""
    return sorted({count for test in tests for count in test.lines})


def at_a_glance(
    rows: Mapping[tuple[str, ...], HeadTests],
    last: Callable[[HeadTests], str],
    *,
    header: tuple[str, ...],
    last_header: str,
    title: str,
    caption: str,
) -> Section:
    """One picture and one table of ten rows at most: fewest classes, a hundred and most, and a last column.

    Args:
        rows: What is shown, best first, by the words that a row begins with.
        last: Writes the last column.
        header: Of those words.
        last_header: Of the last column.
        title: Of the picture.
        caption: What else there is to know of the table.
    """
    counts = counts_of(rows.values())
    counts = sorted({counts[0], counts[-1], *({_GLANCE} & set(counts))})
    shown = dict(list(rows.items())[:_MOST_ROWS])
    left_out = f" The {len(rows) - len(shown)} lowest are left out." if len(rows) > len(shown) else ""
    table = Table(
        title="Percent of held-out images recognised",
        header=(*header, *(f"{count} classes" for count in counts), last_header),
        rows=tuple((*words, *(test.cell(count) for count in counts), last(test)) for words, test in shown.items()),
        caption=f"Mean and 95 % interval over runs. {caption}{left_out}",
    )
    picture = accuracy_picture({words[0]: test for words, test in shown.items()}, HELD_OUT, title=title)
    return Section(title="At a glance", pictures=(picture,), tables=(table,))


def accuracy_table(tests: Mapping[str, HeadTests], score: Score, *, title: str, of_rows: str) -> Table:
    """One accuracy, a column for each number of classes; the best row at the end comes first.

    Args:
        tests: By the row's name.
        score: The accuracy.
        title: Of the table.
        of_rows: What rows are.
    """
    counts = counts_of(tests.values())
    ordered = sorted(tests.items(), key=lambda item: -item[1].at_the_end(score))
    found = {name: {count: test.accuracy(count, score) for count in test.lines} for name, test in ordered}
    widest = max(point.ci95 for points in found.values() for point in points.values())
    num_runs = max(line.num_runs for test in tests.values() for line in test.lines.values())
    return Table(
        title=title,
        header=(of_rows, *map(str, counts)),
        rows=tuple(
            (name, *(f"{100 * points[count].mean:.1f}" if count in points else "" for count in counts))
            for name, points in found.items()
        ),
        caption=f"Percent of images recognised by number of classes, mean over {num_runs} runs; 95 % intervals are at most "
        f"± {100 * widest:.1f}. {score.note}",
    )


def accuracy_picture(tests: Mapping[str, HeadTests], score: Score, *, title: str) -> Picture:
    """One accuracy against the number of classes, a curve for each name."""
    curves = {}
    for name, test in tests.items():
        points = {count: test.accuracy(count, score) for count in sorted(test.lines)}
        means, intervals = zip(*((100 * point.mean, 100 * point.ci95) for point in points.values()), strict=True)
        curves[name] = Curve(list(points), list(means), list(intervals))
    figure = curves_figure(curves, xlabel="classes learned one after another", ylabel="percent recognised")
    caption = "Shaded: 95 % intervals over runs."
    return Picture(title=title, caption=caption, content=png_bytes(figure), kind="png", alt=title)


def heads_section(tests: Sequence[HeadTests]) -> Section:
    """What learned, and with what rates and shrinkages."""
    heads = dict.fromkeys((test.head.title, test.head.note) for test in tests)
    shrinkages = {
        test.title: line.shrinkage for test in tests for line in test.lines.values() if line.shrinkage is not None
    }
    tables = (
        Table(title="What learns on an embedding", header=("name", "what it is"), rows=tuple(heads)),
        _rates_table([test for test in tests if test.head.rule is not None]),
        Table(
            title="Shrinkage of whitening",
            header=("embedding", "shrinkage"),
            rows=tuple((title, f"{value:g}") for title, value in shrinkages.items()),
            caption="Chosen by the rule of the rates. Near 0 each direction gets the same spread, with 1 none is changed.",
        ),
        *([_solved_table(solved)] if (solved := [test for test in tests if test.head.solver is not None]) else []),
    )
    return Section(title="What learns, and at what rate", tables=tables)


def _rates_table(tests: Sequence[HeadTests]) -> Table:
    counts = counts_of(tests)
    rules = [line.lr_rule for test in tests for line in test.lines.values()]
    return Table(
        title="Learning rates by number of classes: SGD for the cosine layer, else Adam",
        header=("embedding", "what learns on it", *map(str, counts)),
        rows=tuple(
            (
                test.title,
                test.head.title,
                *(f"{test.lines[count].lr:g}" if count in test.lines else "" for count in counts),
            )
            for test in tests
        ),
        caption="Chosen anew for each number of classes, never on the images reported"
        f"{'; at first: ' + rules[0] if rules else ''}.",
    )


def _solved_table(tests: Sequence[HeadTests]) -> Table:
    rows = tuple(
        (test.title, test.head.title, ", ".join(f"{name} {value:g}" for name, value in (line.chosen or {}).items()))
        for test in tests
        for line in [test.lines[test.most]]
    )
    return Table(
        title="What was chosen for solved readouts at most classes",
        header=("embedding", "what is solved", "chosen"),
        rows=rows,
        caption="Chosen by the rule of the rates. Precision is in units of the features' mean square length.",
    )


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
