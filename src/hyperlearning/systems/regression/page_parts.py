"""What the pages about functions have in common: tables and pictures of methods, and curves over a life."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from hyperlearning.evaluation.intervals import paired_difference
from hyperlearning.reports import (
    Curve,
    Picture,
    Section,
    Table,
    column,
    curves_figure,
    methods_figure,
    png_bytes,
    short_estimate,
)
from hyperlearning.systems.regression.lines import MethodLine
from hyperlearning.systems.regression.scores import Course

Methods = Mapping[str, MethodLine]
"""Lines of methods by name."""


def best_first(methods: Methods) -> list[MethodLine]:
    """Methods by total error, the lowest first."""
    return sorted(methods.values(), key=lambda line: line.scores.estimates()["total_error"].mean)


def strongest_of(methods: Methods, names: Sequence[str]) -> str:
    """Names the strongest of the baselines that cost next to nothing to make."""
    best = best_first({name: methods[name] for name in names})[0]
    total = short_estimate(best.scores.estimates()["total_error"])
    return f"The strongest baseline that needs no hyper-training and no shuffled stream: {best.title}, total error {total}."


def methods_table(
    lines: Sequence[MethodLine], reference: MethodLine, *, title: str, caption: str, scores: Sequence[str]
) -> Table:
    """Methods with some of their scores, and the paired difference of the total error from a reference.

    Args:
        lines: The methods, in the order of rows.
        reference: What others are compared with.
        title: Of the table.
        caption: What is to be seen.
        scores: Names of the scores shown.
    """
    ours = reference.scores.total_error
    sizes = ["num_plastic", *(["num_innate"] if lines[0].num_innate is not None else [])]
    columns = [
        *((name.removeprefix("num_"), tuple(f"{getattr(line, name):,}" for line in lines)) for name in sizes),
        *(column(name.replace("_", " "), [line.scores.estimates()[name] for line in lines]) for name in scores),
        column(
            f"total - {reference.title.split(',')[0]}'s",
            [None if line is reference else paired_difference(line.scores.total_error, ours) for line in lines],
        ),
    ]
    titles = [f"{line.title} ({line.num_diverged} diverged)" if line.num_diverged else line.title for line in lines]
    return Table(
        title=title,
        header=("method", *(header for header, _ in columns)),
        rows=tuple(zip(titles, *(cells for _, cells in columns), strict=True)),
        caption=caption,
        highlight=(lines.index(reference),),
    )


def methods_picture(lines: Sequence[MethodLine], highlight: Sequence[str], *, title: str, lives: str) -> Picture:
    """Total error of methods as dots with intervals."""
    totals = {line.title: line.scores.estimates()["total_error"] for line in lines}
    marked = tuple(line.title for line in lines if line.method in highlight)
    figure = methods_figure(totals, xlabel="mean squared error", log=True, highlight=marked)
    return picture(title, f"Dots: means; bars: 95 % intervals over {lives}.", figure, alt="Total error of every method")


def glance_section(
    methods: Methods,
    lines: Sequence[MethodLine],
    *,
    reference: str,
    highlight: Sequence[str],
    baselines: Sequence[str],
    task: str,
    caption: str,
    scores: Sequence[str],
) -> Section:
    """One picture and one table of methods on the same lives of tasks, and the strongest baseline in a sentence.

    Args:
        methods: All methods.
        lines: Those that are shown, best first.
        reference: What others are compared with.
        highlight: Methods that the picture marks.
        baselines: As for `strongest_of`; those that the record lacks are left out.
        task: What a task is called.
        caption: Of the table.
        scores: Names of the scores in it.
    """
    number = len(methods[reference].scores.total_error)
    title = f"Methods on the same {number} held-out lives"
    table = methods_table(lines, methods[reference], title=title, caption=caption, scores=scores)
    shown = methods_picture(lines, highlight, title=f"Total error after the last {task}", lives="lives")
    strongest = strongest_of(methods, [name for name in baselines if name in methods])
    return Section(title="At a glance", paragraphs=(strongest,), pictures=(shown,), tables=(table,))


def what_is_compared(methods: Methods, zero: float) -> str:
    """Says of every method what it is, and what there is to be had for nothing."""
    notes = "; ".join(f"{line.title}: {line.note}" for line in methods.values())
    return f"Every method meets the same lives. {notes}. Predicting 0 throughout has a mean error of {zero:.2f}."


def course_picture(lines: Sequence[MethodLine], name: str, *, tasks: str, zero: float) -> Picture:
    """The error of methods in the course of a life.

    Args:
        lines: The methods.
        name: As for `life_curves`.
        tasks: What tasks are called.
        zero: The error of predicting 0.
    """
    title = f"Error on all {tasks}" if name == "total_curve" else f"Error on the {tasks} met so far"
    figure = curves_figure(
        life_curves(lines, name),
        xlabel=f"{tasks} learned",
        ylabel="mean squared error",
        log_y=True,
        references={"predicting 0": zero},
    )
    return picture(title, "Means with 95 % intervals over lives.", figure, alt=title)


def life_curves(lines: Sequence[MethodLine], name: str) -> dict[str, Curve]:
    """One curve a method over the stages of a life: "total_curve", from birth on, or "memory_curve", from the first task on."""
    first = 0 if name == "total_curve" else 1
    courses: dict[str, Course] = {line.title: getattr(line, name) for line in lines}
    return {
        title: Curve(list(range(first, first + len(course.mean))), course.mean, course.ci95)
        for title, course in courses.items()
    }


def picture(title: str, caption: str, figure: Figure, *, alt: str) -> Picture:
    """Draws a figure for a page."""
    return Picture(title=title, caption=caption, content=png_bytes(figure), kind="png", alt=alt)
