"""What the pages of active learners share."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np

from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.reports import Curve, Section, Table, curves_figure, percent, picture, sheet_figure
from hyperlearning.systems.active.lines import CEILING, AskedLine, LifeLine, ProblemLine, RoundLine
from hyperlearning.systems.packed_images import unpack_images

RANDOM = "random"
MOST_ROWS = 10
_MOST_CURVES = 7

Lives = dict[str, list[LifeLine]]
"""Lives of every strategy, in the order of their seeds."""


def by_strategy(lines: Sequence[LifeLine]) -> Lives:
    """Lives of one recipe by strategy."""
    found: Lives = {}
    for line in sorted(lines, key=lambda line: line.seed):
        found.setdefault(line.strategy, []).append(line)
    return found


def area(line: LifeLine) -> float:
    """The mean accuracy over a life's questions: the area under its curve over its width."""
    widths = [
        (after.spent - before.spent, (after.accuracy + before.accuracy) / 2) for before, after in pairwise(line.rounds)
    ]
    total = sum(width for width, _ in widths)
    return sum(width * height for width, height in widths) / total if total else line.last.accuracy


def questions_to(line: LifeLine, target: float) -> float | None:
    """Questions after which accuracy is first as high as a target, between rounds in a straight line; absent if it never is."""
    if line.rounds[0].accuracy >= target:
        return line.rounds[0].spent
    for before, after in pairwise(line.rounds):
        if after.accuracy >= target:
            share = (target - before.accuracy) / (after.accuracy - before.accuracy)
            return before.spent + share * (after.spent - before.spent)
    return None


def gain(lives: Lives, strategy: str, measure: Callable[[LifeLine], float]) -> Estimate:
    """What a strategy is ahead of chance by, over pairs of lives of one seed."""
    return paired_difference(*([measure(line) for line in lives[name]] for name in (strategy, RANDOM)))


def purity(lines: Sequence[LifeLine], after: int = 0) -> Estimate:
    """Share of questions whose image is ours, over lives.

    Args:
        lines: A strategy's lives.
        after: Rounds whose answers were learned before; all questions count where there are no more rounds.
    """

    def share(line: LifeLine) -> float:
        rounds = line.rounds[1 + after :] or line.rounds[1:]
        return fmean(one.purity for one in rounds if one.purity is not None)

    return estimate(list(map(share, lines)))


def best_first(lives: Lives) -> list[str]:
    """Strategies by the area under their curves."""
    return sorted(lives, key=lambda name: -fmean(area(line) for line in lives[name]))


def glance(lives: Lives, problem: ProblemLine, *, what: str) -> Section:
    """Accuracy against questions: a picture of the best, of chance and of the worst, and a table of the best."""
    ordered = best_first(lives)
    shown = ordered if len(ordered) <= _MOST_CURVES else [*ordered[: _MOST_CURVES - 2], ordered[-1]]
    if RANDOM in lives and RANDOM not in shown:
        shown.append(RANDOM)
    figure = curves_figure(
        {lives[name][0].title: accuracy_curve(lives[name]) for name in shown},
        xlabel="questions answered",
        ylabel="accuracy, percent",
    )
    seeds = len(lives[ordered[0]])
    caption = f"{what} Means over {seeds} lives, 95 % intervals; {problem.num_images:,} images could be asked about."
    return Section(
        title="At a glance",
        pictures=(picture("Accuracy against questions", caption, figure),),
        tables=(strategies_table(lives, ordered[:MOST_ROWS], title="The best strategies, by area"),),
    )


def accuracy_curve(lines: Sequence[LifeLine]) -> Curve:
    """Accuracy by questions, over lives; where lives spent differently, at their mean."""
    rounds = list(zip(*(line.rounds for line in lines), strict=True))
    values = [estimate([100 * own.accuracy for own in same]) for same in rounds]
    return Curve(
        [fmean(own.spent for own in same) for same in rounds],
        [value.mean for value in values],
        [value.ci95 for value in values],
    )


