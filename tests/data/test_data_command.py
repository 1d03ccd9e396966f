"""`hyperlearning data` as a user meets it."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.data import canonical_archives as canonical

from hyperlearning.cli import run_command
from hyperlearning.data import prepared
from hyperlearning.data.catalogue import CATALOGUE


def call(*arguments: str) -> int:
    try:
        return run_command(["data", *arguments], Console(width=200))
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root, named by the variable."""
    monkeypatch.setenv("HYPERLEARNING_DATA", str(tmp_path))
    return tmp_path


def place_by_hand(root: Path) -> None:
    raw = prepared.source_folder(CATALOGUE["mini_imagenet"], root)
    raw.mkdir(parents=True)
    (raw / "mini_imagenet.zip").write_bytes(canonical.small_archives("mini_imagenet")["mini_imagenet.zip"])


def test_list_names_every_data_set_with_its_licence_and_whether_it_is_here(
    root: Path, capsys: pytest.CaptureFixture[str]
):
    prepared.write_arrays(root / "kmnist" / "test.npz", {"labels": np.arange(10_000) % 10})
    assert call("list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.split()}
    assert set(CATALOGUE) < set(lines)
    for name, entry in CATALOGUE.items():
        assert entry.licence in lines[name]
    assert "train absent, test complete" in lines["kmnist"]
    assert "built in" in lines["digits"]


def test_fetch_prepares_and_says_what_is_there(root: Path, capsys: pytest.CaptureFixture[str]):
    place_by_hand(root)
    assert call("fetch", "mini-imagenet") == 0
    assert "subset, 4 of 38,400 images" in capsys.readouterr().out
    assert (root / "mini_imagenet" / "train.npz").is_file()


def test_fetch_into_another_root(root: Path):
    place_by_hand(root / "other")
    assert call("fetch", "mini_imagenet", "--data-root", str(root / "other")) == 0
    assert (root / "other" / "mini_imagenet" / "val.npz").is_file()


def test_verify_tells_whole_from_damaged(root: Path, capsys: pytest.CaptureFixture[str]):
    place_by_hand(root)
    call("fetch", "mini_imagenet")
    assert call("verify") == 0
    shown = capsys.readouterr().out
    assert "subset, 4 of 38,400 images, 2 classes" in shown
    assert "no MD5 is published" in shown
    assert "svhn" not in shown
    path = root / "mini_imagenet" / "val.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert call("verify", "mini_imagenet") == 1
    captured = capsys.readouterr()
    assert "damaged" in captured.out
    assert "mini_imagenet/val. Delete what is damaged and run `hyperlearning data fetch mini_imagenet`" in captured.err


def test_verify_hashes_the_files_that_were_kept(root: Path, capsys: pytest.CaptureFixture[str]):
    raw = prepared.source_folder(CATALOGUE["svhn"], root)
    raw.mkdir(parents=True)
    (raw / "test_32x32.mat").write_bytes(b"something else")
    assert call("verify") == 1
    captured = capsys.readouterr()
    assert "not as published: its MD5 is not eb5a983be6a315427106f1b164d9cef3" in captured.out
    assert "svhn/test_32x32.mat" in captured.err


def test_verify_of_what_is_absent_fails_with_the_command(root: Path, capsys: pytest.CaptureFixture[str]):
    assert call("verify", "mnist") == 1
    assert "run `hyperlearning data fetch mnist`." in capsys.readouterr().err


def test_path_says_where_data_lie(root: Path, capsys: pytest.CaptureFixture[str]):
    assert call("path") == 0
    assert call("path", "fashion-mnist") == 0
    assert capsys.readouterr().out.split() == [str(root), str(root / "fashion_mnist")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("fetch",), "data fetch NAME, with NAME among omniglot"),
        (("fetch", "mnits"), "Did you mean 'mnist'?"),
        (("fetsch", "mnist"), "fetch"),
        ((), "list,fetch,verify,path"),
        (("list", "--data-rot", "x"), "--data-root"),
    ],
)
def test_a_wrong_call_says_what_was_expected(
    root: Path, arguments: tuple[str, ...], expected: str, capfd: pytest.CaptureFixture[str]
):
    assert call(*arguments) == 2
    assert expected.lower() in "".join(capfd.readouterr()).lower()
    assert list(root.iterdir()) == []
