"""Loading: roots, prepared forms, one copy a process, and what is refused."""

import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data import canonical_archives as canonical

from hyperlearning.data import prepared
from hyperlearning.data.catalogue import CATALOGUE, find
from hyperlearning.data.data_set import DataSet
from hyperlearning.data.errors import AbsentDataError, DataError
from hyperlearning.data.images import load
from hyperlearning.data.readers import Arrays


def small_mnist(count: int = 6) -> Arrays:
    return {"images": canonical.numbers(count, 28, 28), "labels": np.arange(count) % 10}


def put(root: Path, name: str, split: str, arrays: Arrays) -> Path:
    path = root / name / f"{split}.npz"
    prepared.write_arrays(path, arrays)
    return path


def test_images_are_uint8_planes_and_labels_int64(tmp_path: Path):
    colours = {"images": canonical.numbers(4, 32, 32, 3), "labels": np.arange(4, dtype=np.uint8)}
    put(tmp_path, "cifar10", "train", colours)
    loaded = load("cifar10", "train", root=tmp_path)
    assert (loaded.images.dtype, loaded.labels.dtype) == (torch.uint8, torch.int64)
    np.testing.assert_array_equal(loaded.images.permute(0, 2, 3, 1).numpy(), colours["images"])
    assert loaded.images.is_contiguous()
    assert loaded.class_names[3] == "cat"


def test_a_split_is_read_once_and_again_only_when_its_file_changes(tmp_path: Path):
    path = put(tmp_path, "mnist", "train", small_mnist(6))
    first = load("mnist", "train", root=tmp_path)
    assert load("mnist", "train", root=str(tmp_path)) is first
    prepared.write_arrays(path, small_mnist(8))
    assert len(load("mnist", "train", root=tmp_path)) == 8


def test_the_root_is_the_one_given_else_the_variable_else_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HYPERLEARNING_DATA", str(tmp_path / "variable"))
    assert prepared.data_root(tmp_path) == tmp_path
    assert prepared.data_root() == tmp_path / "variable"
    monkeypatch.setenv("HYPERLEARNING_DATA", "")
    assert prepared.data_root() == platformdirs.user_cache_path("hyperlearning") / "data"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("absent", "there is no such folder"),
        ("empty", "that folder is empty"),
        ("file", "that is a file"),
        ("other", r"it holds no omniglot/background\.npz"),
    ],
)
def test_an_absent_data_set_names_the_command_and_the_place(tmp_path: Path, state: str, expected: str):
    root = tmp_path / "root"
    if state == "file":
        root.write_text("")
    elif state != "absent":
        (root / ("mnist" if state == "other" else "")).mkdir(parents=True)
    with pytest.raises(AbsentDataError, match=expected) as caught:
        load("omniglot", "background", root=root)
    message = str(caught.value)
    assert f"Run `hyperlearning data fetch omniglot --data-root {root}`" in message
    assert f"put images_background.zip into {root / 'omniglot' / 'raw'}" in message


def test_under_the_default_root_the_command_needs_no_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYPERLEARNING_DATA", str(tmp_path))
    with pytest.raises(AbsentDataError, match="Run `hyperlearning data fetch svhn`; without"):
        load("svhn", "test")


@pytest.mark.parametrize("name", [n for n in CATALOGUE if n != "digits"])
def test_every_absent_data_set_says_how_to_get_it(tmp_path: Path, name: str):
    for split in CATALOGUE[name].split_names:
        with pytest.raises(AbsentDataError, match=f"`hyperlearning data fetch {name} "):
            load(name, split, root=tmp_path)


@given(st.sampled_from(sorted(CATALOGUE)), st.randoms(use_true_random=False))
def test_names_are_found_whatever_their_case_and_hyphens(name: str, random: object):
    varied = "".join(c.upper() if random.random() < 0.5 else c for c in name)  # pyright: ignore[reportAttributeAccessIssue]
    assert find(varied.replace("_", "-")) is CATALOGUE[name]


@pytest.mark.parametrize(
    ("name", "near"),
    [("mnits", "mnist"), ("omniglott", "omniglot"), ("cifar-1000", "cifar100"), ("fashion", "fashion_mnist"), ("", "")],
)
def test_an_unknown_name_names_the_nearest(name: str, near: str):
    with pytest.raises(DataError, match=f"but got '{name}'. Did you mean '{near}"):
        load(name, "train")


def test_an_unknown_split_names_those_there_are(tmp_path: Path):
    with pytest.raises(DataError, match="a split of Omniglot among background, evaluation, but got 'train'"):
        load("omniglot", "train", root=tmp_path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"labels": np.arange(6) + 5}, "labels from 0 to 9 in .* but got 5 to 10"),
        ({"labels": np.arange(6) - 1}, "but got -1 to 4"),
        ({"labels": np.arange(5)}, r"Expected 6 whole-numbered labels .* but got int64 of \(5,\)"),
        ({"labels": np.arange(6.0)}, "but got float64"),
        ({"images": np.zeros((6, 28, 28))}, "uint8 images .* but got float64"),
        ({"images": np.zeros((6, 28, 27), np.uint8)}, r"but got uint8 of \(6, 28, 27\)"),
        ({"images": np.zeros((6, 28, 28, 3), np.uint8)}, r"but got uint8 of \(6, 28, 28, 3\)"),
        ({"images": np.zeros((0, 28, 28), np.uint8), "labels": np.arange(0)}, r"but got uint8 of \(0, 28, 28\)"),
        ({"class_names": np.array([str(i) for i in range(11)])}, "names of 1 to 10 classes"),
        ({"class_names": np.arange(10)}, "names of 1 to 10 classes .* but got int64"),
        ({"class_names": np.array(["a", "b"])}, "labels from 0 to 1 in .* but got 0 to 5"),
        ({"coarse_labels": np.arange(3)}, "Expected 6 whole numbers as 'coarse_labels'"),
    ],
)
def test_arrays_that_are_not_the_data_set_are_refused(tmp_path: Path, change: Arrays, expected: str):
    put(tmp_path, "mnist", "train", small_mnist() | change)
    with pytest.raises(DataError, match=expected):
        load("mnist", "train", root=tmp_path)


