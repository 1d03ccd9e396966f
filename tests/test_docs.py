"""What the README and the tutorial show is run as it stands there."""

import re
import shlex
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from rich.console import Console

from hyperlearning.cli import run_command

ROOT = Path(__file__).parents[1]
matplotlib.use("Agg")


def blocks_of(page: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return [block for its_language, block in fenced if its_language == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to write to, in which `results` is the repository's."""
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_library_example_of_the_readme_learns_and_saves(folder: Path):
    names: dict[str, Any] = {}
    for block in blocks_of("README.md", "python"):
        exec(compile(block, "README.md", "exec"), names)
    assert (folder / "life.safetensors").exists()


def test_the_tutorial_runs_from_top_to_bottom_and_its_series_is_kept_better_than_by_a_plain_network(folder: Path):
    first, *others = blocks_of("docs/tutorial.md", "python")
    names: dict[str, Any] = {}
    exec(compile(first, "docs/tutorial.md", "exec"), names)
    command = next(b for b in blocks_of("docs/tutorial.md", "") if "ridge.csv" in b)
    assert run_command(shlex.split(command)[1:], Console(quiet=True)) == 0
    assert (folder / "ridge" / "series.png").exists()
    for block in others:
        exec(compile(block, "docs/tutorial.md", "exec"), names)
    learned = names["learned"]
    assert np.mean(learned.error_matrix[-1]) < np.mean(learned.baseline_error_matrix[-1])


def test_the_examples_of_the_page_on_conversion_run_and_print_what_it_shows(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    names: dict[str, Any] = {}
    for block in blocks_of("docs/convert.md", "python"):
        exec(compile(block, "docs/convert.md", "exec"), names)
    assert capsys.readouterr().out == "".join(blocks_of("docs/convert.md", "text"))


def test_the_readme_holds_the_two_commands_on_lines_of_their_own():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert "pip install -e . && hyperlearning run incremental-regression" in lines
    assert "pip install -e '.[dev]' && pytest" in lines
