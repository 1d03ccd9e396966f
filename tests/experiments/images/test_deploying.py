"""`deploy` on folders as users have them: with a run or without, all outputs or none, nothing lost unsaid."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tests.experiments.images.folders import write_digits

from hyperlearning.cli import run_command

OUTPUTS = {"report.html", "picture.png", "predictions.csv", "errors.json"}


def call(*arguments: str) -> int:
    return run_command(list(arguments), Console(width=200))


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    return write_digits(tmp_path / "digits", ("nought", "one", "two, or Z", "日$x$"))


def test_a_folder_is_learned_without_a_run(digits: Path, capsys: pytest.CaptureFixture[str]):
    (digits / "one" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    wide = np.full((60, 120, 3), 250, np.uint8)
    wide[20:40, 20:100] = 30
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(wide).save(digits / "two, or Z" / "photo.jpg", exif=turned)
    assert call("deploy", str(digits), "--seed", "3") == 0
    shown, out = capsys.readouterr().out, digits.with_name("digits-learned")
    assert "1 file could not be read: one/broken.png" in shown
    assert "turned as their EXIF says" in shown
    assert "the ground is light" in shown.lower()
    *_, verdict, place = shown.strip().splitlines()
    assert "served these images best" in verdict
    assert place == f"Page, predictions and errors: {out}"
    assert {path.name for path in out.iterdir()} == OUTPUTS
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 6 + 1
    names = {path.name for path in digits.iterdir()}
    assert {row["class"] for row in rows} == names
    assert {row["dan"] for row in rows} <= names
    assert sum(row["learned"] == "learned" for row in rows) == 4 * 3
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "hyperlearning deploy digits --seed 3" in page
    assert "日$x$" in page


def test_errors_are_strict_json_and_agree_with_the_predictions(digits: Path, capsys: pytest.CaptureFixture[str]):
    Image.new("L", (20, 20), 255).save(digits / "nought" / "blank.png")
    assert call("deploy", str(digits), "--out", str(digits.parent / "out"), "--json") == 0
    text = (digits.parent / "out" / "errors.json").read_text(encoding="utf-8")
    facts = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert facts == json.loads(capsys.readouterr().out)
    with (digits.parent / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["learned"] == "held out"]
    for name, life in facts["share_not_recognised"].items():
        wrong = [row[name] != row["class"] for row in rows]
        assert life["held_out_at_the_end"] == pytest.approx(sum(wrong) / len(wrong))


def test_a_class_of_one_image_has_no_number_where_nothing_is_held_out(digits: Path, tmp_path: Path):
    for path in sorted((digits / "one").iterdir())[1:]:
        path.unlink()
    assert call("deploy", str(digits), "--out", str(tmp_path / "out")) == 0
    facts = json.loads((tmp_path / "out" / "errors.json").read_text(encoding="utf-8"))
    assert facts["share_not_recognised"]["means"]["by_class"]["one"] == {"learned": 0.0, "held_out": None}


def test_a_run_of_ones_own_learns_a_folder_with_statistics_of_its_own_classes(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = "run class-incremental smoke --dataset digits --side 12 --num-epochs 1 --num-lives 2 --baseline-lives 0"
    made = [*arguments.split(), "--no-with-prototypes", "--embedding-epochs", "0", "--root", str(tmp_path)]
    assert call(*made) == 0
    run = tmp_path / "class-incremental" / "smoke"
    assert call("deploy", str(run), str(digits), "--num-learned", "all") == 0
    assert "innate discriminant" in capsys.readouterr().out
    assert {path.name for path in digits.with_name("digits-learned").iterdir()} == OUTPUTS
    write_digits(tmp_path / "many", tuple("abcdefg"), per_class=2)
    assert call("deploy", str(run), str(tmp_path / "many")) == 1
    assert "at most 6 classes" in capsys.readouterr().err


def test_outputs_appear_together_or_not_at_all(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    (out / "errors.json").mkdir(parents=True)  # In the way of one of them.
    assert call("deploy", str(digits), "--out", str(out)) == 1
    assert "errors.json" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["errors.json"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("alone",), "two classes or more"),
        (("empty",), "one subfolder a class"),
        (("digits", "--out", "digits/out"), "outside digits"),
        (("digits", "--num-learned", "0"), "`num_learned` to be positive"),
        (("digits", "alone"), "a run directory with a config.json"),
    ],
)
def test_what_cannot_be_learned_is_refused_before_anything_is_written(
    arguments: tuple[str, ...],
    expected: str,
    digits: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(digits.parent)
    write_digits(digits.parent / "alone", ("a",))
    (digits.parent / "empty").mkdir()
    before = set(digits.parent.rglob("*"))
    status = 1
    try:
        status = call("deploy", *arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status
    assert expected in capsys.readouterr().err
    assert set(digits.parent.rglob("*")) == before
