"""Tables of the page on speed, from what the benchmarks wrote to `results/speed`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hyperlearning.reports import Section, Table

Row = dict[str, Any]
Columns = dict[str, Callable[[Row], str]]


def speed_sections(folder: Path) -> tuple[Section, ...]:
    """One table for each file."""
    return tuple(
        Section(title=f"`{path.stem}`", tables=(_table(json.loads(path.read_text()), _columns(path.stem)),))
        for path in sorted(folder.glob("*.json"))
    )


def _table(record: dict[str, Any], columns: Columns) -> Table:
    return Table(
        title=f"{record['machine']}, torch {record['torch']}",
        header=tuple(columns),
        rows=tuple(tuple(cell(row) for cell in columns.values()) for row in record["rows"]),
    )


def _columns(name: str) -> Columns:
    if name.startswith("trajectory"):
        return _TRAJECTORY
    if name.startswith("meta-test"):
        return _META_TEST
    if name.startswith("deployment"):
        return _DEPLOYMENT
    if name.startswith("selfnet"):
        return _SELFNET
    if name.startswith("selection"):
        return _SELECTION
    return _IMAGES if "images" in name else _HYPER_STEP


def _speedup(row: Row) -> str:
    return f"{row['speedup']:.1f} ({row['speedup_low']:.1f}-{row['speedup_high']:.1f})"


_HYPER_STEP: Columns = {
    "population": lambda row: str(row["population"]),
    "threads": lambda row: str(row["threads"]),
    "engine": lambda row: row["variant"],
    "reference ms": lambda row: f"{row['reference_ms']:.2f}",
    "engine ms": lambda row: f"{row['engine_ms']:.2f}",
    "speed-up (80 %)": _speedup,
    "of peak": lambda row: f"{100 * row['peak_share']:.1f} %",
    "perfect ms": lambda row: f"{row['floor_ms']:.3f}",
}

_IMAGES: Columns = {**_HYPER_STEP, "images/s": lambda row: f"{row['images_per_second']:,.0f}"}

_TRAJECTORY: Columns = {
    "order": lambda row: row["order"],
    "threads": lambda row: str(row["threads"]),
    "reference s": lambda row: f"{row['reference_seconds']:.2f}",
    "engine s": lambda row: f"{row['seconds']:.2f}",
    "speed-up": _speedup,
    "of peak": lambda row: f"{100 * row['peak_share']:.0f} %",
    "perfect s": lambda row: f"{row['floor_seconds']:.2f}",
    "memory / reference": lambda row: f"{row['memory_ratio']:.2f}",
}

_META_TEST: Columns = {
    "features": lambda row: str(row["num_features"]),
    "outputs": lambda row: str(row["num_outputs"]),
    "threads": lambda row: str(row["threads"]),
    "reference s": lambda row: f"{row['reference_seconds']:.2f}",
    "engine s": lambda row: f"{row['seconds']:.2f}",
    "speed-up (80 %)": _speedup,
}

_DEPLOYMENT: Columns = {
    "life": lambda row: row["life"],
    "beside": lambda row: row["reference"],
    "observations/s": lambda row: f"{row['per_second']:,.0f}",
    "reference/s": lambda row: f"{row['reference_per_second']:,.0f}",
    "ratio (80 %)": lambda row: f"{row['ratio']:.2f} ({row['ratio_low']:.2f}-{row['ratio_high']:.2f})",
}

_SELFNET: Columns = {
    "what": lambda row: row["what"],
    "networks": lambda row: str(row["networks"]),
    "beside": lambda row: row["reference"] or "-",
    "s": lambda row: f"{row['seconds']:.3f}",
    "reference s": lambda row: "-" if row["reference_seconds"] is None else f"{row['reference_seconds']:.3f}",
    "ratio (80 %)": lambda row: (
        "-" if row["ratio"] is None else f"{row['ratio']:.1f} ({row['ratio_low']:.1f}-{row['ratio_high']:.1f})"
    ),
    "perfect s": lambda row: "-" if row["floor_seconds"] is None else f"{row['floor_seconds']:.4f}",
    "of perfect": lambda row: "-" if row["floor_share"] is None else f"{100 * row['floor_share']:.0f} %",
}

_SELECTION: Columns = {
    "strategy": lambda row: row["strategy"],
    "pool": lambda row: f"{row['num_pool']:,}",
    "features": lambda row: str(row["num_features"] or "-"),
    "classes": lambda row: str(row["num_classes"]),
    "wanted": lambda row: f"{row['num_wanted']:,}",
    "s": lambda row: f"{row['seconds']:.3f}",
    "reference s": lambda row: _number(row["reference_seconds"], ".3f"),
    "ratio (80 %)": lambda row: (
        "-" if row["ratio"] is None else f"{row['ratio']:.1f} ({row['ratio_low']:.1f}-{row['ratio_high']:.1f})"
    ),
    "MB / reference": lambda row: f"{_number(row['memory_mb'], '.0f')} / {_number(row['reference_memory_mb'], '.0f')}",
    "quality, lower is better": lambda row: row["quality"] or "-",
    "ours / reference": lambda row: f"{_number(row['value'], '.4g')} / {_number(row['reference_value'], '.4g')}",
}


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
