"""What the README and the tutorial show is run as it stands there."""

import ast
import importlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from rich.console import Console
from tests.systems.active.folders import truth, write_pictures

from hyperlearning.cli import run_command
from hyperlearning.engine.run_record import Made, RunRecord
from hyperlearning.experiments import registry
from hyperlearning.experiments.publish import publish
from hyperlearning.systems.active.labelling.command import ExportLabelling, LabelFolder, export, label

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


def test_the_example_of_choosing_a_life_runs_and_fits(folder: Path, capsys: pytest.CaptureFixture[str]):
    names: dict[str, Any] = {}
    (block,) = blocks_of("docs/choosing.md", "python")
    exec(compile(block, "docs/choosing.md", "exec"), names)
    x = names["torch"].tensor([[2.0], [7.0]])
    assert (names["life"].predict(x) - x.sin()).abs().max() < 0.01


def test_a_module_of_ones_own_is_written_as_the_page_says():
    (block,) = blocks_of("docs/hypernetworks.md", "python")
    made: dict[str, Any] = {}
    exec(compile(block, "docs/hypernetworks.md", "exec"), made)
    assert made["logits"].shape == (3, 100, 2)


def test_the_example_of_a_store_of_networks_runs_and_says_its_bytes(capsys: pytest.CaptureFixture[str]):
    names: dict[str, Any] = {}
    for block in blocks_of("docs/experiments/selfnet-compression.md", "python"):
        exec(compile(block, "docs/experiments/selfnet-compression.md", "exec"), names)
    assert 0 < int(capsys.readouterr().out) < 4 * 10 * 692
    assert isinstance(names["network"], names["nn"].Sequential)


def test_the_example_of_a_store_of_several_architectures_keeps_to_its_budget(capsys: pytest.CaptureFixture[str]):
    (block,) = blocks_of("docs/experiments/selfnet-splits.md", "python")
    exec(compile(block, "docs/experiments/selfnet-splits.md", "exec"), {})
    assert 0 < int(capsys.readouterr().out.split()[-1]) < 20_000


def test_the_tutorial_runs_from_top_to_bottom_and_its_series_is_kept_better_than_by_a_plain_network(folder: Path):
    first, *others = blocks_of("docs/tutorial.md", "python")
    names: dict[str, Any] = {}
    exec(compile(first, "docs/tutorial.md", "exec"), names)
    command = next(b for b in blocks_of("docs/tutorial.md", "") if "ridge.csv" in b)
    assert run_command(shlex.split(command)[1:], Console(quiet=True)) == 0
    assert (folder / "ridge" / "series.png").exists()
    for block in others:
        exec(compile(block, "docs/tutorial.md", "exec"), names)
        if "life.save" in block:
            kept = names["life"].predict(names["torch"].tensor([[-4.0], [0.0], [4.0]]))
            assert kept.flatten().tolist() == pytest.approx([0.378, 0, -0.378], abs=0.05)
    learned = names["learned"]
    assert learned["dan"].after < learned["mlp"].after


