"""What the pages of few-shot learners share."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.reports import Curve, Section, Table, curves_figure, methods_figure, percent, picture
from hyperlearning.systems.hypernetworks.few_shot_lines import (
    COMMON_COURSE,
    ClassesLine,
    CourseLine,
    Readout,
    ScoreLine,
)
from hyperlearning.systems.hypernetworks.few_shot_methods import HYPERNETWORKS

MOST_ROWS = 10
_READOUTS: Mapping[Readout, str] = {
    "own": "{}",
    "adapted": "{}, adapted",
    "class_means": "class means by angle on {}'s features",
}

Kind = tuple[str, int, int]
"""Source of classes, ways and shots of test episodes."""


def title_of(line: ScoreLine) -> str:
    """What a table calls what was tested."""
    return _READOUTS[line.readout].format(line.title)


def kinds_of(lines: Sequence[ScoreLine]) -> list[Kind]:
    """All kinds of test episodes, in order."""
    return list(dict.fromkeys((line.test, line.ways, line.shots) for line in lines))


def kind_title(kind: Kind, kinds: Sequence[Kind]) -> str:
    """What a column is called; the source of classes is left out where there is but one."""
    test, ways, shots = kind
    shape = f"{ways}-way {shots}-shot"
    return shape if len({other[0] for other in kinds}) == 1 else f"{test} {shape}"


def by_system(lines: Sequence[ScoreLine]) -> dict[str, dict[Kind, ScoreLine]]:
    """What was tested, each with its scores by kind."""
    found: dict[str, dict[Kind, ScoreLine]] = {}
    for line in lines:
        found.setdefault(line.system, {})[line.test, line.ways, line.shots] = line
    return found


def best_first(lines: Sequence[ScoreLine]) -> list[dict[Kind, ScoreLine]]:
    """By accuracy on the first kind of episodes, then on what there is."""
    first = kinds_of(lines)[0]
    rows = by_system(lines).values()
    return sorted(rows, key=lambda row: -fmean(row[first].accuracies) if first in row else 1.0)


def glance(lines: Sequence[ScoreLine]) -> Section:
    """Errors on the first kind of episodes as a picture, and a table of what did best."""
    kinds = kinds_of(lines)
    rows = best_first(lines)
    own = [row for row in rows if _any(row).readout != "class_means" and kinds[0] in row]
    errors = {title_of(row[kinds[0]]): _errors(row[kinds[0]]) for row in own}
    highlight = [title_of(row[kinds[0]]) for row in own if _any(row).method in HYPERNETWORKS]
    title = f"Errors, {kinds[0][0]}, {kinds[0][1]}-way {kinds[0][2]}-shot"
    figure = methods_figure(
        errors,
        xlabel="queries that are wrong, percent",
        log=all(one.mean > 0 for one in errors.values()),
        highlight=highlight,
    )
    count = len(_any(rows[0]).right)
    return Section(
        title="At a glance",
        pictures=(
            picture(
                title,
                f"Means and 95 % intervals over {count} episodes, the same for all; hypernetworks in colour.",
                figure,
            ),
        ),
        tables=(scores_table(_at_a_glance(rows), kinds, title="The best"),),
    )


def _at_a_glance(rows: Sequence[dict[Kind, ScoreLine]]) -> list[dict[Kind, ScoreLine]]:
    """Learners as they are, the best first, and class means on the features of the best that a hypernetwork is part of."""
    own = [row for row in rows if _any(row).readout == "own"]
    best = next((_any(row).method for row in own if _is_written(_any(row))), None)
    beside = [row for row in rows if _any(row).readout == "class_means" and _any(row).method == best]
    shown = [*own[: MOST_ROWS - len(beside)], *beside]
    return [row for row in rows if row in shown]


def every(lines: Sequence[ScoreLine], notes: Mapping[str, str]) -> Section:
    """All that was tested, and what each is."""
    told = "; ".join(f"{title}: {note}" for title, note in notes.items())
    return Section(
        title="Every learner",
        paragraphs=(f"{told}.",),
        tables=(scores_table(best_first(lines), kinds_of(lines), title="All of them"),),
    )


def scores_table(rows: Sequence[dict[Kind, ScoreLine]], kinds: Sequence[Kind], *, title: str) -> Table:
    """Accuracies, a row a learner and a column a kind of episodes."""
    return Table(
        title=title,
        caption="Percent of queries that are right, mean and 95 % interval over episodes, which are the same for all.",
        header=("learner", *(kind_title(kind, kinds) for kind in kinds)),
        rows=tuple(
            (title_of(_any(row)), *(percent(estimate(row[kind].accuracies)) if kind in row else "" for kind in kinds))
            for row in rows
        ),
        highlight=tuple(place for place, row in enumerate(rows) if _is_written(_any(row))),
    )


def paired(lines: Sequence[ScoreLine]) -> Section:
    """Learners less class means by angle on the very same features, episode by episode."""
    kinds, found = kinds_of(lines), by_system(lines)
    rows = []
    for row in best_first(lines):
        line = _any(row)
        means = found.get(f"{line.method}-class-means")
        if line.readout == "class_means" or means is None:
            continue
        differences = [
            paired_difference(row[kind].accuracies, means[kind].accuracies) if kind in row else None for kind in kinds
        ]
        rows.append((title_of(line), *(percent(each) if each is not None else "" for each in differences)))
    table = Table(
        title="Less class means by angle on the same features",
        caption="Percentage points, mean and 95 % interval of the difference, episode by episode.",
        header=("learner", *(kind_title(kind, kinds) for kind in kinds)),
        rows=tuple(rows),
    )
    return Section(title="What a head adds to its features", tables=(table,))


def courses(lines: Sequence[CourseLine]) -> Section:
    """Validation in the course of training, and what training took."""
    fewest = min((line.ways for line in lines if line.ways), default=None)
    before = max((line.looks[-1].images for line in lines if line.method == COMMON_COURSE), default=0)
    curves = {
        _course_title(line): Curve(
            [look.images + (before if line.method != COMMON_COURSE else 0) for look in line.looks],
            [100 * look.validation for look in line.looks],
        )
        for line in lines
        if line.ways in (None, fewest)
    }
    figure = curves_figure(curves, xlabel="images met", ylabel="right in validation, percent")
    rows = tuple(
        (
            _course_title(line),
            f"{line.num_numbers:,}",
            f"{line.looks[-1].images:,}",
            f"{100 * max(look.validation for look in line.looks):.1f}",
            f"{line.seconds:,.0f}",
        )
        for line in lines
    )
    table = Table(
        title="What training took",
        caption="Numbers that are trained, images met, percent right in validation at its best, and seconds with validation.",
        header=("learner", "numbers", "images", "validation", "seconds"),
        rows=rows,
    )
    text = "Accuracy in validation against images met; every learner begins with the same and meets as many."
    return Section(title="In the course of training", pictures=(picture("Validation", text, figure),), tables=(table,))


def sections_of(
    lines: Sequence[ScoreLine], trained: Sequence[CourseLine], notes: Mapping[str, str]
) -> tuple[Section, ...]:
    """All sections of a page."""
    return (glance(lines), every(lines, notes), paired(lines), courses(trained))


def lead_of(lines: Sequence[ScoreLine], classes: ClassesLine) -> str:
    """What was done, in a sentence or two."""
    tests = ", ".join(f"{count} of {name}" for name, count in classes.tests.items())
    return (
        f"{classes.train:,} classes were learned from, {classes.validation} chose among what was learned, and episodes of new "
        f"classes ({tests}) test all learners alike: {len(lines[0].right)} of every kind."
    )


def best_facts(lines: Sequence[ScoreLine]) -> dict[str, str]:
    """The best learner, hypernetwork and class means on the first kind of episodes."""
    kind = kinds_of(lines)[0]
    rows = [row[kind] for row in best_first(lines) if kind in row]
    groups = {
        "best hypernetwork": [line for line in rows if _is_written(line)],
        "best other": [line for line in rows if line.method not in HYPERNETWORKS],
    }
    return {
        name: f"{title_of(own[0])}: {percent(estimate(own[0].accuracies))} %" for name, own in groups.items() if own
    }


def _errors(line: ScoreLine) -> Estimate:
    return estimate([100 * (1 - accuracy) for accuracy in line.accuracies])


def _is_written(line: ScoreLine) -> bool:
    return line.method in HYPERNETWORKS and line.readout != "class_means"


def _any(row: Mapping[Kind, ScoreLine]) -> ScoreLine:
    return next(iter(row.values()))


def _course_title(line: CourseLine) -> str:
    return line.title if line.ways is None else f"{line.title}, {line.ways} ways"
