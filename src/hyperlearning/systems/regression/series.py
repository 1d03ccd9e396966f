"""A measured series of a user's own, learned piece by piece with a finished run."""

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.atomic_files import write_atomically, write_json
from hyperlearning.core.params import Params, count, on_default_device, stack_members
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.networks.backbones import mlp, mlp_width
from hyperlearning.reports.lives import series_figure
from hyperlearning.reports.page import Table
from hyperlearning.reports.style import png_bytes
from hyperlearning.streams.hyper_stream import Stream
from hyperlearning.systems.regression.lives import watch
from hyperlearning.systems.regression.methods import FINETUNE, plain_learner
from hyperlearning.systems.regression.trained import TrainedRun, open_run

_SCALE = 0.6
"""Measurements are scaled to within +-.6: trained functions reach +-.8, and a series may rise further later."""


class Series(NamedTuple):
    """A measured series, in order of its positions.

    Attributes:
        x: Positions, (N,), in any order.
        y: Measurements, (N,).
        x_name: What positions are.
        y_name: What measurements are.
    """

    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]
    x_name: str
    y_name: str


class LearnedSeries(NamedTuple):
    """A series learned piece by piece.

    Attributes:
        predictions: (T + 1, N) in the measurements' units, before learning and after each piece.
        baseline: Likewise for a finetuned plain MLP of the same plastic size.
        error_matrix: (T + 1, T), mean squared error in the measurements' units.
        baseline_error_matrix: Likewise.
    """

    predictions: Float[np.ndarray, "stages points"]
    baseline: Float[np.ndarray, "stages points"]
    error_matrix: Float[np.ndarray, "stages tasks"]
    baseline_error_matrix: Float[np.ndarray, "stages tasks"]


def learn_series(
    run: TrainedRun, x: Any, y: Any, *, num_tasks: int = 5, updates_per_task: int = 100, seed: int = 0
) -> LearnedSeries:
    """Learns any measured series piece by piece, each measurement met in its own piece alone.

    Positions are mapped linearly onto the trained domain, measurements onto +-.6. Pieces hold equally many points as nearly
    as can be; within a piece, single points are drawn with replacement.

    Args:
        run: A finished run.
        x: Positions, N numbers.
        y: Measurements, N numbers.
        num_tasks: Pieces, 2 or more and at most N.
        updates_per_task: Updates in each piece.
        seed: For the order of points within a piece.

    Raises:
        ValueError: If sizes differ, values are not finite or all equal, or there are too few points.
    """
    x, y = _checked_series(x, y, num_tasks, updates_per_task)
    order = np.argsort(x, kind="stable")
    scaled_x, scaled_y, scale = _into_domain(x[order], y[order])
    bounds = np.linspace(0, len(x), num_tasks + 1).round().astype(int)
    stream = _series_stream(scaled_x, scaled_y, bounds, updates_per_task, seed)
    width = mlp_width(count(run.start))
    network = mlp((1, width, width, 1), generator=torch.Generator(torch.get_default_device()).manual_seed(seed))
    plain, plain_start = plain_learner(network, FINETUNE)
    dan = _course(run.system.learner, run.start, run.innate, stream, scaled_x, updates_per_task)
    baseline = _course(plain, plain_start, {}, stream, scaled_x, updates_per_task)
    unsort = np.argsort(order, kind="stable")
    outputs = []
    for predictions in (dan, baseline):
        values = predictions.double().cpu().numpy() / _SCALE * scale[1] + scale[0]
        squared = (values - y[order]) ** 2
        matrix = np.stack([squared[:, a:b].mean(1) for a, b in pairwise(bounds)], axis=1)
        outputs.append((values[:, unsort], matrix))
    (predicted, matrix), (plain_predicted, plain_matrix) = outputs
    return LearnedSeries(predicted, plain_predicted, matrix, plain_matrix)


def _course(
    learner: Learner, start: Params, innate: Params, stream: Stream, x: Tensor, updates_per_task: int
) -> Float[Tensor, "stages points"]:
    """What one life predicts at all positions before learning and after each piece."""
    life = live(learner, stack_members(start, 1), innate, stream.inputs, stream.targets, every=updates_per_task)
    return watch(life, learner, innate, x[None, :, None])[:, 0]


