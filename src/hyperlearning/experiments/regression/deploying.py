"""`deploy` on a measured series of a user's own: from a table to a page of all lives."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from hyperlearning.core.atomic_files import check_is_folder_to_be, write_together
from hyperlearning.data.tables import MeasuredSeries, read_series, series_csv
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.experiment import Answer, Verb
from hyperlearning.experiments.shipped import is_shipped
from hyperlearning.reports.page import Page, Section, Table, render_page
from hyperlearning.systems.regression.series import LearnedSeries, SeriesSettings, learn_series
from hyperlearning.systems.regression.series_page import SeriesWords, lives_table, series_page, verdict
from hyperlearning.systems.regression.trained import open_run


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the table is read, where it is not to be recognised."""

    delimiter: str | None = None
    """What separates cells: one character, `tab` or `space`."""
    decimal: Literal[".", ","] | None = None
    """The decimal mark."""
    thousands: str | None = None
    """What groups digits: one character or `space`."""
    encoding: str | None = None
    """Such as utf-8, latin-1 or utf-16."""
    comment: str | None = None
    """What lines of comment begin with; empty if there are none."""
    missing: Literal["refuse", "drop"] = "refuse"
    """Whether rows with missing or infinite cells are refused, or left out and counted."""


@dataclass(frozen=True, kw_only=True)
class DeployOnSeries:
    """Options of `deploy`."""

    file: tyro.conf.Positional[Path]
    """A table with a header line: CSV, TSV or Parquet; `-` for standard input."""
    x: str = ""
    """Column of positions; the first if absent."""
    y: tuple[str, ...] = ()
    """Columns of measurements, each lived on its own; the first other column of numbers if absent."""
    out: Path | None = None
    """Folder of the outputs; called after the file, beside it, if absent."""
    reading: tyro.conf.OmitArgPrefixes[Reading] = field(default_factory=Reading)
    lives: tyro.conf.OmitArgPrefixes[SeriesSettings] = field(default_factory=SeriesSettings)


def _deploy(record: RunRecord, options: DeployOnSeries) -> Answer:
    run, file = open_run(record), options.file
    if file.is_dir():
        raise ValueError(
            f"Expected a table, which runs of {record.experiment} learn, but {file} is a folder. A folder of images is learned "
            f"without this run, by `hyperlearning deploy {file}`."
        )
    out = options.out or (Path("series-learned") if str(file) == "-" else _beside(file))
    check_is_folder_to_be(out)
    series = read_series(file, x=options.x or None, y=options.y, **asdict(options.reading))
    places = [f"{text} (line {line})" for text, line in zip(series.x_text, series.lines, strict=True)]
    learned = [
        learn_series(run, series.x, y, is_time=series.is_time, places=places, settings=options.lives)
        for y in series.y.T
    ]
    name = "standard input" if str(file) == "-" else file.name
    command = _command(record, "-" if str(file) == "-" else name, options)
    pages = [_page(command, name, series, number, lived) for number, lived in enumerate(learned)]
    page = pages[0] if len(pages) == 1 else _together(name, pages, series.y_names)
    facts = _facts(record, name, series, learned)
    write_together(out, dict(_files(series, learned, page, facts)))
    tables = [lives_table(lived, y_name) for lived, y_name in zip(learned, series.y_names, strict=True)]
    said = [*series.said, *learned[0].said, *(verdict(lived) for lived in learned)]
    return Answer(table=_joined(tables), values=facts, note="\n".join([*said, f"Page, predictions and errors: {out}"]))


def _beside(file: Path) -> Path:
    return file.with_suffix("") if file.suffix else file.with_name(f"{file.name}-learned")


def _page(command: str, name: str, series: MeasuredSeries, number: int, learned: LearnedSeries) -> Page:
    words = SeriesWords(
        title=f"{name}, learned piece by piece",
        x_name=series.x_name,
        y_name=series.y_names[number],
        read=series.said,
        first_day=None
        if series.stamps is None
        else float((series.stamps[0] - np.datetime64(0, "s")) / np.timedelta64(1, "D")),
        command=command,
    )
    return series_page(series.x, series.y[:, number], learned, words)


