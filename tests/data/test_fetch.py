"""Fetching from a real HTTP server on this machine: what works, and every way in which it does not."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.data import canonical_archives as canonical

from hyperlearning.data import prepared
from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.data_set import DataSet
from hyperlearning.data.errors import AbsentDataError, DataError, DownloadError
from hyperlearning.data.fetch import fetch
from hyperlearning.data.images import load, read_split

DOWNLOADED = tuple(name for name, entry in CATALOGUE.items() if entry.files and not entry.by_hand)


@dataclass
class Server:
    """What is served under each name, how it misbehaves, and what was asked for."""

    url: str
    contents: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def offer(self, name: str) -> DataSet:
        """Serves a data set in small, and gives its entry with addresses and checksums of what is served."""
        archives = canonical.small_archives(name)
        self.contents.update(archives)
        return canonical.served_from(CATALOGUE[name], self.url, archives)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        state = self.server.state  # pyright: ignore[reportAttributeAccessIssue]
        name = self.path.rsplit("/", 1)[-1]
        state.requests.append(name)
        fault, content = state.faults.get(name, ""), state.contents.get(name)
        if fault == "silent":
            state.stop.wait(30)
            return
        if content is None or fault == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        if fault == "endless":
            self.end_headers()
            with suppress(ConnectionError):  # The client hangs up.
                while not state.stop.is_set():
                    self.wfile.write(bytes(1 << 16))
            return
        self.send_header("Content-Length", str(len(content) * (1000 if fault == "claims too much" else 1)))
        self.end_headers()
        half = fault in ("breaks off", "silent in the middle", "claims too much")
        self.wfile.write(content[: len(content) // 2] if half else content)
        self.wfile.flush()
        if fault == "silent in the middle":
            state.stop.wait(30)

    def log_message(self, *_: object):
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    state = Server(f"http://127.0.0.1:{http.server_port}")
    http.state = state  # pyright: ignore[reportAttributeAccessIssue]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.stop.set()
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_data_set_is_downloaded_verified_prepared_and_loaded(
    server: Server, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    data_set = server.offer(name)
    written = fetch(data_set, root=tmp_path)
    assert written == tuple(tmp_path / name / f"{split}.npz" for split in data_set.split_names)
    assert set(server.requests) == {file.name for file in data_set.files}
    split = data_set.split_names[0]
    raw = data_set.reader(tuple(tmp_path / name / "raw" / f for f in data_set.split(split).files), split)
    loaded = load(name, split, root=tmp_path)
    assert loaded.images.shape == (len(raw["images"]), *data_set.shape)
    np.testing.assert_array_equal(loaded.labels.numpy(), raw["labels"])
    assert loaded.is_subset


def test_what_is_there_is_not_downloaded_again(server: Server, tmp_path: Path):
    data_set = server.offer("mnist")
    fetch(data_set, root=tmp_path)
    server.requests.clear()
    assert fetch(data_set, root=tmp_path) == ()
    (tmp_path / "mnist" / "train.npz").unlink()
    assert fetch(data_set, root=tmp_path) == (tmp_path / "mnist" / "train.npz",)
    assert server.requests == []


def test_a_fetch_that_failed_goes_on_with_the_file_at_which_it_stopped(server: Server, tmp_path: Path):
    data_set = server.offer("mnist")
    server.faults[canonical.IDX_FILES[2]] = "breaks off"
    with pytest.raises(DownloadError, match="the download broke off"):
        fetch(data_set, root=tmp_path)
    assert (tmp_path / "mnist" / "train.npz").exists()
    server.faults.clear()
    server.requests.clear()
    fetch(data_set, root=tmp_path)
    assert server.requests == list(canonical.IDX_FILES[2:])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("missing", "the server answered 404"),
        ("breaks off", "the download broke off"),
        ("silent", "the server was silent for 0.3 seconds"),
        ("silent in the middle", "the server was silent for 0.3 seconds"),
    ],
)
def test_a_faulty_server_is_named_and_nothing_is_left(server: Server, tmp_path: Path, fault: str, expected: str):
    data_set = server.offer("svhn")
    server.faults["train_32x32.mat"] = fault
    with pytest.raises(DownloadError, match=expected) as caught:
        fetch(data_set, root=tmp_path, timeout_seconds=0.3)
    assert f"{server.url}/train_32x32.mat" in str(caught.value)
    assert f"put train_32x32.mat into {tmp_path / 'svhn' / 'raw'}" in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_another_checksum_is_refused_and_nothing_is_left(server: Server, tmp_path: Path):
    data_set = server.offer("cifar10")
    server.contents["cifar-10-binary.tar.gz"] += b"!"
    with pytest.raises(DownloadError, match="has another MD5 than the published one"):
        fetch(data_set, root=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("fault", ["claims too much", "endless"])
def test_a_file_larger_than_it_can_be_is_not_downloaded(server: Server, tmp_path: Path, fault: str):
    data_set = server.offer("omniglot")
    files = tuple(replace(file, megabytes=0.0) for file in data_set.files)
    server.contents["images_background.zip"] *= 10
    server.faults["images_background.zip"] = fault
    with pytest.raises(DownloadError, match="it is larger than 1,048,576 bytes"):
        fetch(replace(data_set, files=files), root=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_no_server_at_all_is_named(server: Server, tmp_path: Path):
    data_set = server.offer("kmnist")
    file = replace(data_set.files[0], urls=("http://127.0.0.1:9/nothing.gz",))
    with pytest.raises(DownloadError, match="there is no connection"):
        fetch(replace(data_set, files=(file, *data_set.files[1:])), root=tmp_path)


def test_the_next_address_is_tried_where_one_fails(server: Server, tmp_path: Path):
    data_set = server.offer("fashion_mnist")
    files = tuple(replace(file, urls=(f"{server.url}/gone", *file.urls)) for file in data_set.files)
    assert len(fetch(replace(data_set, files=files), root=tmp_path)) == 2
    assert server.requests.count("gone") == 4


def test_a_file_placed_by_hand_is_used_without_a_network(tmp_path: Path):
    archives = canonical.small_archives("cifar100")
    data_set = canonical.served_from(CATALOGUE["cifar100"], "http://127.0.0.1:9", archives)
    raw = prepared.source_folder(data_set, tmp_path)
    raw.mkdir(parents=True)
    (raw / "cifar-100-binary.tar.gz").write_bytes(archives["cifar-100-binary.tar.gz"])
    fetch(data_set, root=tmp_path)
    loaded = load("cifar100", "test", root=tmp_path)
    assert loaded.class_names[99] == "fine_99"
    assert loaded.ids["coarse"].tolist() == list(range(10, 20))


def test_a_file_placed_by_hand_that_is_not_the_published_one_is_named(server: Server, tmp_path: Path):
    data_set = server.offer("svhn")
    raw = prepared.source_folder(data_set, tmp_path)
    raw.mkdir(parents=True)
    (raw / "train_32x32.mat").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"the MD5 .* but got another\. Delete it"):
        fetch(data_set, root=tmp_path)
    assert server.requests == []


def test_mini_imagenet_says_how_it_is_placed_and_reads_it_then(tmp_path: Path):
    data_set = CATALOGUE["mini_imagenet"]
    with pytest.raises(
        AbsentDataError, match=r"put folders train, val and test.* into .*raw, then run `hyperlearning data"
    ):
        fetch(data_set, root=tmp_path)
    raw = prepared.source_folder(data_set, tmp_path)
    raw.mkdir(parents=True)
    (raw / "mini_imagenet.zip").write_bytes(canonical.small_archives("mini_imagenet")["mini_imagenet.zip"])
    assert len(fetch(data_set, root=tmp_path)) == 3
    loaded = load("mini_imagenet", "val", root=tmp_path)
    assert loaded.class_names == ("n00000000", "n00000001")
    assert (loaded.num_classes, len(loaded)) == (2, 4)


def test_mini_imagenet_is_read_from_folders_too(tmp_path: Path):
    raw = prepared.source_folder(CATALOGUE["mini_imagenet"], tmp_path)
    for name, content in canonical.mini_members(folder="").items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(content)
    assert len(fetch(CATALOGUE["mini_imagenet"], root=tmp_path)) == 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((canonical.numbers(7, 20, 20), np.arange(7)), r"uint8 images of shape \(N, 28, 28\)"),
        ((canonical.numbers(7, 28, 28), np.arange(7) + 5), "labels from 0 to 9 in .* but got 5 to 11"),
        ((canonical.numbers(0, 28, 28), np.arange(0)), r"but got uint8 of \(0, 28, 28\)"),
    ],
)
def test_a_file_that_does_not_hold_what_the_catalogue_says_is_not_prepared(
    server: Server, tmp_path: Path, change: tuple[np.ndarray, np.ndarray], expected: str
):
    archives = canonical.small_archives("mnist")
    archives |= dict(zip(canonical.IDX_FILES[:2], map(canonical.idx_gz, change), strict=True))
    server.contents.update(archives)
    with pytest.raises(DataError, match=expected):
        fetch(canonical.served_from(CATALOGUE["mnist"], server.url, archives), root=tmp_path)
    assert list(tmp_path.rglob("*.npz")) == []


def test_what_is_prepared_is_what_is_read(server: Server, tmp_path: Path):
    data_set = server.offer("omniglot")
    fetch(data_set, root=tmp_path)
    path = tmp_path / "omniglot" / "evaluation.npz"
    arrays = read_split(data_set, "evaluation", path)
    source = data_set.reader((tmp_path / "omniglot" / "raw" / "images_evaluation.zip",), "evaluation")
    assert set(prepared.read_headers(path)) == set(source)
    assert arrays["alphabet_id"].min() == 30
    for key in arrays:
        np.testing.assert_array_equal(arrays[key], source[key])


def test_a_data_root_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "root").write_text("")
    with pytest.raises(DataError, match="root is a file"):
        fetch(CATALOGUE["mnist"], root=tmp_path / "root")


def test_built_in_digits_need_nothing(tmp_path: Path):
    assert fetch(CATALOGUE["digits"], root=tmp_path / "root") == ()
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_on_a_terminal_and_in_a_log(
    server: Server,
    tmp_path: Path,
    is_terminal: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("hyperlearning.data.download_progress._LINE_SECONDS", -1.0)
    fetch(server.offer("cifar10"), root=tmp_path, console=Console(width=120, force_terminal=is_terminal))
    shown = capsys.readouterr().out
    assert f"Downloading {server.url}/cifar-10-binary.tar.gz" in shown
    assert "Reading the test split." in shown
    assert ("━" if is_terminal else "MB/s") in shown