def test_more_images_than_the_split_has_are_refused(tmp_path: Path):
    images, labels = np.zeros((365, 28, 28), np.uint8), np.zeros(365, np.int64)
    digits = CATALOGUE["digits"]
    with pytest.raises(DataError, match=r"at most the 364 images of .* test split in .* but got 365"):
        prepared.check_arrays(digits, "test", {"images": images[:, :8, :8], "labels": labels}, tmp_path)


def test_a_missing_array_is_named(tmp_path: Path):
    put(tmp_path, "mnist", "test", {"images": canonical.numbers(2, 28, 28)})
    with pytest.raises(DataError, match="but labels is not there"):
        load("mnist", "test", root=tmp_path)


def test_python_objects_in_a_prepared_file_are_never_unpickled(tmp_path: Path):
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    path = tmp_path / "mnist" / "train.npz"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for key in ("images", "labels"):
            archive.writestr(f"{key}.npy", header.getvalue() + pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"'images\.npy' holds pickles"):
        load("mnist", "train", root=tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path: Path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 45, 28, 28)})
    path = tmp_path / "mnist" / "train.npz"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(DataError, match=r"bytes in 'images\.npy' of .* but got 0"):
        load("mnist", "train", root=tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", b"<html>404</html>"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes):
    path = put(tmp_path, "mnist", "train", small_mnist())
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a prepared \.npz at .*train\.npz, but it cannot be read"):
        load("mnist", "train", root=tmp_path)


@settings(max_examples=80)
@given(data=st.data())
def test_loading_survives_any_change_of_a_prepared_file(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    root = tmp_path_factory.mktemp("root", numbered=True)
    path = put(root, "mnist", "train", small_mnist(3))
    content = bytearray(path.read_bytes())
    near = st.one_of(
        st.integers(0, 200), st.integers(0, len(content) - 1), st.integers(len(content) - 250, len(content) - 1)
    )
    for place, value in data.draw(st.lists(st.tuples(near, st.integers(0, 255)), min_size=1, max_size=5)):
        content[place] = value
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path.write_bytes(bytes(content[:end]))
    with suppress(DataError):
        loaded = load("mnist", "train", root=root)
        assert 0 <= int(loaded.labels.min()) <= int(loaded.labels.max()) < 10


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from(["images", "labels", "drawer_id", "more"]),
        st.tuples(st.sampled_from(["uint8", "int64", "float32"]), st.lists(st.integers(0, 5), max_size=3)),
        min_size=1,
    )
)
def test_a_prepared_file_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, kinds: dict):
    path = tmp_path_factory.mktemp("prepared", numbered=True) / "set" / "train.npz"
    arrays = {key: canonical.numbers(*shape).astype(dtype) for key, (dtype, shape) in kinds.items()}
    prepared.write_arrays(path, arrays)
    again = prepared.read_arrays(path)
    assert again.keys() == arrays.keys()
    assert {key: (value.shape, value.dtype) for key, value in arrays.items()} == prepared.read_headers(path)
    for key, value in arrays.items():
        np.testing.assert_array_equal(again[key], value)


def test_pictures_may_be_prepared_as_jpegs(tmp_path: Path):
    pictures = [canonical.picture(canonical.numbers(84, 84, 3, seed=i), "JPEG") for i in range(3)]
    offsets = np.cumsum([0, *map(len, pictures)])
    arrays = {
        "jpeg_bytes": np.frombuffer(b"".join(pictures), np.uint8),
        "offsets": offsets,
        "labels": np.array([0, 1, 1]),
        "wnids": np.array(["n1", "n2"]),
    }
    put(tmp_path, "mini_imagenet", "val", arrays)
    loaded = load("mini_imagenet", "val", root=tmp_path)
    assert tuple(loaded.images.shape) == (3, 3, 84, 84)
    assert loaded.class_names == ("n1", "n2")
    put(tmp_path, "mini_imagenet", "test", arrays | {"jpeg_bytes": arrays["jpeg_bytes"] * 0})
    with pytest.raises(DataError, match="a JPEG file in 'picture 0' at"):
        load("mini_imagenet", "test", root=tmp_path)


def test_the_digits_are_built_in(tmp_path: Path):
    digits = load("digits", "train", root=tmp_path / "nowhere")
    assert tuple(digits.images.shape) == (1433, 1, 8, 8)
    assert not digits.is_subset
    assert digits.class_names == tuple("0123456789")


@pytest.mark.parametrize(("name", "entry"), CATALOGUE.items(), ids=CATALOGUE)
def test_every_entry_of_the_catalogue_is_whole(name: str, entry: DataSet):
    assert entry.name == name
    assert all(0 < split.num_classes <= split.num_images for _, split in entry.splits)
    assert {file for _, split in entry.splits for file in split.files} == {file.name for file in entry.files}
    for file in entry.files:
        assert file.md5 is None or len(bytes.fromhex(file.md5)) == 16
        assert file.urls or entry.by_hand
        assert all(url.endswith(f"/{file.name}") for url in file.urls)
    assert len(entry.class_names) in (0, entry.splits[0][1].num_classes)
