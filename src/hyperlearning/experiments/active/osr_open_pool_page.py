"""The page of `osr-open-pool`, from its record alone."""

from statistics import fmean

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Curve, Page, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.active.asking import AskConfig
from hyperlearning.systems.active.lines import AskedLine, LifeLine, ProblemLine
from hyperlearning.systems.active.page_parts import (
    MOST_ROWS,
    RANDOM,
    Lives,
    accuracy_curve,
    all_strategies,
    area,
    best_first,
    by_strategy,
    gain,
    purity,
    questions_section,
    sheets,
)

_MOST_CURVES = 8
_LEARNED = 2
"""Rounds whose answers are learned before questions are expected to be pure."""
_POLICIES = {
    "return": "all return to the pool",
    "remove": "they leave the pool",
    "remove last": "those of the last round leave the pool, earlier ones return",
}


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    lives, problem = by_strategy(record.lines(LifeLine)), record.last(ProblemLine)
    config = record.settings(AskConfig)
    ordered = best_first(lives)
    share = problem.num_foreign / problem.num_images
    titles = {name: lines[0].title for name, lines in lives.items()}
    return Page(
        title="Questions that are not wasted",
        lead=f"A network learns from few labels, and a strategy chooses which images of a pool get one next, of which "
        f"{100 * share:.0f} % are none of ours: such an answer is paid for. {problem.num_images:,} images can be asked about, "
        f"{problem.num_tests:,} others, all of them ours, are tests. Of rejected images, {_POLICIES[config.questions.policy]}.",
        facts={
            titles[name]: f"{percent(purity(lives[name]))} % ours, {percent(_end(lives[name]))} % right at the end"
            for name in ordered[:3]
        },
        sections=(
            _glance(lives, problem),
            _accuracy(lives, problem),
            all_strategies(lives),
            questions_section(lives, problem),
            sheets(record.lines(AskedLine), titles, list(dict.fromkeys([ordered[0], ordered[-1]]))),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _end(lines: list[LifeLine]) -> Estimate:
    return estimate([line.last.accuracy for line in lines])


def _wasted(line: LifeLine) -> float:
    return line.last.spent - (line.last.num_labelled - line.rounds[0].num_labelled)


def _curves(lives: Lives) -> list[str]:
    """The best strategies, and chance."""
    ordered = best_first(lives)
    shown = ordered[:_MOST_CURVES]
    return shown if RANDOM in shown or RANDOM not in lives else [*shown[:-1], RANDOM]


def _glance(lives: Lives, problem: ProblemLine) -> Section:
    def curve(lines: list[LifeLine]) -> Curve:
        rounds = list(zip(*(line.rounds[1:] for line in lines), strict=True))
        found = [estimate([100 * (one.purity or 0.0) for one in same]) for same in rounds]
        return Curve(range(1, len(found) + 1), [one.mean for one in found])

    figure = curves_figure(
        {lives[name][0].title: curve(lives[name]) for name in _curves(lives)},
        xlabel="round of questions",
        ylabel="questions whose image is ours, percent",
        references={"share of the pool": 100 * (1 - problem.num_foreign / problem.num_images)},
    )
    names = best_first(lives)[:MOST_ROWS]
    table = Table(
        title="Every strategy, by accuracy over all questions",
        caption=f"Purity: percent of questions whose image is ours, of all and of those after {_LEARNED} rounds of answers. "
        "Wasted: questions answered by 'none of ours'. Percent of tests right after the last round, and over all "
        "questions (area under the curve), with 95 % intervals over lives; the gain over chance is paired: the same pool, "
        "start, oracle and recipe.",
        header=(
            "strategy",
            "purity",
            f"after {_LEARNED} rounds",
            "wasted",
            "at the end",
            "over all",
            "gain over chance",
        ),
        rows=tuple(_row(lives, name) for name in names),
    )
    caption = f"Means over {len(lives[names[0]])} lives."
    return Section(title="At a glance", pictures=(picture("Purity of questions", caption, figure),), tables=(table,))


def _row(lives: Lives, name: str) -> tuple[str, ...]:
    lines = lives[name]
    return (
        lines[0].title,
        percent(purity(lines)),
        percent(purity(lines, _LEARNED)),
        f"{fmean(map(_wasted, lines)):,.0f} of {fmean(line.last.spent for line in lines):,.0f}",
        percent(_end(lines)),
        percent(estimate(list(map(area, lines)))),
        percent(gain(lives, name, area)) if RANDOM in lives and name != RANDOM else "",
    )


def _accuracy(lives: Lives, problem: ProblemLine) -> Section:
    figure = curves_figure(
        {lives[name][0].title: accuracy_curve(lives[name]) for name in _curves(lives)},
        xlabel="questions answered",
        ylabel="accuracy, percent",
    )
    caption = f"Means over lives, 95 % intervals; {problem.num_images:,} images could be asked about."
    return Section(title="Accuracy", pictures=(picture("Accuracy against questions", caption, figure),))
