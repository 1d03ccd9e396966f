"""The documentation's page on data says what the catalogue says."""

from pathlib import Path
from typing import Any

from hyperlearning.data import inventory
from hyperlearning.data.catalogue import CATALOGUE

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def test_the_table_is_the_catalogue(tmp_path: Path):
    shown = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| [")]
    rows = inventory.rows(CATALOGUE.values(), tmp_path)
    links = [f"[`{name}`]({entry.homepage})" for name, entry in CATALOGUE.items()]
    assert shown == [[link, *row[1:-1]] for link, row in zip(links, rows, strict=True)]


def test_the_example_runs():
    names: dict[str, Any] = {}
    for block in PAGE.split("```python\n")[1:]:
        exec(compile(block.split("```")[0], "docs/data.md", "exec"), names)
    assert len(names["digits"]) == len(names["digits"].labels)
