"""The page of `small-budgets`, from its record alone."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.experiments.active.small_budgets import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Curve, Page, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.active.learned import LearnedLine
from hyperlearning.systems.active.lines import AskedLine, LifeLine, ProblemLine
from hyperlearning.systems.active.page_parts import (
    MOST_ROWS,
    RANDOM,
    Lives,
    accuracy_curve,
    by_strategy,
    gain,
    questions_section,
    sheets,
)

_TITLES = {"learned": "learned features", "pixels": "components of pixels"}
_MOST_CURVES = 7


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config, problem = record.settings(Config), record.last(ProblemLine)
    lines = record.lines(LifeLine)
    lives = {name: by_strategy([line for line in lines if line.recipe == name]) for name in _TITLES}
    main = lives["learned"]
    best, budgets = _best_first(main)[0], config.budgets
    titles = {name: own[0].title for name, own in main.items()}
    return Page(
        title="Small budgets",
        lead=f"Features are learned from {problem.num_images:,} images without a label. Then every strategy begins with nothing "
        f"labelled, and a linear head is solved on what it asked for; {problem.num_tests:,} other images are tests.",
        facts={
            f"{titles[best]} at {budget:,} labels": f"{percent(_gain(main, best, budget))} points over chance"
            for budget in budgets[:3]
        },
        sections=(
            _glance(main, problem, config),
            *(_all_budgets(own, name, config) for name, own in lives.items()),
            _beside_pixels(lives, config),
            questions_section(main, problem),
            *_learning(record),
            sheets(
                sorted(
                    (line for line in record.lines(AskedLine) if line.recipe == "learned"),
                    key=lambda line: line.strategy != best,
                ),
                titles,
                list(dict.fromkeys([best, RANDOM])),
            ),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _best_first(lives: Lives) -> list[str]:
    """Strategies by their mean over all budgets, each of which counts the same."""
    return sorted(lives, key=lambda name: -fmean(one.accuracy for line in lives[name] for one in line.rounds[1:]))


def _at(line: LifeLine, budget: int) -> float:
    return next(one.accuracy for one in line.rounds if one.num_labelled == budget)


def _gain(lives: Lives, name: str, budget: int) -> Estimate:
    return gain(lives, name, lambda line: _at(line, budget))


def _some(budgets: Sequence[int]) -> list[int]:
    """The first, the third and the last budget, and one between."""
    most = len(budgets) - 1
    return [budgets[place] for place in sorted({0, min(2, most), most // 2 + 1 if most > 2 else most, most})]


def _glance(lives: Lives, problem: ProblemLine, config: Config) -> Section:
    ordered = _best_first(lives)
    shown = ordered[: _MOST_CURVES - 1]
    shown += [] if RANDOM in shown else [RANDOM]
    figure = curves_figure(
        {lives[name][0].title: _without_first(accuracy_curve(lives[name])) for name in shown},
        xlabel="labels",
        ylabel="accuracy, percent",
        log_x=True,
    )
    some = _some(config.budgets)
    rows = tuple(
        (
            lives[name][0].title,
            *(
                cell
                for budget in some
                for cell in (
                    percent(estimate([_at(line, budget) for line in lives[name]])),
                    "" if name == RANDOM else percent(_gain(lives, name, budget)),
                )
            ),
        )
        for name in ordered[:MOST_ROWS]
    )
    table = Table(
        title="Every strategy",
        caption=f"Percent of tests right after so many labels, and paired gains over chance, with 95 % intervals over "
        f"{config.num_seeds} lives on one set of learned features.",
        header=("strategy", *(cell for budget in some for cell in (f"{budget:,} labels", "gain"))),
        rows=rows,
    )
    caption = (
        f"Means over {config.num_seeds} lives, 95 % intervals; {problem.num_images:,} images could be asked about."
    )
    return Section(
        title="At a glance", pictures=(picture("Accuracy against labels", caption, figure),), tables=(table,)
    )


def _without_first(curve: Curve) -> Curve:
    """Without the round before the first label, which a logarithmic axis has no place for."""
    return Curve(*(np.asarray(values)[1:] for values in (curve.x, curve.mean, curve.ci95)))


def _all_budgets(lives: Lives, source: str, config: Config) -> Section:
    """Accuracy and gain at every budget."""
    ordered, header = _best_first(lives), ("strategy", *(f"{budget:,}" for budget in config.budgets))
    right = Table(
        title=f"Accuracy, {_TITLES[source]}",
        caption="Percent of tests right, means over lives; above, labels.",
        header=header,
        rows=tuple(
            (
                lives[name][0].title,
                *(f"{100 * fmean(_at(line, budget) for line in lives[name]):.1f}" for budget in config.budgets),
            )
            for name in ordered
        ),
    )
    ahead = Table(
        title=f"Gain over chance, {_TITLES[source]}",
        caption="In points, paired over lives, with 95 % intervals.",
        header=header,
        rows=tuple(
            (lives[name][0].title, *(percent(_gain(lives, name, budget)) for budget in config.budgets))
            for name in ordered
            if name != RANDOM
        ),
    )
    return Section(title=f"Every budget: {_TITLES[source]}", tables=(right, ahead))


def _beside_pixels(lives: dict[str, Lives], config: Config) -> Section:
    """What features are worth, beside what choosing is."""
    rows = tuple(
        (
            own[name][0].title,
            _TITLES[source],
            *(percent(estimate([_at(line, budget) for line in own[name]])) for budget in config.budgets),
        )
        for source, own in lives.items()
        for name in dict.fromkeys([RANDOM, _best_first(own)[0]])
    )
    table = Table(
        title="Chance and the best strategy on all features",
        caption="Percent of tests right, with 95 % intervals over lives.",
        header=("strategy", "features", *(f"{budget:,}" for budget in config.budgets)),
        rows=rows,
    )
    return Section(title="What features are worth", tables=(table,))


def _learning(record: RunRecord) -> tuple[Section, ...]:
    """How learning without labels went, where it was."""
    lines = record.lines(LearnedLine)
    if not lines:
        return ()
    (line,) = lines
    figure = curves_figure(
        {"loss": Curve(list(line.epochs), list(line.losses))}, xlabel="passes over the pool", ylabel="loss"
    )
    caption = (
        f"{line.num_updates:,} updates in {line.seconds:,.0f} s; an encoder of {line.num_weights:,} weights, "
        f"{line.num_features} features."
    )
    return (Section(title="Learning without labels", pictures=(picture("Loss", caption, figure),)),)