def _command(record: RunRecord, name: str, options: DeployOnSeries) -> str:
    """What repeats it, wherever the file lies."""
    flags = []
    for group in (options, options.reading, options.lives):
        for setting in fields(group):
            value = getattr(group, setting.name)
            if setting.name not in ("file", "out", "reading", "lives") and value != setting.default:
                flags += [
                    f"--{setting.name.replace('_', '-')}",
                    *map(str, value if isinstance(value, tuple) else [value]),
                ]
    run = [] if is_shipped(record.path) else [str(record.path)]
    return shlex.join(["hyperlearning", "deploy", *run, name, *flags])


def _together(name: str, pages: list[Page], y_names: tuple[str, ...]) -> Page:
    """One page of several columns: the first section of each, in order."""
    sections = [
        Section(
            title=y_name,
            paragraphs=(page.lead, *page.sections[0].paragraphs),
            pictures=page.sections[0].pictures,
            tables=page.sections[0].tables,
        )
        for page, y_name in zip(pages, y_names, strict=True)
    ]
    return Page(
        title=f"{name}, learned piece by piece",
        lead=f"{len(pages)} columns, each lived on its own.",
        sections=tuple(sections),
        command=pages[0].command,
    )


def _files(
    series: MeasuredSeries, learned: list[LearnedSeries], page: Page, facts: dict[str, Any]
) -> Iterator[tuple[str, bytes]]:
    yield "report.html", render_page(page).encode()
    pictures = [picture for section in page.sections for picture in section.pictures]
    for picture, y_name in zip(pictures, series.y_names, strict=True):
        suffix = "" if len(pictures) == 1 else f"-{series.y_names.index(y_name) + 1}"
        yield f"series{suffix}.png", picture.content
    yield "predictions.csv", _predictions(series, learned)
    yield "errors.json", (json.dumps(facts, indent=2, allow_nan=False) + "\n").encode()


def _facts(record: RunRecord, name: str, series: MeasuredSeries, learned: list[LearnedSeries]) -> dict[str, Any]:
    """Errors in the measurements' units, and what each life keeps."""
    errors = {
        y_name: {
            life.name: {
                "before_learning": life.before,
                "at_the_end": life.after,
                "held_out": life.held_out,
                "by_piece": life.by_piece.tolist(),
                "numbers_kept": life.num_stored,
            }
            for life in lived.lives
        }
        for y_name, lived in zip(series.y_names, learned, strict=True)
    }
    return {
        "run": str(record.path),
        "file": name,
        "best": {y: lived.best.name for y, lived in zip(errors, learned, strict=True)},
        "root_mean_square_error": errors,
    }


def _predictions(series: MeasuredSeries, learned: list[LearnedSeries]) -> bytes:
    """What every life predicts after the last piece, row by row as they were read; positions as they stood in the file."""
    outputs = {}
    for y_name, lived in zip(series.y_names, learned, strict=True):
        for life in sorted(lived.lives, key=lambda life: life.name):
            outputs[life.name if len(learned) == 1 else f"{life.name} of {y_name}"] = life.predictions[-1]
    return series_csv(series, outputs)


def _joined(tables: list[Table]) -> Table:
    """Tables of several columns as one, for a terminal."""
    if len(tables) == 1:
        return tables[0]
    rows = [(table.title.rpartition(" of ")[2], *row) for table in tables for row in table.rows]
    return Table(
        title="All lives on the same streams: root mean square error",
        header=("column", *tables[0].header),
        rows=tuple(rows),
    )


DEPLOY = Verb(
    "Learns a measured series piece by piece with the run's phenotype, beside all that it must stand beside.",
    DeployOnSeries,
    _deploy,
)
