"""A person labels a folder by tables: answers are read whatever editor saved them, and none is lost, whatever happens."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.systems.active.folders import truth, write_pictures

from hyperlearning.core.errors import AnswerError, FileError, QueryError
from hyperlearning.core.folder_locks import held
from hyperlearning.data.errors import DataError
from hyperlearning.data.unlabelled_folders import read_unlabelled_folder
from hyperlearning.engine import runner
from hyperlearning.systems.active import embedders, pretraining
from hyperlearning.systems.active.features import find_pixel_components
from hyperlearning.systems.active.labelling import command
from hyperlearning.systems.active.labelling.classifier import FolderClassifier
from hyperlearning.systems.active.labelling.command import ExportLabelling, LabelFolder, ShowLabelling
from hyperlearning.systems.active.labelling.tables import SIGNS
from hyperlearning.systems.active.questions import NOT_OURS

SMALL: dict[str, Any] = {"side": 8, "channels": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures")


def label(folder: Path, **options: Any) -> dict[str, Any]:
    return command.label(LabelFolder(folder=folder, **options), lambda text: None)


def queue_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-labels") / "queue.csv"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill_in(path: Path, answer: Callable[[str], str] = truth, *, num: int | None = None) -> list[str]:
    """Answers the first rows of a queue; returns their paths."""
    rows = rows_of(path)
    for row in rows[:num]:
        row["answer"] = answer(row["path"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return [row["path"] for row in rows[:num]]


def test_a_folder_is_labelled_within_the_budget_and_exported(folder: Path):
    label(folder, budget=14, query_size=5, **SMALL)
    asked = list[str]()
    while rows_of(queue_of(folder)):
        asked += fill_in(queue_of(folder))
        known = label(folder)
    assert len(asked) == len(set(asked)) == known["answers"] == 14
    assert known["classes"] == {name: sum(truth(path) == name for path in asked) for name in "abc"}
    directory = queue_of(folder).parent
    out = Path(command.export(ExportLabelling(path=directory))["export"])
    said = rows_of(out / "predictions.csv")
    assert len(said) == 24
    assert sum(row["label"] == truth(row["path"]) for row in said) >= 20
    assert all(1 / 3 < float(row["confidence"]) <= 1 for row in said)
    model = FolderClassifier.restore(out / "model.safetensors")
    again = model.predict(read_unlabelled_folder(folder, side=model.side, channels=model.channels).images)
    assert again.labels == [row["label"] for row in said]
    assert [f"{sure:.4f}" for sure in again.confidence_N.tolist()] == [row["confidence"] for row in said]
    assert json.loads((out / "model.json").read_text())["classes"] == list(model.classes)


def test_the_sheet_shows_each_question_and_needs_nothing_else(folder: Path):
    label(folder, budget=10, query_size=4, **SMALL)
    page = queue_of(folder).with_name("contact-sheet.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4
    assert all(row["path"] in page and row["why"] in page for row in rows_of(queue_of(folder)))
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    "resaved",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode("cp1252"),
        lambda text: text.replace("\r\n", "\n").replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode("utf-16"),
        lambda text: ("\n\n" + text.replace("\r\n", "\n\n") + "\n;;;\n".replace(";", ",")).encode(),
        lambda text: "\n".join(",".join(f'"{c}"' for c in line.split(",")) for line in text.splitlines()).encode(),
    ],
    ids=["mark", "windows", "semicolons", "utf-16 tabs", "blank lines", "quotes"],
)
def test_a_queue_is_read_whatever_editor_saved_it(folder: Path, resaved: Callable[[str], bytes]):
    label(folder, budget=10, query_size=3, **SMALL)
    queue = queue_of(folder)
    asked = fill_in(queue, lambda path: "käse")
    text = queue.read_bytes().decode()
    queue.write_bytes(resaved(text))
    known = label(folder)
    assert known["classes"] == {"käse": 3}
    assert not set(asked) & set(known["waiting"])


def test_rows_left_empty_wait_on_and_signs_are_answers(folder: Path):
    label(folder, budget=10, query_size=4, **SMALL)
    signs = iter("?-a")
    asked = fill_in(queue_of(folder), lambda path: next(signs), num=3)
    left = rows_of(queue_of(folder))[3]["path"]
    known = label(folder)
    assert (known["answers"], known["unsure"], known["not_ours"], known["labelled"]) == (3, 1, 1, 1)
    assert known["waiting"][0] == left
    assert not set(asked) & set(known["waiting"])


def spoiled(queue: Path, how: str) -> None:
    lines = queue.read_text().splitlines()
    match how:
        case "unknown path":
            lines[2] = "nothing.png,a,,1"
        case "two answers":
            lines.append(lines[1].split(",")[0] + ",b,,1")
        case "case":
            lines[2] = lines[2].replace(",a,", ",A,", 1)
        case "cut":
            lines = lines[:3]
        case "no header":
            lines = lines[1:]
        case "open quote":
            lines[2] = '"' + lines[2]
    queue.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("unknown path", r"line 3 of .*queue.csv, but got 'nothing.png'"),
        ("two answers", r"one answer on '.*png', but got 'a' in line 2 of .* and 'b' in line 6 of"),
        ("case", r"one spelling of a class, but got 'a' \(known before\) and, of '.*png', 'A' in line 3 of"),
        ("cut", r"all 4 questions that wait .*, but 2 of them not there.*--import"),
        ("no header", "columns `path` and `answer` in line 1"),
        ("open quote", "quotes that are closed from line 3"),
    ],
)
def test_a_queue_that_cannot_be_taken_is_refused_by_line_and_stays_and_nothing_is_lost(
    folder: Path, how: str, says: str
):
    label(folder, budget=12, query_size=4, **SMALL)
    fill_in(queue_of(folder), lambda path: "a")
    label(folder)
    fill_in(queue_of(folder), lambda path: "a")
    spoiled(queue_of(folder), how)
    before = queue_of(folder).read_bytes()
    with pytest.raises(AnswerError, match=says):
        label(folder)
    assert queue_of(folder).read_bytes() == before
    assert command.status_of(ShowLabelling(path=queue_of(folder).parent))["answers"] == 4


def test_what_is_left_of_a_cut_queue_can_be_taken_and_the_rest_is_asked_again(folder: Path):
    label(folder, budget=12, query_size=4, **SMALL)
    asked = fill_in(queue_of(folder))
    spoiled(queue_of(folder), "cut")
    known = label(folder, take=queue_of(folder))
    assert known["answers"] == 2
    assert set(asked[2:]) <= set(known["waiting"])


def test_an_answer_changes_only_where_that_is_said(folder: Path):
    label(folder, budget=12, query_size=4, **SMALL)
    fill_in(queue_of(folder), lambda path: "Cat")
    label(folder)
    labels = queue_of(folder).with_name("labels.csv")
    changed = labels.with_name("changed.csv")
    changed.write_bytes(labels.read_bytes().replace(b"Cat", b"dog"))
    with pytest.raises(AnswerError, match=r"given before, 'Cat', but got 'dog' in line 2 of .*--correct"):
        label(folder, take=changed)
    assert label(folder, take=changed, correct=True)["classes"] == {"dog": 4}
    changed.write_bytes(labels.read_bytes().replace(b"dog", b"Dog"))
    assert label(folder, take=changed, correct=True)["classes"] == {"Dog": 4}


def test_lines_of_json_do_as_well(folder: Path):
    label(folder, budget=12, query_size=3, jsonl=True, **SMALL)
    queue = queue_of(folder).with_name("queue.jsonl")
    rows = [json.loads(line) | {"answer": "a"} for line in queue.read_text().splitlines()]
    queue.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert label(folder)["answers"] == 3
    queue.write_text('{"path": 1\n')
    with pytest.raises(AnswerError, match="line 1 of"):
        label(folder)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategy": "entropy"}, "`strategy` as it was when .* was begun, margin, but got entropy.*--into"),
        ({"seed": 3}, "`seed` as it was"),
        ({"classes": ("a", "b")}, "`classes` as it was"),
    ],
)
def test_what_was_given_first_stays(folder: Path, options: dict[str, Any], says: str):
    label(folder, budget=5, **SMALL)
    with pytest.raises(ValueError, match=says):
        label(folder, **options)
    assert label(folder, budget=7, query_size=2, strategy="margin")["budget"] == 7


def test_another_folder_or_one_that_was_altered_is_refused_and_one_that_was_moved_is_not(folder: Path):
    directory = queue_of(folder).parent
    label(folder, budget=5, **SMALL)
    moved = folder.rename(folder.with_name("moved"))
    assert label(moved, into=directory)["folder"] == str(moved)
    (moved / "a0.png").rename(moved / "new.png")
    with pytest.raises(DataError, match=r"1 new: new.png; 1 gone: a0.png.*--import .*labels.csv"):
        label(moved, into=directory)
    (moved / "new.png").rename(moved / "a0.png")
    (moved / "a0.png").write_bytes((moved / "b0.png").read_bytes())
    with pytest.raises(DataError, match=r"1 altered: a0.png"):
        label(moved, into=directory)


def test_what_cannot_be_is_refused_before_anything_is_asked(folder: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="--budget N"):
        label(folder)
    with pytest.raises(ValueError, match="`budget` to be positive"):
        label(folder, budget=0)
    with pytest.raises(ValueError, match="two different `classes`"):
        label(folder, budget=3, classes=("a",))
    with pytest.raises(ValueError, match="a directory outside"):
        label(folder, budget=3, into=folder / "labels")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "labels.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"empty or a labelling's, but it has labels.csv"):
        label(folder, budget=3, into=tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="it is empty"):
        label(tmp_path / "empty", budget=3)
    assert not queue_of(folder).exists()


def test_images_that_are_all_the_same_are_refused():
    with pytest.raises(ValueError, match="Expected images that differ, but all 3"):
        find_pixel_components(torch.ones(3, 1, 4, 4), 5)


def test_components_are_the_same_by_either_product():
    images = torch.rand(40, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    few, many = find_pixel_components(images[:20], 6), find_pixel_components(images, 6)
    assert torch.allclose(many(images).square().mean(0) * 6, torch.ones(6), atol=1e-5)
    assert torch.allclose(few(images[:20]).square().mean(0) * 6, torch.ones(6), atol=1e-5)
    assert few(images[:20]).mean(0).abs().max() < 1e-5


def test_a_budget_above_the_images_asks_about_all_of_them(folder: Path):
    known = label(folder, budget=100, query_size=50, **SMALL)
    assert len(known["waiting"]) == known["may_still_be_asked"] == 24
    fill_in(queue_of(folder))
    assert label(folder)["may_still_be_asked"] == 0
    assert rows_of(queue_of(folder)) == []


def test_one_class_alone_makes_no_model_and_its_labels_are_written(folder: Path):
    label(folder, budget=3, **SMALL)
    fill_in(queue_of(folder), lambda path: "a")
    label(folder)
    with pytest.raises(QueryError, match="two classes to tell apart, but got a alone"):
        command.export(ExportLabelling(path=queue_of(folder).parent))
    assert len(rows_of(queue_of(folder).parent / "export" / "labels.csv")) == 3


def test_duplicates_have_the_label_of_their_original(folder: Path):
    (folder / "z.png").write_bytes((folder / "a0.png").read_bytes())
    assert label(folder, budget=24, query_size=24, **SMALL)["duplicates"] == [["z.png", "a0.png"]]
    fill_in(queue_of(folder))
    label(folder)
    labels = {row["path"]: row for row in rows_of(queue_of(folder).with_name("labels.csv"))}
    assert (labels["z.png"]["answer"], labels["z.png"]["duplicate_of"]) == ("a", "a0.png")
    again = folder.with_name("again")
    taken = label(folder, budget=24, into=again, take=queue_of(folder).with_name("labels.csv"), **SMALL)
    assert taken["answers"] == 24


def test_two_processes_do_not_work_on_one_directory(folder: Path):
    label(folder, budget=3, **SMALL)
    with held(queue_of(folder).parent), pytest.raises(RuntimeError, match="another process"):
        label(folder)


@pytest.mark.parametrize("name", ["settings.json", "pool.json", "state.json", "answers.json", "features.safetensors"])
def test_a_damaged_file_is_named(folder: Path, name: str):
    label(folder, budget=3, **SMALL)
    path = queue_of(folder).with_name(name)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(FileError):
        label(folder)


def test_what_is_no_labelling_is_refused(tmp_path: Path):
    with pytest.raises(FileError, match=r"hyperlearning label FOLDER --budget N"):
        command.status_of(ShowLabelling(path=tmp_path))


def test_learned_features_go_on_after_a_kill_and_the_model_says_the_same_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(embedders, "_UPDATES", 40)
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    label(folder, into=folder.with_name("whole"), budget=6, query_size=6, features="learned", side=28, channels=1)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    views, first_round = pretraining.two_views, 20
    calls = iter(range(2 * first_round))
    monkeypatch.setattr(
        pretraining, "two_views", lambda *given: views(*given) if next(calls) <= first_round else killed()
    )
    begin = {"budget": 6, "query_size": 6, "features": "learned", "side": 28, "channels": 1}
    with pytest.raises(KeyboardInterrupt):
        label(folder, **begin)
    assert sorted(own.name for own in queue_of(folder).parent.iterdir() if own.name[0] != ".") == ["learning"]
    monkeypatch.setattr(pretraining, "two_views", views)
    label(folder, **begin)
    ours, whole = queue_of(folder).parent, folder.with_name("whole")
    assert not (ours / "learning").exists()
    assert (ours / "queue.csv").read_text() == (whole / "queue.csv").read_text()
    fill_in(queue_of(folder))
    label(folder)
    command.export(ExportLabelling(path=ours))
    model = FolderClassifier.restore(ours / "export" / "model.safetensors")
    images = read_unlabelled_folder(folder, side=28, channels=1).images
    predictions = rows_of(ours / "export" / "predictions.csv")
    assert model.predict(images).labels == [row["label"] for row in predictions]


def ours(path: str) -> str:
    """Pictures of `c` are not one of ours."""
    return truth(path).replace("c", "-")


def test_what_is_not_one_of_ours_is_learned_and_so_says_the_model(folder: Path):
    label(folder, budget=15, query_size=5, **SMALL)
    while rows_of(queue_of(folder)):
        fill_in(queue_of(folder), ours)
        label(folder)
    out = Path(command.export(ExportLabelling(path=queue_of(folder).parent))["export"])
    said = rows_of(out / "predictions.csv")
    assert sum(row["label"] == ours(row["path"]) for row in said) >= 22
    assert {row["label"] for row in said} == {"a", "b", "-"}
    model = FolderClassifier.restore(out / "model.safetensors")
    images = read_unlabelled_folder(folder, side=model.side, channels=model.channels).images
    assert model.classes[-1] == NOT_OURS
    assert [SIGNS.get(own, own) for own in model.predict(images).labels] == [row["label"] for row in said]


def test_what_is_not_one_of_ours_can_be_ignored(folder: Path):
    label(folder, budget=15, query_size=15, ignore_rejects=True, **SMALL)
    fill_in(queue_of(folder), ours)
    label(folder)
    out = Path(command.export(ExportLabelling(path=queue_of(folder).parent))["export"])
    assert {row["label"] for row in rows_of(out / "predictions.csv")} == {"a", "b"}
    assert label(folder, ignore_rejects=True)["answers"] == 15
    other = folder.with_name("other")
    label(folder, into=other, budget=15, **SMALL)
    with pytest.raises(ValueError, match=r"`ignore_rejects` as it was when .* was begun, False, but got True"):
        label(folder, into=other, ignore_rejects=True)


def test_one_class_and_what_is_not_one_of_ours_make_a_model(folder: Path):
    label(folder, budget=20, query_size=20, **SMALL)
    fill_in(queue_of(folder), lambda path: "a" if truth(path) == "a" else "-")
    label(folder)
    out = Path(command.export(ExportLabelling(path=queue_of(folder).parent))["export"])
    said = rows_of(out / "predictions.csv")
    assert sum((row["label"] == "a") == (truth(row["path"]) == "a") for row in said) >= 22


def test_a_labelling_that_is_stopped_after_an_answer_asks_what_one_that_is_not_asks(folder: Path):
    def labelled(into: Path, stops: int) -> list[str]:
        asked = list[str]()

        def answer(shown: list[str], left: int) -> str:
            path = shown[-1].rpartition("] ")[2].rpartition(" (")[0]
            if not left:
                raise KeyboardInterrupt
            asked.append(path)
            return f"{ours(path)}\n"

        def session(num: int) -> None:
            shown, left = list[str](), iter(range(num, -1, -1))
            options = LabelFolder(folder=folder, into=into, ask="terminal", budget=16, query_size=4, **SMALL)
            command.label(options, shown.append, lambda: answer(shown, next(left)))

        if stops:
            with pytest.raises(KeyboardInterrupt):
                session(stops)
        session(99)
        return asked

    whole = labelled(folder.with_name("whole"), 0)
    assert len(whole) == len(set(whole)) == 16
    assert any(ours(path) == "-" for path in whole)
    for stops in (5, 9):
        assert labelled(folder.with_name(f"stopped{stops}"), stops) == whole


def test_a_labelling_of_before_goes_on(folder: Path):
    label(folder, budget=9, query_size=3, **SMALL)
    settings = queue_of(folder).with_name("settings.json")
    kept = json.loads(settings.read_text())
    del kept["ignore_rejects"]
    settings.write_text(json.dumps(kept))
    fill_in(queue_of(folder))
    assert label(folder)["answers"] == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategy": "eoal", "ignore_rejects": True}, "rejected images to be learned from for 'eoal'"),
        ({"first": "bald"}, "`first` to need no label, as .* do, but got 'bald'"),
    ],
)
def test_a_strategy_that_could_not_choose_later_is_refused_before_anything_is_asked(
    folder: Path, options: dict[str, Any], says: str
):
    with pytest.raises(ValueError, match=says):
        label(folder, budget=9, **options, **SMALL)
    assert not queue_of(folder).exists()
    assert label(folder, budget=9, strategy="eoal", **SMALL)["answers"] == 0


def test_the_directory_is_named_where_the_folder_itself_was_given(folder: Path):
    label(folder, budget=9, **SMALL)
    with pytest.raises(FileError, match=r"Did you mean .*pictures-labels\?"):
        command.status_of(ShowLabelling(path=folder))


def test_answers_that_a_file_brings_are_taken_beyond_the_budget_and_nothing_is_asked_then(folder: Path):
    label(folder, budget=20, query_size=20, **SMALL)
    fill_in(queue_of(folder))
    label(folder)
    known = label(
        folder, into=folder.with_name("few"), budget=5, take=queue_of(folder).with_name("labels.csv"), **SMALL
    )
    assert (known["answers"], known["waiting"], known["may_still_be_asked"]) == (20, [], 0)
