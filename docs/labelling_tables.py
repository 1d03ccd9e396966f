"""Tables of the page on labelling, from what `benchmarks/rejected_images.py` wrote to `results/labelling`."""

import json
from pathlib import Path
from typing import Any

from hyperlearning.evaluation.intervals import estimate
from hyperlearning.reports import Section, Table

_KINDS = ("tests", "rest", "ours")
_SHOWN = (("tests", 40), ("tests", 100), ("tests", 200), ("rest", 200), ("ours", 200))


def labelling_sections(folder: Path) -> tuple[Section, ...]:
    """One table for each file."""
    return tuple(
        Section(title=f"`{path.stem}`", tables=(_table(json.loads(path.read_text())),))
        for path in sorted(folder.glob("*.json"))
    )


def _table(record: dict[str, Any]) -> Table:
    return Table(
        title=f"`{record['command'].partition(' --json')[0]}`",
        header=("asked by", *(f"{kind}, {num}" for kind, num in _SHOWN)),
        rows=tuple((row["title"], *(_cell(row, kind, num) for kind, num in _SHOWN)) for row in record["rows"]),
    )


def _cell(row: dict[str, Any], kind: str, num: int) -> str:
    known = estimate([life[row["answers"].index(num)][_KINDS.index(kind)] for life in row["lives"]])
    return f"{known.mean:.1f} ± {known.ci95:.1f}"