def test_the_examples_of_the_page_on_conversion_run_and_print_what_it_shows(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    names: dict[str, Any] = {}
    for block in blocks_of("docs/convert.md", "python"):
        exec(compile(block, "docs/convert.md", "exec"), names)
    assert capsys.readouterr().out == "".join(blocks_of("docs/convert.md", "text"))


def test_the_example_of_an_experiment_shows_its_claim_and_leaves_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (block,) = blocks_of("docs/contributing.md", "python")
    (tmp_path / "example_of_an_experiment.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    experiment = importlib.import_module("example_of_an_experiment").EXPERIMENT
    config, made = experiment.presets["smoke"], Made(preset="smoke", command="hyperlearning run order smoke")
    experiment.check(config)
    record = RunRecord.create(tmp_path, "order", "smoke", config, made=made)
    experiment.run(config, record, Console(quiet=True))
    lines = (record.path / "metrics.jsonl").read_text()
    page = experiment.report(record)
    assert "data:image/png" in publish(page, record).read_text()
    table = page.sections[0].tables[0]
    errors = {order: float(error.split(" ± ")[0]) for order, error in table.rows}
    assert errors["shuffled"] < errors["left to right"] / 3
    experiment.run(config, record, Console(quiet=True))
    assert (record.path / "metrics.jsonl").read_text() == lines


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_page_begins_with_claim_and_verdict_and_has_a_place_for_what_the_records_say(name: str):
    page = (ROOT / "docs" / "experiments" / f"{name}.md").read_text()
    head, _, rest = page.partition("<!-- begin of at a glance, written by docs/generate.py -->")
    assert re.fullmatch(r"# .+\n\n\*\*(Claims?|Question)\*\* \(.+\n\n\*\*Verdict\.\*\* .+\n\n", head, re.DOTALL)
    assert len(re.findall(r"\.\s", head.partition("**Verdict.**")[2])) == 2
    assert "<!-- begin of results, written by docs/generate.py -->" in rest
    assert page.count("<details markdown>") == page.count("</details>") == page.count("<summary>")


def test_pictures_that_pages_link_to_are_there():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())]
    assert links
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).is_file()] == []


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The generator, on files of its own."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    module = importlib.import_module("generate")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def test_a_block_stands_between_its_markers_and_a_check_writes_nothing(generate: Any, tmp_path: Path):
    page = tmp_path / "page.md"
    begin, end = (f"<!-- {word} of results, written by docs/generate.py -->" for word in ("begin", "end"))
    page.write_text(before := f"Head\n{begin}\nold\n{end}\nTail\n")
    block = generate.Block("page.md", "results", "new\\1\n")
    assert generate._update(block, check=True)
    assert page.read_text() == before
    assert generate._update(block, check=False)
    assert page.read_text() == f"Head\n{begin}\n\nnew\\1\n\n{end}\nTail\n"
    assert not generate._update(block, check=True)


def test_a_page_without_markers_is_refused(generate: Any, tmp_path: Path):
    (tmp_path / "page.md").write_text("No marker.\n")
    with pytest.raises(ValueError, match="Expected lines that say 'begin of results'"):
        generate._update(generate.Block("page.md", "results", ""), check=False)


def test_of_runs_that_differ_in_seed_alone_one_is_shown(generate: Any):
    paths = sorted((ROOT / "results" / "incremental-regression").glob("*-seed*"))
    shown = [record.path.name for record in generate._unlike([RunRecord(path) for path in paths])]
    assert shown == ["best-seed0", "quick-seed0"]


def test_the_generator_knows_no_experiment_by_name():
    source = (ROOT / "docs" / "generate.py").read_text()
    assert [name for name in registry.NAMES if name in source] == []


def test_the_readme_holds_the_two_commands_on_lines_of_their_own():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert "pip install -e . && hyperlearning run incremental-regression" in lines
    assert "pip install -e '.[dev]' && pytest" in lines


def test_the_example_of_an_oracle_labels_digits(capsys: pytest.CaptureFixture[str]):
    *_, block = blocks_of("docs/labelling.md", "python")
    exec(compile(block, "docs/labelling.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["20", "40", "60", "80", "100"]
    assert float(lines[-1].split()[2]) > 0.75


def test_the_page_on_labelling_labels_a_folder_from_python_and_its_model_says_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_pictures(folder / "photographs", per_class=9)
    restoring, asking, _ = blocks_of("docs/labelling.md", "python")
    monkeypatch.setattr("builtins.input", truth)
    exec(compile(asking, "docs/labelling.md", "exec"), {})
    said = ast.literal_eval(capsys.readouterr().out)
    assert len(said) == 27
    assert sum(label == truth(path) for path, label in said.items()) > 20
    options = LabelFolder(folder=folder / "photographs", budget=8, ask="terminal", into=folder / "FOLDER-labels")
    label(options, lambda text: None, io.StringIO("a\nb\nc\na\nb\nc\na\nb\n").readline)
    export(ExportLabelling(path=folder / "FOLDER-labels"))
    (folder / "FOLDER").symlink_to(folder / "photographs")
    exec(compile(restoring, "docs/labelling.md", "exec"), {})
    assert len(ast.literal_eval(capsys.readouterr().out)) == 5
