"""The page of `measured-series`, from its record alone."""

from collections.abc import Mapping
from statistics import fmean, median

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.publish import footer_of
from hyperlearning.experiments.regression.measured_series import LifeOnSeries, SeriesLine
from hyperlearning.reports import Page, Section, Table, methods_figure, short_number
from hyperlearning.systems.regression.page_parts import picture

_NEARLY = 1.05
"""Times the best error that is as good as the best."""

BySeries = Mapping[str, list[SeriesLine]]


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    by_series: dict[str, list[SeriesLine]] = {}
    for line in record.lines(SeriesLine):
        by_series.setdefault(line.series, []).append(line)
    ratios = {name: _ratio(lines) for name, lines in by_series.items()}
    good = sum(ratio <= _NEARLY for ratio in ratios.values())
    return Page(
        title="Measured series",
        lead=f"On {good} of {len(ratios)} measured series, the life with the lowest error before learning was at its end the "
        "best on points that no life had met, or within 5 % of the best.",
        facts={
            "chosen before learning, error / best": f"{median(ratios.values()):.3f} (median)",
            "the hyper-trained network's": f"{median(_ratio_of(lines, 'dan') for lines in by_series.values()):.2f} (median)",
        },
        sections=(_glance(by_series), _series_section(by_series, ratios)),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _glance(by_series: BySeries) -> Section:
    """Every life's error on points never met, as a multiple of the best life's, over all series."""
    lives = {life.name: life for lines in by_series.values() for life in lines[0].lives if life.before is not None}
    ratios = {name: [_ratio_of(lines, name) for lines in by_series.values() if _has(lines, name)] for name in lives}
    names = sorted(lives, key=lambda name: median(ratios[name]))
    rows = tuple(
        (
            lives[name].title,
            f"{median(ratios[name]):.2f}",
            str(sum(ratio <= _NEARLY for ratio in ratios[name])),
            str(sum(_chosen(lines) == name for lines in by_series.values())),
            str(len(ratios[name])),
            f"{lives[name].num_stored:,}",
        )
        for name in names
    )
    table = Table(
        title=f"Lives on {len(by_series)} measured series",
        header=("life", "error / best, median", "best or within 5 %", "chosen", "series", "numbers kept"),
        rows=rows,
        caption="Root mean square error on points never met, at the end of life, divided by the best life's on that series; "
        "means over seeds. Chosen: it had the lowest error before learning, which needs no held-out points.",
    )
    figure = methods_figure(
        {lives[name].title: estimate(ratios[name]) for name in names}, xlabel="error / best life's", log=True
    )
    shown = picture(
        "Error on points never met, as a multiple of the best life's",
        "Dots: means over series; bars: 95 % intervals.",
        figure,
        alt="Error of every life relative to the best",
    )
    return Section(title="At a glance", pictures=(shown,), tables=(table,))


def _series_section(by_series: BySeries, ratios: Mapping[str, float]) -> Section:
    rows = tuple(
        (
            name,
            f"{lines[0].num_points:,}",
            _title(lines, chosen := _chosen(lines)),
            short_number(_held_out(lines, chosen)),
            _title(lines, best := _best(lines)),
            short_number(_held_out(lines, best)),
            f"{ratios[name]:.3f}",
            short_number(_held_out(lines, "dan")),
        )
        for name, lines in by_series.items()
    )
    header = (
        "series",
        "points",
        "chosen before learning",
        "its error",
        "best",
        "its error",
        "ratio",
        "DAN network's error",
    )
    return Section(
        title="Series by series",
        tables=(
            Table(
                title="Root mean square error on points never met",
                header=header,
                rows=rows,
                caption="In standard deviations of the series, means over seeds. Near 1 nothing was learned: such a series wants "
                "features that no life here has, for instance its period (`--periods`).",
            ),
        ),
    )


def _has(lines: list[SeriesLine], name: str) -> bool:
    return any(life.name == name for life in lines[0].lives)


def _each(lines: list[SeriesLine], name: str) -> list[LifeOnSeries]:
    return [life for line in lines for life in line.lives if life.name == name]


def _held_out(lines: list[SeriesLine], name: str) -> float:
    return fmean(life.held_out for life in _each(lines, name))


def _title(lines: list[SeriesLine], name: str) -> str:
    return _each(lines, name)[0].title


def _names(lines: list[SeriesLine]) -> list[str]:
    return [life.name for life in lines[0].lives if life.before is not None]


def _chosen(lines: list[SeriesLine]) -> str:
    return min(_names(lines), key=lambda name: fmean(life.before or 0.0 for life in _each(lines, name)))


def _best(lines: list[SeriesLine]) -> str:
    return min(_names(lines), key=lambda name: _held_out(lines, name))


def _ratio_of(lines: list[SeriesLine], name: str) -> float:
    return _held_out(lines, name) / _held_out(lines, _best(lines))


def _ratio(lines: list[SeriesLine]) -> float:
    return _ratio_of(lines, _chosen(lines))
