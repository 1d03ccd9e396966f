"""A folder of unlabelled pictures: every depth, natural order, each picture once, and what is left out is named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyperlearning.data.errors import DataError
from hyperlearning.data.unlabelled_folders import DuplicateFile, read_unlabelled_folder


def put(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)).save(path)
    return path


def test_pictures_of_every_depth_are_read_in_natural_order(tmp_path: Path):
    for seed, name in enumerate(("10.png", "2.png", "a/b/c/3.png", "a/1.png", ".hidden.png", ".git/4.png")):
        put(tmp_path / name, seed)
    read = read_unlabelled_folder(tmp_path, side=6)
    assert read.file_names == ("2.png", "10.png", "a/1.png", "a/b/c/3.png")
    assert read.images.shape == (4, 3, 6, 6)
    assert read_unlabelled_folder(tmp_path, side=5, channels=1).images.shape == (4, 1, 5, 5)


def test_files_with_the_same_bytes_are_read_once_and_what_is_no_picture_is_named(tmp_path: Path):
    first = put(tmp_path / "a.png", 0)
    put(tmp_path / "c.png", 1)
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "b.png").write_bytes(first.read_bytes())
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "torn.png").write_bytes(first.read_bytes()[:60])
    read = read_unlabelled_folder(tmp_path)
    assert read.file_names == ("a.png", "c.png")
    assert read.duplicates == (DuplicateFile("z/b.png", "a.png"),)
    assert [file.name for file in read.unread] == ["notes.txt", "torn.png"]
    assert read.unread[0].reason == "no picture"
    assert "z/b.png (as a.png)" in " ".join(read.said)
    assert "2 files could not be read" in " ".join(read.said)


def test_a_link_that_leads_back_is_not_followed_for_ever(tmp_path: Path):
    put(tmp_path / "a.png", 0)
    (tmp_path / "again").symlink_to(tmp_path)
    assert read_unlabelled_folder(tmp_path).file_names == ("a.png",)


@pytest.mark.parametrize(("files", "says"), [({}, "it is empty"), ({"a.txt": "x"}, "none of its 1 file can be read")])
def test_a_folder_without_a_picture_is_refused(tmp_path: Path, files: dict[str, str], says: str):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        read_unlabelled_folder(tmp_path)
    with pytest.raises(DataError, match="there is none"):
        read_unlabelled_folder(tmp_path / "absent")
