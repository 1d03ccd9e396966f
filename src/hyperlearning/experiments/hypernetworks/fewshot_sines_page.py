"""The page of `fewshot-sines`, from its record alone."""

from collections.abc import Sequence
from statistics import fmean

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.experiments.hypernetworks.fewshot_sines import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Curve, Page, Section, Table, column, curves_figure, methods_figure, picture
from hyperlearning.systems.hypernetworks.few_shot_lines import CourseLine
from hyperlearning.systems.hypernetworks.few_shot_sines import (
    KNOWING,
    SINE_METHODS,
    ErrorLine,
    WavesLine,
    final_errors,
)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    learners = final_errors(record.lines(ErrorLine))
    shots = config.training.shots
    knowing = learners.pop(KNOWING)[shots[0]]
    rows = sorted(learners.values(), key=lambda lines: fmean(lines[shots[0]].errors))
    return Page(
        title="A network for a sine wave from a few of its points",
        lead=f"Amplitude and phase of a wave are new each time; learners see {' or '.join(map(str, shots))} of its points, "
        f"and are tested at {config.training.test_queries} others of {config.training.test_waves} waves, the same for all. "
        f"Least squares on sin and cos, which know the family, err by {fmean(knowing.errors):.1g}.",
        facts={row[shots[0]].title: f"{estimate(row[shots[0]].errors)}" for row in rows[:3]},
        sections=(
            _glance(rows, shots),
            _examples(record.lines(WavesLine)),
            _courses(record.lines(CourseLine)),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _glance(rows: Sequence[dict[int, ErrorLine]], shots: Sequence[int]) -> Section:
    first = shots[0]
    errors = {row[first].title: estimate(row[first].errors) for row in rows}
    highlight = [row[first].title for row in rows if row[first].method.startswith("written")]
    figure = methods_figure(errors, xlabel="mean squared error", log=True, highlight=highlight)
    text = f"From {first} points; means and 95 % intervals over waves, the same for all; hypernetworks in colour."
    columns = [column(f"{number} points", [estimate(row[number].errors) for row in rows]) for number in shots]
    best = rows[0]
    less = [
        column(f"less the best, {number} points", [_less(row[number], best[number]) for row in rows])
        for number in shots
    ]
    table = Table(
        title="Mean squared errors",
        caption="Mean and 95 % interval over waves, and the difference to the best, wave by wave.",
        header=("learner", *(each.header for each in (*columns, *less))),
        rows=tuple(
            (row[first].title, *(each.cells[place] for each in (*columns, *less))) for place, row in enumerate(rows)
        ),
    )
    return Section(title="At a glance", pictures=(picture("Errors", text, figure),), tables=(table,))


def _less(line: ErrorLine, best: ErrorLine) -> Estimate | None:
    return None if line.method == best.method else paired_difference(line.errors, best.errors)


def _examples(lines: Sequence[WavesLine]) -> Section:
    curves = {line.title: Curve(list(line.places), list(line.values[0])) for line in lines}
    figure = curves_figure(curves, xlabel="x", ylabel="y")
    text = "The first test wave, and what learners make of it from the fewest points."
    return Section(title="A wave", pictures=(picture("A wave", text, figure),))


def _courses(lines: Sequence[CourseLine]) -> Section:
    curves = {
        line.title: Curve([look.images / 1000 for look in line.looks], [-look.validation for look in line.looks])
        for line in lines
    }
    figure = curves_figure(curves, xlabel="thousand points met", ylabel="mean squared error, validation", log_y=True)
    rows = tuple((line.title, f"{line.num_numbers:,}", f"{line.seconds:,.0f}") for line in lines)
    table = Table(title="What training took", header=("learner", "numbers", "seconds"), rows=rows)
    notes = "; ".join(f"{method.title}: {method.note}" for method in SINE_METHODS.values())
    return Section(
        title="In the course of training",
        paragraphs=(f"{notes}.",),
        pictures=(picture("Validation", "From the fewest points; every learner meets as many.", figure),),
        tables=(table,),
    )
