"""The page of `selfnet-robustness`, from its record alone."""

from collections.abc import Sequence
from statistics import fmean

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.experiments.selfnet.selfnet_robustness import DisturbedLine
from hyperlearning.reports import Curve, Page, Section, Table, curves_figure, picture

_CLAIMED = 0.997
_LOST = 0.01
"""Accuracy that a network may lose and still do nearly as well."""


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    lines = record.lines(DisturbedLine)
    sets = {line.dataset: line.set_title for line in lines}
    return Page(
        title="How much a network may differ",
        lead="Trained networks were disturbed by more and more, in several ways, and tested. The claim is of a cosine of "
        f"{_CLAIMED}: above it nothing is lost.",
        facts={
            f"{line.set_title}, as trained": f"{100 * fmean(line.undisturbed):.1f} %"
            for line in lines
            if line.perturbation == "noise"
        },
        sections=(
            _glance(lines),
            *(_set_section(title, [line for line in lines if line.dataset == name]) for name, title in sets.items()),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _lost(line: DisturbedLine) -> list[float]:
    """Accuracy lost at every level, a mean over networks and draws, in points."""
    before = fmean(line.undisturbed)
    return [100 * (before - fmean(scores)) for scores in line.accuracies]


def _near(line: DisturbedLine) -> list[float]:
    return [fmean(values) for values in line.cosines]


def _first_lost(line: DisturbedLine) -> str:
    """The cosine of the first level at which a point is lost."""
    for near, lost in zip(_near(line), _lost(line), strict=True):
        if lost > 100 * _LOST:
            return f"{near:.4f}"
    return "none"


def _curve(line: DisturbedLine) -> Curve:
    """Accuracy lost by one minus the cosine, from little to much."""
    points = sorted((max(1 - near, 1e-6), lost) for near, lost in zip(_near(line), _lost(line), strict=True))
    return Curve([x for x, _ in points], [y for _, y in points])


def _glance(lines: Sequence[DisturbedLine]) -> Section:
    noise = [line for line in lines if line.perturbation == "noise"]
    figure = curves_figure(
        {line.set_title: _curve(line) for line in noise},
        xlabel="1 - cosine to the trained weights",
        ylabel="points of accuracy lost",
        log_x=True,
    )
    ways = list(dict.fromkeys(line.perturbation for line in lines))
    sets = list(dict.fromkeys(line.dataset for line in lines))
    found = {(line.dataset, line.perturbation): line for line in lines}
    table = Table(
        title="The cosine at which a point of accuracy is lost",
        caption="Mean cosine of the first level at which networks lose more than a point, a mean over networks and draws."
        " None: at no level.",
        header=("what disturbs", *(found[name, ways[0]].set_title for name in sets)),
        rows=tuple((found[sets[0], way].title, *(_first_lost(found[name, way]) for name in sets)) for way in ways),
    )
    title = "Accuracy lost under noise"
    return Section(
        title="At a glance",
        pictures=(picture(title, "Means over networks and draws.", figure),),
        tables=(table,),
    )


def _set_section(title: str, lines: Sequence[DisturbedLine]) -> Section:
    figure = curves_figure(
        {line.title: _curve(line) for line in lines},
        xlabel="1 - cosine to the trained weights",
        ylabel="points of accuracy lost",
        log_x=True,
    )
    before = f"{100 * fmean(lines[0].undisturbed):.1f}"
    tables = tuple(
        Table(
            title=f"{line.title}: {line.note}",
            header=("level", *(f"{level:g}" for level in line.levels)),
            rows=(
                ("mean cosine", *(f"{near:.4f}" for near in _near(line))),
                ("accuracy, percent", *(f"{100 * fmean(scores):.1f}" for scores in line.accuracies)),
                ("the worst", *(f"{100 * min(scores):.1f}" for scores in line.accuracies)),
            ),
        )
        for line in lines
    )
    text = f"As they were trained, networks are right on {before} percent of test images."
    return Section(
        title=title,
        paragraphs=(text,),
        pictures=(picture(f"Accuracy lost: {title}", "Means over networks and draws.", figure),),
        tables=tables,
    )