def deploy_csv(
    record: RunRecord,
    file: Path,
    *,
    x: str | None,
    y: str | None,
    num_tasks: int,
    updates_per_task: int,
    out: Path,
) -> Table:
    """Learns a CSV file's series and writes `predictions.csv`, `errors.json` and `series.png` to a folder.

    Returns:
        The error matrix beside the plain MLP's.

    Raises:
        ValueError: If the file or its columns cannot be used; the message says what was expected.
        RunError: If the run cannot be used.
    """
    series = read_series(file, x=x, y=y)
    out.mkdir(parents=True, exist_ok=True)
    learned = learn_series(open_run(record), series.x, series.y, num_tasks=num_tasks, updates_per_task=updates_per_task)
    columns = np.column_stack([series.x, series.y, learned.predictions[-1], learned.baseline[-1]])
    lines = [",".join((series.x_name, series.y_name, "dan", "mlp"))]
    lines += [",".join(f"{value:.8g}" for value in row) for row in columns]
    write_atomically(out / "predictions.csv", ("\n".join(lines) + "\n").encode())
    errors = {"dan": learned.error_matrix.tolist(), "mlp": learned.baseline_error_matrix.tolist()}
    write_json(out / "errors.json", {"run": str(record.path), "file": str(file), "mean_squared_error": errors})
    order = np.argsort(series.x, kind="stable")
    # A line needs increasing positions: repeated ones are drawn a billionth of the range apart.
    nudges = np.arange(len(order)) * np.ptp(series.x) * 1e-9
    picture = series_figure(
        series.x[order] + nudges,
        series.y[order],
        learned.predictions[:, order],
        learned.baseline[:, order],
        num_tasks=num_tasks,
        edges=_edges(series.x[order] + nudges, num_tasks),
        xlabel=series.x_name,
        ylabel=series.y_name,
    )
    write_atomically(out / "series.png", png_bytes(picture))
    return _series_table(learned, num_tasks)


def read_series(file: Path, *, x: str | None, y: str | None) -> Series:
    """Reads two columns of a CSV file with a header line.

    Raises:
        ValueError: If the file is absent or empty, a column is missing, or a value is not a number.
    """
    if not file.is_file():
        raise ValueError(f"Expected a CSV file, but got {file}, which does not exist.")
    with file.open(newline="", encoding="utf-8-sig") as opened:
        rows = [
            (line, row) for line, row in enumerate(csv.reader(opened), start=1) if any(cell.strip() for cell in row)
        ]
    header = [name.strip() for name in rows[0][1]] if rows else []
    if len(header) < 2 or len(rows) < 2:
        raise ValueError(f"Expected a header of two columns or more and rows below it in {file}.")
    if len(set(header)) < len(header):
        raise ValueError(f"Expected columns of different names in {file}, but got {header}.")
    names = (x or header[0], y or next(name for name in header if name != (x or header[0])))
    for name in names:
        if name not in header:
            raise ValueError(f"Expected columns among {header} in {file}, but got '{name}'.")
    picked = [header.index(name) for name in names]
    values = np.array([_numbers(row, picked, line, file) for line, row in rows[1:]])
    return Series(values[:, 0], values[:, 1], *names)


def _numbers(row: list[str], picked: list[int], line: int, file: Path) -> list[float]:
    try:
        return [float(row[column]) for column in picked]
    except (ValueError, IndexError) as error:
        raise ValueError(f"Expected numbers in line {line} of {file}, but got {row}.") from error


def _checked_series(x: Any, y: Any, num_tasks: int, updates_per_task: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    if len(x) != len(y):
        raise ValueError(f"Expected as many positions as measurements, but got {len(x)} and {len(y)}.")
    if num_tasks < 2 or updates_per_task < 1 or len(x) < num_tasks:
        raise ValueError(
            f"Expected 2 or more of `num_tasks`, positive `updates_per_task` and a point for each task, but got "
            f"{num_tasks}, {updates_per_task} and {len(x)} points."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("Expected finite positions and measurements, but got a NaN or an infinity.")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError("Expected positions and measurements that vary, but one of them is constant.")
    return x, y


def _into_domain(x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor, tuple[float, float]]:
    low, high = DOMAIN
    middle, half = (y.max() + y.min()) / 2, np.ptp(y) / 2
    scaled_x = low + (high - low) * (x - x.min()) / np.ptp(x)
    scaled_y = (y - middle) / half * _SCALE
    points, values = (on_default_device(torch.from_numpy(each).float()) for each in (scaled_x, scaled_y))
    return points, values, (float(middle), float(half))


def _series_stream(x: Tensor, y: Tensor, bounds: np.ndarray, updates_per_task: int, seed: int) -> Stream:
    source = torch.Generator(torch.get_default_device()).manual_seed(seed)
    picks = torch.cat(
        [
            torch.randint(int(a), int(b), (updates_per_task,), generator=source, device=source.device)
            for a, b in pairwise(bounds)
        ]
    )
    return Stream(x[picks][:, None, None, None], y[picks][:, None, None, None])


def _edges(x: np.ndarray, num_tasks: int) -> np.ndarray:
    """Where the pieces of an ordered series begin and end: halfway between neighbouring points."""
    inner = np.linspace(0, len(x), num_tasks + 1).round().astype(int)[1:-1]
    return np.array([x[0], *((x[inner - 1] + x[inner]) / 2), x[-1]])


def _series_table(learned: LearnedSeries, num_tasks: int) -> Table:
    header = ("mean squared error", *(f"piece {task}" for task in range(1, num_tasks + 1)), "all")
    rows = [
        (title, *(f"{value:.4g}" for value in matrix[-1]), f"{matrix[-1].mean():.4g}")
        for title, matrix in (("DAN network", learned.error_matrix), ("plain MLP", learned.baseline_error_matrix))
    ]
    return Table(title="After the last piece", header=header, rows=tuple(rows))
