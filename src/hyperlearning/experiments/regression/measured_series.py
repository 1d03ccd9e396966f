"""Measured series: which life serves one best shows before it has been learned.

Claim (ours): given a measured series piece by piece, the life with the lowest error before learning, each point predicted before
it was met, is at its end the best on points that it never met, or nearly. Beside the hyper-trained network stand readouts that
are solved, one that descends by normalised steps, and plain networks with and without replay.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Annotated, ClassVar

import numpy as np
from rich.console import Console

from hyperlearning.core.expect import AtLeast, Count, Seed, Within, check_ranges
from hyperlearning.core.settings import absent
from hyperlearning.data.prepared import data_root
from hyperlearning.data.sample_series import SampleSeries, sample_series
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.shipped import SERIES, shipped
from hyperlearning.systems.regression.series import LivedSeries, SeriesSettings, learn_series
from hyperlearning.systems.regression.trained import TrainedRun, load_run


@dataclass(frozen=True, kw_only=True)
class Config:
    """Give many series to all lives."""

    folder: str = ""
    """Folder of tables `*.csv` with two columns each; `series` of the data root if absent. Without it, the series that come with
    matplotlib alone."""
    run: str = ""
    """The finished run whose network lives; the one that comes with the package if absent."""
    num_seeds: Annotated[int, AtLeast(2)] = 3
    """Orders within pieces, first weights, and choices of what is held out."""
    hold_out: Annotated[float, Within(0.01, 0.9)] = 0.2
    """Share of the points that no life meets."""
    most_series: Count = 1000
    """Series in all, the first ones."""
    most_points: Count = 5000
    """Points of a series, the first ones."""
    num_tasks: Annotated[int, AtLeast(2)] = 5
    """Pieces of a series."""
    seed: Seed = 0
    """The first seed; the others follow."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def series(self) -> Iterator[SampleSeries]:
        """The series."""
        folder = Path(self.folder) if self.folder else data_root() / "series"
        yield from islice(sample_series(folder if self.folder or folder.is_dir() else None), self.most_series)


@dataclass(frozen=True, kw_only=True)
class LifeOnSeries:
    """How one life fared, in standard deviations of the series.

    Attributes:
        name: The life's key.
        title: What a figure calls it.
        before: Root mean square error of points as they were met first; absent where all pieces were mixed.
        held_out: At the end, of points that were never met.
        num_stored: Numbers that it keeps.
    """

    name: str
    title: str
    before: float | None = absent()
    held_out: float
    num_stored: int


@dataclass(frozen=True, kw_only=True)
class SeriesLine:
    """A series with one seed.

    Attributes:
        series: Its name.
        seed: The seed.
        num_points: Its points.
        lives: All lives.
    """

    kind: ClassVar[str] = "series"

    series: str
    seed: int
    num_points: int
    lives: list[LifeOnSeries] = field(default_factory=list)


PRESETS: dict[str, Config] = {
    "quick": Config(),
    "smoke": Config(num_seeds=2, most_series=2, most_points=60, num_tasks=3),
}


def check(config: Config) -> None:
    """Raises if a series or the run cannot be read, before a run exists."""
    for _ in config.series:
        pass
    load_run(config.run or shipped(SERIES))


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Gives every series to all lives, seed by seed; what the record has is not lived again."""
    trained = load_run(config.run or shipped(SERIES))
    every = [(series, config.seed + number) for series in config.series for number in range(config.num_seeds)]
    with reporting(console, "lives", len(every), "series") as report:
        for done, (series, seed) in enumerate(every, start=1):
            record.once(
                SeriesLine,
                {"series": series.name, "seed": seed},
                lambda series=series, seed=seed: _line(config, trained, series, seed),
            )
            report(done, series.name)


def _line(config: Config, trained: TrainedRun, series: SampleSeries, seed: int) -> SeriesLine:
    x, y = series.x[: config.most_points], series.y[: config.most_points]
    settings = SeriesSettings(num_tasks=config.num_tasks, hold_out=config.hold_out, seed=seed)
    learned = learn_series(trained, x, y, is_time=series.is_time, settings=settings)
    deviation = float(np.std(y))
    lives = [_life(life, deviation) for life in learned.lives]
    return SeriesLine(series=series.name, seed=seed, num_points=len(x), lives=lives)


def _life(life: LivedSeries, deviation: float) -> LifeOnSeries:
    assert life.held_out is not None
    return LifeOnSeries(
        name=life.name,
        title=life.title,
        before=None if life.before is None else round(life.before / deviation, 6),
        held_out=round(life.held_out / deviation, 6),
        num_stored=life.num_stored,
    )


_MEASURES = (
    Measure(name="held_out", title="points never met", unit="standard deviations", lower_is_better=True),
    Measure(name="before", title="before learning", unit="standard deviations", lower_is_better=True),
)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every life on every series, a mean over seeds a series: those are no series of their own."""
    refuse_further(record, further)
    config, lines = record.settings(Config), record.lines(SeriesLine)
    by_series = {line.series: [other for other in lines if other.series == line.series] for line in lines}
    facts = {
        "kind": "measured series",
        "series": tuple(by_series),
        "num_seeds": config.num_seeds,
        "hold_out": config.hold_out,
        "most_points": config.most_points,
        "num_tasks": config.num_tasks,
        "seed": config.seed,
    }
    names = {life.name: life.title for life in lines[0].lives}
    systems = tuple(_fared(name, title, list(by_series.values())) for name, title in names.items())
    title = f"{len(by_series)} measured series"
    return Entry(measures=_MEASURES, met=(MetLives(title=title, facts=facts, systems=systems),))


def _fared(name: str, title: str, by_series: list[list[SeriesLine]]) -> Fared:
    own = [[life for line in lines for life in line.lives if life.name == name] for lines in by_series]
    scores = {"held_out": [fmean(life.held_out for life in lives) for lives in own]}
    before = [[life.before for life in lives if life.before is not None] for lives in own]
    if all(before):
        scores["before"] = [fmean(errors) for errors in before]
    return Fared(system=name, title=title, enters=name == "dan", scores=scores)


EXPERIMENT = Experiment(
    claim="Which life serves a measured series best shows in the error before learning.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
