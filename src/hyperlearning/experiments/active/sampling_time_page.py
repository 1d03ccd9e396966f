"""The page of `sampling-time`, from its record alone."""

from statistics import median

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.experiments.active.sampling_time import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, Table, methods_figure, picture
from hyperlearning.systems.active.lines import LookLine, TimeLine
from hyperlearning.systems.active.page_parts import MOST_ROWS

_TEXT = {
    "vaal": 10.69,
    "least_confidence": 10.89,
    "weibull_outlier": 20.41,
    "variation_ratio": 20.48,
    "core_set": 75.33,
}
"""Seconds of the dissertation's table 3.1, of whole methods, with a GPU."""


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config, look = record.settings(Config), record.last(LookLine)
    lines = sorted(record.lines(TimeLine), key=lambda line: -median(line.seconds))
    seconds = {"looking at the pool": estimate(list(look.seconds))}
    seconds |= {line.title: estimate(list(line.seconds)) for line in lines}
    shown = picture(
        "Time to choose",
        f"Milliseconds to choose {config.num_wanted:,} of {look.num_pool:,} images, and to look at them all; means of "
        f"{config.num_times} times, 95 % intervals.",
        methods_figure(
            {name: _milliseconds(one) for name, one in seconds.items()},
            xlabel="milliseconds",
            log=True,
            highlight=("looking at the pool",),
        ),
    )
    return Page(
        title="How long it takes to choose",
        lead=f"One network looks at {look.num_pool:,} images, of which {look.num_labelled:,} others are labelled, and makes "
        f"{look.num_features} numbers of each; every strategy chooses {config.num_wanted:,} of them.",
        facts={
            "Looking at the pool": f"{1000 * median(look.seconds):,.0f} ms",
            **{f"Slowest: {line.title}": f"{1000 * median(line.seconds):,.0f} ms" for line in lines[:1]},
        },
        sections=(
            Section(
                title="At a glance",
                pictures=(shown,),
                tables=(_table(lines[:MOST_ROWS], look, title="The slowest strategies"),),
            ),
            Section(title="Every strategy", tables=(_table(lines, look, title="All of them"),)),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _milliseconds(value: Estimate) -> Estimate:
    return Estimate(1000 * value.mean, 1000 * value.ci95, value.count)


def _table(lines: list[TimeLine], look: LookLine, *, title: str) -> Table:
    def row(line: TimeLine) -> tuple[str, ...]:
        own = median(line.seconds)
        ratios = [theirs / ours for ours, theirs in zip(line.seconds, line.peer_seconds, strict=False)]
        return (
            line.title,
            f"{1000 * own:,.1f}",
            f"{own / median(look.seconds):,.3f}",
            f"{1000 * median(line.peer_seconds):,.1f}" if ratios else "",
            f"{median(ratios):,.1f}" if ratios else "",
            f"{_TEXT[line.strategy]:.2f}" if line.strategy in _TEXT else "",
        )

    return Table(
        title=title,
        caption="Milliseconds to choose (median), the same over the time it takes to look at the pool, milliseconds of "
        "scikit-activeml where it has the strategy and was installed, how many times longer it takes (median of pairs, one right "
        "after the other), and seconds of the text's table 3.1, of whole methods on another machine.",
        header=("strategy", "ms", "of looking", "scikit-activeml, ms", "times longer", "text, s"),
        rows=tuple(map(row, lines)),
    )
