"""The page of strategies under several conditions, from its record alone."""

from collections.abc import Mapping
from typing import NamedTuple

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Curve, Page, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.active.lines import CEILING, LifeLine, ProblemLine
from hyperlearning.systems.active.page_parts import (
    MOST_ROWS,
    RANDOM,
    Lives,
    all_strategies,
    area,
    best_first,
    by_strategy,
    gain,
    questions_section,
)


class Varied(NamedTuple):
    """A number that some conditions differ in.

    Attributes:
        name: What it is, with its unit.
        values: Of a condition, by its name in the record.
    """

    name: str
    values: Mapping[str, float]


def lives_by_condition(record: RunRecord) -> dict[str, Lives]:
    """Lives of every strategy, condition by condition."""
    lines = record.lines(LifeLine)
    names = dict.fromkeys(line.recipe for line in lines)
    return {name: by_strategy([line for line in lines if line.recipe == name]) for name in names}


def conditions_page(
    record: RunRecord, *, title: str, lead: str, titles: Mapping[str, str], varied: Varied, what: str
) -> Page:
    """Makes the page.

    Args:
        record: The run's record.
        title: The page's.
        lead: What is asked about, in a sentence or two.
        titles: What conditions are called, by their names in the record.
        varied: What the picture has from left to right.
        what: The caption of the picture in a sentence.
    """
    lives, problem = lives_by_condition(record), record.last(ProblemLine)
    return Page(
        title=title,
        lead=f"{lead} {problem.num_images:,} images can be asked about, {problem.num_tests:,} others are tests.",
        facts={
            f"{own[best][0].title}, {titles[name]}": f"{percent(gain(own, best, area))} points over chance"
            for name, own in lives.items()
            if (best := _best(own)) != RANDOM
        },
        sections=(
            _glance(lives, titles, varied, what),
            *(named(all_strategies(own), titles[name]) for name, own in lives.items()),
            *(named(questions_section(own, problem), titles[name]) for name, own in lives.items()),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def named(section: Section, condition: str) -> Section:
    """A section of one condition among others."""
    return Section(
        title=f"{section.title}: {condition}",
        paragraphs=section.paragraphs,
        pictures=section.pictures,
        tables=section.tables,
    )


def _best(lives: Lives) -> str:
    """The best strategy other than chance, if there is another."""
    ordered = best_first(lives)
    return next((name for name in ordered if name not in (RANDOM, CEILING)), ordered[0])


def _glance(lives: dict[str, Lives], titles: Mapping[str, str], varied: Varied, what: str) -> Section:
    shown = {name: own for name, own in lives.items() if name in varied.values}
    first = next(iter(shown.values()))
    values = [varied.values[name] for name in shown]

    def curve(strategy: str) -> Curve:
        found = [estimate([100 * area(line) for line in own[strategy]]) for own in shown.values()]
        return Curve(values, [one.mean for one in found], [one.ci95 for one in found])

    figure = curves_figure(
        {lines[0].title: curve(strategy) for strategy, lines in first.items()},
        xlabel=varied.name,
        ylabel="accuracy over all questions, percent",
    )
    seeds = len(next(iter(first.values())))
    return Section(
        title="At a glance",
        pictures=(picture(what, f"Means over {seeds} lives, 95 % intervals.", figure),),
        tables=(_table(lives, titles),),
    )


def _table(lives: dict[str, Lives], titles: Mapping[str, str]) -> Table:
    def row(name: str, strategy: str) -> tuple[str, ...]:
        lines = lives[name][strategy]
        return (
            titles[name],
            lines[0].title,
            percent(estimate([line.rounds[0].accuracy for line in lines])),
            percent(estimate([line.last.accuracy for line in lines])),
            percent(estimate(list(map(area, lines)))),
            percent(gain(lives[name], strategy, area)) if strategy != RANDOM else "",
        )

    chosen = [
        (name, strategy) for name, own in lives.items() for strategy in dict.fromkeys([_best(own), RANDOM, *own][:2])
    ]
    return Table(
        title="The best strategy and chance",
        caption="Percent of tests right before the first question, after the last, and over all questions (area under the "
        "curve), with 95 % intervals over lives; the gain over chance is over all questions and paired: the same pool, start, "
        "oracle and recipe.",
        header=("condition", "strategy", "before", "at the end", "over all questions", "gain over chance"),
        rows=tuple(row(name, strategy) for name, strategy in chosen)[:MOST_ROWS],
    )
