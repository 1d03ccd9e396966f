"""`hyperlearning label` as a person meets it: real processes, a scripted terminal, Label Studio's files, a kill at any moment."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.systems.active.folders import truth, write_pictures

from hyperlearning.cli import run_command

COMMAND = [sys.executable, "-m", "hyperlearning", "label"]
SMALL = ["--side", "8", "--channels", "1"]


def call(*arguments: str) -> int:
    try:
        return run_command(arguments, Console(width=200))
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", per_class=5)


def labels_of(folder: Path) -> Path:
    return folder.with_name("pictures-labels")


def status_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert call("label", "status", str(labels_of(folder)), "--json") == 0
    return json.loads(capsys.readouterr().out)


def until_prompt(stream: int) -> str:
    """What a process shows until it waits for an answer."""
    shown = b""
    while not shown.endswith(b"\n> ") and not shown.endswith(b"\r\n> "):
        shown += os.read(stream, 1)
    return shown.decode()


def path_in(shown: str) -> str:
    """The image that is asked about."""
    return shown.rstrip("> \r\n").rpartition("] ")[2].rpartition(" (")[0]


def test_a_person_at_a_terminal_labels_undoes_and_goes_on_after_a_kill(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    own, other = pty.openpty()
    arguments = [*COMMAND, str(folder), "--budget", "12", "--query-size", "4", "--ask", "terminal", *SMALL]
    process = subprocess.Popen(arguments, stdin=other, stdout=other, stderr=other)
    asked = [path_in(until_prompt(own))]
    os.write(own, f"{truth(asked[0])}\n".encode())
    second = path_in(until_prompt(own))
    os.write(own, b"wrong\n")
    until_prompt(own)
    os.write(own, b"u\n")
    assert path_in(until_prompt(own)) == second
    os.write(own, f"{truth(second)}\n".encode())
    third = path_in(until_prompt(own))
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.close(own)
    os.close(other)
    known = status_of(folder, capsys)
    assert known["answers"] == 2
    assert "wrong" not in known["classes"]
    # It goes on where it was, to the same question, and never asks about an image again.
    text = "".join(f"{letter}\n" for letter in "a?-")
    again = subprocess.run(
        [*COMMAND, str(folder), "--ask", "terminal"], input=f"{text}q\n", capture_output=True, text=True, check=True
    )
    paths = [path_in(part) for part in again.stdout.split("\n> ")[:-1]]
    assert paths[0] == third
    assert not {asked[0], second} & set(paths)
    assert status_of(folder, capsys)["answers"] == 5


def test_numbers_stand_for_known_classes_and_what_cannot_be_is_asked_again(folder: Path, tmp_path: Path):
    arguments = [
        *COMMAND,
        str(folder),
        "--budget",
        "4",
        "--ask",
        "terminal",
        "--classes",
        "cat",
        "dog",
        *SMALL,
        "--json",
    ]
    done = subprocess.run(arguments, input="2\n9\nCAT\n\n1\n=?\n=7\n", capture_output=True, text=True, check=True)
    known = json.loads(done.stdout)
    assert known["classes"] == {"cat": 1, "dog": 1, "?": 1, "7": 1}
    assert known["may_still_be_asked"] == 0
    assert "the number of a class from 1 to 2, but got 9" in done.stderr
    assert "one spelling of a class, but got 'cat' and 'CAT'" in done.stderr


def test_classes_called_by_numbers_are_typed_as_they_are(folder: Path):
    arguments = [*COMMAND, str(folder), "--budget", "3", "--ask", "terminal", *SMALL, "--json"]
    done = subprocess.run(arguments, input="7\n1\n7\n", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["classes"] == {"7": 2, "1": 1}


def annotated(tasks: list[dict[str, Any]], who: Any = 1) -> list[dict[str, Any]]:
    """What Label Studio exports once somebody has labelled tasks; the first of them is skipped."""
    exported = []
    for number, task in enumerate(tasks):
        kept = [
            own | {"id": 90 + number, "completed_by": who, "was_cancelled": False, "ground_truth": False}
            for own in task["annotations"]
        ]
        result = [
            {"id": f"Dx{number}", "type": "choices", "from_name": "choice", "to_name": "image", "origin": "manual"}
        ]
        result[0]["value"] = {"choices": [truth(task["data"]["path"])]}  # pyright: ignore[reportArgumentType]
        new = {"id": number, "completed_by": who, "result": result if number else [], "was_cancelled": number == 0}
        exported.append(
            {"id": number + 1, "project": 83, "data": task["data"], "predictions": [], "annotations": kept or [new]}
        )
    return exported


def test_label_studio_takes_tasks_and_gives_answers_back_and_none_counts_twice(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out, back = tmp_path / "tasks.json", tmp_path / "back.json"
    arguments = ["label", str(folder), "--budget", "12", "--query-size", "6", "--classes", "a", "b", "c", *SMALL]
    assert call(*arguments, "--export-label-studio", str(out)) == 0
    tasks = json.loads(out.read_text())
    assert [task["data"]["path"] for task in tasks] == status_of(folder, capsys)["waiting"]
    assert tasks[0]["data"]["image"].startswith("/data/local-files/?d=pictures/")
    assert out.with_suffix(".xml").read_text().count("<Choice ") == 5
    back.write_text(json.dumps(annotated(tasks)))
    capsys.readouterr()
    assert call("label", str(folder), "--import", str(back), "--export-label-studio", str(out)) == 0
    assert f"a source storage of local files with the path {folder}" in capsys.readouterr().out
    known = status_of(folder, capsys)
    assert known["answers"] == 5
    assert known["waiting"][0] == tasks[0]["data"]["path"]
    # What was answered goes out as annotations, and comes back as what it was, whoever brought it in there.
    second = json.loads(out.read_text())
    (predicted,) = second[0]["predictions"]
    assert 0 < predicted["score"] <= 1
    assert predicted["result"][0]["value"]["choices"][0] in "abc"
    back.write_text(
        json.dumps(annotated([task for task in second if task["annotations"]], who={"id": 2, "email": "e@x"}))
    )
    assert call("label", str(folder), "--import", str(back)) == 0
    assert status_of(folder, capsys)["answers"] == 5


def test_tasks_that_were_not_exported_here_are_known_by_their_address(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def task(image: str, *texts: str) -> dict[str, Any]:
        results = [{"type": "choices", "value": {"choices": [text]}} for text in texts]
        return {"data": {"image": image}, "annotations": [{"result": results}]}

    given = tmp_path / "given.json"
    good = [task("https://host/x/in/deep/a1.png", "a"), task("/data/local-files/?d=y/b%30.png", "b")]
    given.write_text(json.dumps(good))
    assert call("label", str(folder), "--budget", "9", "--import", str(given), *SMALL) == 0
    assert status_of(folder, capsys)["classes"] == {"a": 1, "b": 1}
    bad = [("https://host/none.png", ["a"], "address of an image"), ("a0.png", ["a", "b"], "one choice for 'a0.png'")]
    for image, texts, says in bad:
        given.write_text(json.dumps([task(image, *texts)]))
        assert call("label", str(folder), "--import", str(given)) == 1
        assert says in capsys.readouterr().err
    given.write_text('[{"image": "a0.png", "choice": "a"}]')
    assert call("label", str(folder), "--import", str(given)) == 1
    assert "not JSON-MIN" in capsys.readouterr().err


def test_the_command_says_how_it_is_called_and_what_went_wrong(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert call("label") == 2
    assert "label FOLDER --budget N" in capsys.readouterr().err
    assert call("label", "--help") == 0
    assert "--query-size" in capsys.readouterr().out
    assert call("label", str(tmp_path / "absent"), "--budget", "3") == 1
    assert "but there is none" in capsys.readouterr().err
    assert call("label", "status", str(tmp_path)) == 1
    assert "has no settings.json" in capsys.readouterr().err


def test_status_and_export_show_tables(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert call("label", str(folder), "--budget", "15", "--query-size", "15", *SMALL) == 0
    queue = labels_of(folder) / "queue.csv"
    head, *rows = queue.read_text("utf-8-sig").splitlines()
    queue.write_text("\n".join([head, *(row.replace(",", f",{truth(row.split(',')[0])}", 1) for row in rows)]))
    assert call("label", str(folder)) == 0
    assert call("label", "status", str(labels_of(folder))) == 0
    shown = capsys.readouterr().out
    assert all(f"{name} 5" in shown for name in "abc")
    assert call("label", "export", str(labels_of(folder)), "--out", str(folder.with_name("out"))) == 0
    kept = {path.name for path in folder.with_name("out").iterdir()}
    assert kept == {"labels.csv", "predictions.csv", "model.safetensors", "model.json"}