def strategies_table(lives: Lives, names: Sequence[str], *, title: str) -> Table:
    """What every strategy is worth, a row each."""
    has_random = RANDOM in lives
    target = fmean(line.last.accuracy for line in lives[RANDOM]) if has_random else None

    def row(name: str) -> tuple[str, ...]:
        lines = lives[name]
        own = [questions_to(line, target) for line in lines] if target is not None else []
        reached = [value for value in own if value is not None]
        return (
            lines[0].title,
            percent(estimate([line.last.accuracy for line in lines])),
            percent(estimate([area(line) for line in lines])),
            percent(gain(lives, name, area)) if has_random and name != RANDOM else "",
            f"{fmean(reached):,.0f}" if len(reached) == len(own) and reached else "",
            f"{100 * fmean(line.last.ece for line in lines):.1f}",
        )

    return Table(
        title=title,
        caption="Percent of tests right after the last round, and over all questions (area under the curve), with 95 % intervals "
        "over lives; the gain over chance is paired: the same pool, start, oracle and recipe. Questions until chance's last "
        "accuracy is reached, where all lives reach it. ECE: expected calibration error, percent.",
        header=("strategy", "at the end", "over all questions", "gain over chance", "questions to chance's end", "ECE"),
        rows=tuple(map(row, names)),
    )


def all_strategies(lives: Lives) -> Section:
    """Every strategy, and how its curve runs."""
    ordered = best_first(lives)
    rounds = lives[ordered[0]][0].rounds
    places = sorted({round(place) for place in np.linspace(0, len(rounds) - 1, MOST_ROWS)})
    course = Table(
        title="Round by round",
        caption="Percent of tests right, means over lives; above, answers that were paid for.",
        header=(
            "strategy",
            *(f"{fmean(line.rounds[place].spent for line in lives[ordered[0]]):,.0f}" for place in places),
        ),
        rows=tuple(
            (
                lives[name][0].title,
                *(f"{100 * fmean(line.rounds[place].accuracy for line in lives[name]):.1f}" for place in places),
            )
            for name in ordered
        ),
    )
    return Section(title="Every strategy", tables=(strategies_table(lives, ordered, title="All of them"), course))


def questions_section(lives: Lives, problem: ProblemLine) -> Section:
    """What was asked for: how much of it is ours, how evenly classes came, how often chance chose, and what choosing took."""

    def mean_of(name: str, value: Callable[[RoundLine], float | None]) -> float:
        return fmean(own for line in lives[name] for one in line.rounds if (own := value(one)) is not None)

    rows = tuple(
        (
            lives[name][0].title,
            f"{100 * mean_of(name, lambda one: one.purity):.1f}",
            f"{100 * fmean(line.last.purity or 0.0 for line in lives[name]):.1f}",
            f"{mean_of(name, lambda one: one.balance):.3f}",
            f"{mean_of(name, lambda one: one.num_tied):,.1f}",
            f"{mean_of(name, lambda one: one.choose_seconds):.3f}",
            f"{mean_of(name, lambda one: one.train_seconds):.3f}",
        )
        for name in best_first(lives)
    )
    foreign = (
        f" {problem.num_foreign:,} of {problem.num_images:,} images of the pool are none of ours."
        if problem.num_foreign
        else ""
    )
    return Section(
        title="What was asked for",
        tables=(
            Table(
                title="Questions",
                caption="Purity: percent of questions whose image is ours, over all rounds and in the last. Balance: entropy of "
                f"a round's labels over that of equal classes. Tied: images of the last score of a round.{foreign}",
                header=("strategy", "purity", "in the last round", "balance", "tied", "s to choose", "s to train"),
                rows=rows,
            ),
        ),
    )


def sheets(asked: Sequence[AskedLine], titles: dict[str, str], shown: Sequence[str]) -> Section:
    """What some strategies asked for first and last."""
    pictures = []
    for line in asked:
        if line.strategy in shown:
            title = f"{titles[line.strategy]}: asked for first, and last"
            rows = {"first": unpack_images(line.first), "last": unpack_images(line.last)}
            pictures.append(picture(title, "From left to right, the sooner the more wanted.", sheet_figure(rows)))
    return Section(title="Pictures of questions", pictures=tuple(pictures))


def facts_of(lives: Lives) -> dict[str, str]:
    """The three best strategies in a few words."""
    return {
        lives[name][0].title: f"{percent(estimate([area(line) for line in lives[name]]))} % over all questions"
        for name in [name for name in best_first(lives) if name != CEILING][:3]
    }
