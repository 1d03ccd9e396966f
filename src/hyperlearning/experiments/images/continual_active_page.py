"""The page of `continual-active`, from its record alone."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.experiments.images.continual_active import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Curve, Page, Picture, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.images.stream_comparison import EVERYTHING, StreamLifeLine
from hyperlearning.systems.images.stream_lives import LIFE_TITLES

_STREAMS: dict[str, str] = {
    "classes": "one class after another",
    "shuffled": "mixed",
    "shuffled_tail": "mixed, most classes rare",
    "classes_tail": "one class after another, most of them rare",
}
_AT_A_GLANCE: tuple[str, ...] = ("random_evenly", "margin", "margin_evenly", "typical_evenly")
"""Rules whose gains head the page, whatever came out."""

Lives = dict[tuple[str, int], list[StreamLifeLine]]
"""Lives of one kind on streams of one kind, by rule and budget, in the order of their seeds."""


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    lines = sorted(record.lines(StreamLifeLine), key=lambda line: line.seed)
    lives = {(stream, life): _lives(lines, stream, life) for stream in config.streams for life in config.lives}
    middle = config.budgets[len(config.budgets) // 2]
    return Page(
        title="Questions at once",
        lead=f"{config.data.num_images:,} images come one by one, are asked about at once or never, and are not kept. Every rule "
        f"has the same lives on the same streams; in the end {config.data.num_tests * len(lines[0].of_class):,} other images, of "
        "all classes as many, are tests.",
        facts={
            f"{title}: {_STREAMS[stream]}": f"{percent(_gain(lives[stream, life], 'margin_evenly', middle))} points over chance "
            f"by margins, evenly, with {middle:,} questions"
            for stream in config.streams[:3]
            for life, title in [(config.lives[0], LIFE_TITLES[config.lives[0]])]
            if "margin_evenly" in config.rules
        },
        sections=(
            _glance(lives, config, middle),
            *(_stream_section(lives, config, stream) for stream in config.streams),
            _questions(lives, config, middle),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _lives(lines: Sequence[StreamLifeLine], stream: str, life: str) -> Lives:
    found: Lives = {}
    for line in lines:
        if (line.stream, line.life) == (stream, life):
            found.setdefault((line.rule, line.budget), []).append(line)
    return found


def _accuracies(lives: Lives, rule: str, budget: int) -> list[float]:
    return [line.accuracy for line in lives[rule, budget]]


def _gain(lives: Lives, rule: str, budget: int, *, over: str = "random") -> Estimate:
    return paired_difference(*(_accuracies(lives, name, budget) for name in (rule, over)))


def _all(lives: Lives, config: Config) -> Estimate:
    return estimate(_accuracies(lives, EVERYTHING, config.data.num_images))


def _glance(lives: dict[tuple[str, str], Lives], config: Config, middle: int) -> Section:
    shown = [rule for rule in _AT_A_GLANCE if rule in config.rules]
    stream, life = config.streams[0], config.lives[0]
    rows = tuple(
        (
            _STREAMS[stream],
            LIFE_TITLES[life],
            percent(estimate(_accuracies(own, "random", middle))),
            *(percent(_gain(own, rule, middle)) for rule in shown),
            percent(_all(own, config)),
        )
        for (stream, life), own in lives.items()
    )
    titles = {rule: lives[stream, life][rule, middle][0].title for rule in shown}
    table = Table(
        title=f"With {middle:,} questions",
        caption=f"Percent of tests right after the stream, for chance and after all {config.data.num_images:,} answers; between "
        f"them, points over chance, paired over {config.num_lives} lives, with 95 % intervals.",
        header=("stream", "life", "random", *titles.values(), EVERYTHING),
        rows=rows,
    )
    return Section(
        title="At a glance",
        pictures=(_curves(lives[stream, life], config, stream, life, ("random", *shown)),),
        tables=(table,),
    )


def _curves(lives: Lives, config: Config, stream: str, life: str, rules: Sequence[str]) -> Picture:
    def curve(rule: str) -> Curve:
        values = [estimate([100 * one for one in _accuracies(lives, rule, budget)]) for budget in config.budgets]
        return Curve(list(config.budgets), [one.mean for one in values], [one.ci95 for one in values])

    figure = curves_figure(
        {lives[rule, config.budgets[0]][0].title: curve(rule) for rule in rules},
        xlabel="questions",
        ylabel="accuracy, percent",
        log_x=True,
        references={EVERYTHING: 100 * _all(lives, config).mean},
    )
    where = _STREAMS[stream].capitalize()
    caption = f"{where}. Means over {config.num_lives} lives, 95 % intervals; every point is lives of their own."
    return picture(f"Accuracy against questions, {LIFE_TITLES[life]}", caption, figure)


def _stream_section(lives: dict[tuple[str, str], Lives], config: Config, stream: str) -> Section:
    pictures, tables = [], []
    for life in config.lives:
        own = lives[stream, life]
        if (stream, life) != (config.streams[0], config.lives[0]):
            shown: list[str] = ["random", *(rule for rule in _AT_A_GLANCE if rule in config.rules)]
            pictures.append(_curves(own, config, stream, life, shown))
        tables.append(_table(own, config, life))
    if "random_evenly" in config.rules and len(config.rules) > 2:
        tables.append(_over_even_chance(lives, config, stream))
    return Section(title=f"Streams: {_STREAMS[stream]}", pictures=tuple(pictures), tables=tuple(tables))


def _table(lives: Lives, config: Config, life: str) -> Table:
    rows = tuple(
        (
            lives[rule, config.budgets[0]][0].title,
            *(
                f"{100 * fmean(_accuracies(lives, rule, budget)):.1f}"
                + ("" if rule == "random" else f" ({percent(_gain(lives, rule, budget))})")
                for budget in config.budgets
            ),
        )
        for rule in config.rules
    )
    return Table(
        title=LIFE_TITLES[life],
        caption=f"Percent of tests right, means over lives, and points over chance in brackets, with 95 % intervals; above, "
        f"questions. After all answers: {percent(_all(lives, config))}.",
        header=("rule", *(f"{budget:,}" for budget in config.budgets)),
        rows=rows,
    )


def _over_even_chance(lives: dict[tuple[str, str], Lives], config: Config, stream: str) -> Table:
    """What is gained by which images are asked about, and not by when."""
    rows = tuple(
        (
            LIFE_TITLES[life],
            lives[stream, life][rule, config.budgets[0]][0].title,
            *(percent(_gain(lives[stream, life], rule, budget, over="random_evenly")) for budget in config.budgets),
        )
        for life in config.lives
        for rule in config.rules
        if rule not in ("random", "random_evenly")
    )
    return Table(
        title="Over chance, evenly",
        caption="Points over chance that spends its questions evenly, paired over lives, with 95 % intervals; above, questions.",
        header=("life", "rule", *(f"{budget:,}" for budget in config.budgets)),
        rows=rows,
    )


def _questions(lives: dict[tuple[str, str], Lives], config: Config, middle: int) -> Section:
    """When questions were asked and of which classes."""
    stream, life = config.streams[0], config.lives[0]
    own = lives[stream, life]
    shown: list[str] = ["random", *(rule for rule in _AT_A_GLANCE if rule in config.rules)]
    figure = curves_figure(
        {
            own[rule, middle][0].title: Curve(
                list(range(1, 11)), np.mean([line.asked_in_part for line in own[rule, middle]], axis=0)
            )
            for rule in shown
        },
        xlabel="tenth of the stream",
        ylabel="questions",
    )
    caption = f"{_STREAMS[stream].capitalize()}, {LIFE_TITLES[life]}, {middle:,} questions: means over lives."
    rows = tuple(
        (
            _STREAMS[stream],
            LIFE_TITLES[life],
            own[rule, middle][0].title,
            f"{fmean(map(_balance, own[rule, middle])):.3f}",
            percent(estimate([min(line.of_class) for line in own[rule, middle]])),
            f"{1000 * fmean(line.life_seconds / line.num_images for line in own[rule, middle]):.2f}",
        )
        for (stream, life), own in lives.items()
        for rule in config.rules
    )
    table = Table(
        title="Of which classes",
        caption=f"With {middle:,} questions. Balance: entropy of the answers' classes over that of equal classes. The worst "
        "class: percent of its tests right. The last column: milliseconds an image, features apart.",
        header=("stream", "life", "rule", "balance", "worst class", "ms"),
        rows=rows,
    )
    return Section(
        title="What was asked about", pictures=(picture("When questions were asked", caption, figure),), tables=(table,)
    )


def _balance(line: StreamLifeLine) -> float:
    shares = np.array(line.asked_of_class) / line.asked
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum() / math.log(len(shares)))
