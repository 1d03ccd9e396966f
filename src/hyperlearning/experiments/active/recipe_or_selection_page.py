"""The page of `recipe-or-selection`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate, paired_difference
from hyperlearning.experiments.active.conditions_parts import lives_by_condition, named
from hyperlearning.experiments.active.recipe_or_selection import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.active.lines import LifeLine, ProblemLine
from hyperlearning.systems.active.page_parts import (
    RANDOM,
    Lives,
    accuracy_curve,
    all_strategies,
    area,
    questions_section,
)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config, problem = record.settings(Config), record.last(ProblemLine)
    lives = lives_by_condition(record)
    first, *others = config.recipes
    best = max(others or [first], key=lambda name: sum(map(area, lives[name][RANDOM])))
    return Page(
        title="Recipe or selection",
        lead=f"The same network is trained by several recipes on what several strategies ask for, from the same starts. "
        f"{problem.num_images:,} images can be asked about, {problem.num_tests:,} others are tests.",
        facts={
            f"Training {best} rather than {first}, by chance": f"{_gain(lives[best][RANDOM], lives[first][RANDOM])} points",
            **{
                f"{lines[0].title} rather than chance, trained {best}": f"{_gain(lines, lives[best][RANDOM])} points"
                for name, lines in lives[best].items()
                if name != RANDOM
            },
        },
        sections=(
            _glance(lives, problem),
            *(named(all_strategies(own), f"recipe {name}") for name, own in lives.items()),
            *(named(questions_section(own, problem), f"recipe {name}") for name, own in lives.items()),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _gain(lines: list[LifeLine], others: list[LifeLine]) -> str:
    return percent(paired_difference(list(map(area, lines)), list(map(area, others))))


def _glance(lives: dict[str, Lives], problem: ProblemLine) -> Section:
    figure = curves_figure(
        {
            f"{lines[0].title}, {recipe}": accuracy_curve(lines)
            for recipe, own in lives.items()
            for lines in own.values()
        },
        xlabel="questions answered",
        ylabel="accuracy, percent",
    )
    first = next(iter(lives))
    rows = tuple(
        (
            recipe,
            lines[0].title,
            percent(estimate([line.rounds[0].accuracy for line in lines])),
            percent(estimate([line.last.accuracy for line in lines])),
            percent(estimate(list(map(area, lines)))),
            _gain(lines, own[RANDOM]) if name != RANDOM else "",
            _gain(lines, lives[first][name]) if recipe != first else "",
        )
        for recipe, own in lives.items()
        for name, lines in own.items()
    )
    table = Table(
        title="Every recipe with every strategy",
        caption="Percent of tests right before the first question, after the last, and over all questions (area under the "
        f"curve), with 95 % intervals over lives; paired gains over all questions: over chance by the same recipe, and over "
        f"{first} with the same strategy.",
        header=("recipe", "strategy", "before", "at the end", "over all questions", "by choosing", "by the recipe"),
        rows=rows[:10],
    )
    caption = f"Means over lives, 95 % intervals; {problem.num_images:,} images could be asked about."
    return Section(
        title="At a glance", pictures=(picture("Accuracy against questions", caption, figure),), tables=(table,)
    )
