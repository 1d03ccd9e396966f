"""The page of Barlow Twins beside a classifier, from its record alone."""

from dataclasses import replace

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate, paired_difference
from hyperlearning.experiments.active.conditions_parts import lives_by_condition, named
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.active.lines import AskedLine, ProblemLine
from hyperlearning.systems.active.page_parts import (
    RANDOM,
    Lives,
    accuracy_curve,
    all_strategies,
    area,
    best_first,
    gain,
    purity,
    questions_section,
    sheets,
)

_TITLES = {"first": "Barlow Twins first", "twins": "with Barlow Twins", "plain": "classes alone"}
_WHAT = {
    "first": "on classes from where Barlow Twins left the encoder, which learned from all images once",
    "twins": "on classes with Barlow Twins beside them",
    "plain": "on classes alone",
}
_ALONE = "plain"
_OF_A_TRAINING = 3
"""Strategies of each training that a reader sees at once."""


def twins_page(record: RunRecord, *, title: str, lead: str) -> Page:
    """Makes the page.

    Args:
        record: The run's record.
        title: The page's.
        lead: What is asked about, in a sentence or two.
    """
    problem, lives = record.last(ProblemLine), lives_by_condition(record)
    twins = lives["twins"]
    ordered, titles = best_first(twins), {name: own[0].title for name, own in twins.items()}
    return Page(
        title=title,
        lead=f"{lead} {problem.num_images:,} images can be asked about, {problem.num_tests:,} others are tests. Every strategy "
        "begins with the same labelled images, and the same network is trained from the beginning after every round: "
        f"{_trainings(lives)}.",
        facts={
            **{
                f"{_TITLES[recipe]} rather than {_TITLES[_ALONE]}, by chance": f"{_gain(lives, recipe, RANDOM)} points"
                for recipe in lives
                if recipe != _ALONE
            },
            **{
                f"{titles[name]} rather than chance": f"{percent(gain(twins, name, area))} points"
                for name in ordered
                if name != RANDOM
            },
        },
        sections=(
            _glance(lives, problem),
            *(named(all_strategies(own), _TITLES[name]) for name, own in lives.items()),
            *(named(questions_section(own, problem), _TITLES[name]) for name, own in lives.items()),
            sheets(
                [line for line in record.lines(AskedLine) if line.recipe == "twins"],
                titles,
                list(dict.fromkeys([ordered[0], ordered[-1]])),
            ),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _trainings(lives: dict[str, Lives]) -> str:
    """How networks are trained, in words."""
    *others, last = (what for name, what in _WHAT.items() if name in lives)
    return f"{', '.join(others)}, and {last}" if others else last


def _gain(lives: dict[str, Lives], recipe: str, strategy: str) -> str:
    """What a training is ahead of classes alone by, over all questions, with the same strategy."""
    areas = ([area(line) for line in lives[one][strategy]] for one in (recipe, _ALONE))
    return percent(paired_difference(*areas))


def _shown(lives: Lives) -> list[str]:
    """The best strategies of a training, and chance."""
    ordered = best_first(lives)
    first = ordered[:_OF_A_TRAINING]
    return first if RANDOM in first else [*first[:-1], RANDOM]


def _glance(lives: dict[str, Lives], problem: ProblemLine) -> Section:
    some = [(recipe, name) for recipe in _TITLES if recipe in lives for name in _shown(lives[recipe])]
    figure = curves_figure(
        {
            f"{lives[recipe][name][0].title}, {_TITLES[recipe]}": replace(
                accuracy_curve(lives[recipe][name]), ci95=None
            )
            for recipe, name in some
        },
        xlabel="questions answered",
        ylabel="accuracy, percent",
    )
    rows = tuple(
        (
            own[name][0].title,
            _TITLES[recipe],
            *([percent(purity(own[name]))] if problem.num_foreign else []),
            percent(estimate([line.rounds[0].accuracy for line in own[name]])),
            percent(estimate([line.last.accuracy for line in own[name]])),
            percent(estimate(list(map(area, own[name])))),
            percent(gain(own, name, area)) if name != RANDOM else "",
            _gain(lives, recipe, name) if recipe != _ALONE and name in lives[_ALONE] else "",
        )
        for recipe, name in some
        for own in (lives[recipe],)
    )
    ours = "Purity: percent of questions whose image is ours. " if problem.num_foreign else ""
    table = Table(
        title="With Barlow Twins and without",
        caption=f"{ours}Percent of tests right before the first question, after the last, and over all questions (area under the "
        "curve), with 95 % intervals over lives; paired gains over all questions: over chance with the same training, and "
        "over the same strategy with classes alone.",
        header=(
            "strategy",
            "trained",
            *(["purity"] if problem.num_foreign else []),
            "before",
            "at the end",
            "over all questions",
            "by choosing",
            "by Barlow Twins",
        ),
        rows=rows,
    )
    caption = f"Means over lives, whose intervals the table has; {problem.num_images:,} images could be asked about."
    return Section(
        title="At a glance", pictures=(picture("Accuracy against questions", caption, figure),), tables=(table,)
    )
