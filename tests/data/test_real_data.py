"""The real data sets, where `HYPERLEARNING_DATA` names a folder that holds them: known facts about each."""

import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.data import canonical_archives as canonical

from hyperlearning.data import prepared
from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.images import ImageSet, load
from hyperlearning.data.pictures import read_omniglot
from hyperlearning.data.readers import read_cifar100, read_idx

ROOT = os.environ.get("HYPERLEARNING_DATA", "")
pytestmark = pytest.mark.skipif(not Path(ROOT or "/nowhere").is_dir(), reason="HYPERLEARNING_DATA names no folder")


def real(name: str, split: str) -> ImageSet:
    data_set = CATALOGUE[name]
    if not (data_set.is_built_in or prepared.split_path(data_set, split, Path(ROOT)).is_file()):
        pytest.skip(f"{name}/{split}.npz is not under HYPERLEARNING_DATA")
    return load(name, split, root=ROOT)


@pytest.mark.parametrize(("name", "split"), [(name, s) for name, entry in CATALOGUE.items() for s in entry.split_names])
def test_every_split_has_the_shape_and_the_labels_of_the_catalogue(name: str, split: str):
    loaded = real(name, split)
    entry = CATALOGUE[name]
    assert tuple(loaded.images.shape[1:]) == entry.shape
    assert loaded.images.dtype == torch.uint8
    assert loaded.num_classes == entry.split(split).num_classes
    assert loaded.labels.unique().tolist() == list(range(loaded.num_classes))
    assert len(loaded) <= entry.split(split).num_images
    assert len(loaded.class_names) == loaded.num_classes
    assert (int(loaded.images.min()), int(loaded.images.max())) == (0, 255)


def test_mnist_is_bit_exact():
    train, test = real("mnist", "train"), real("mnist", "test")
    digests = []
    for part in (train, test):
        header = bytes((0, 0, 8, 3)) + struct.pack(">3I", len(part), 28, 28)
        labels = canonical.idx(part.labels.numpy())
        digests += [hashlib.md5(header + part.images.numpy().tobytes()), hashlib.md5(labels)]
    assert [digest.hexdigest() for digest in digests] == [
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ]


def test_the_reader_of_idx_files_gives_back_mnist(tmp_path: Path):
    test = real("mnist", "test")
    paths = (tmp_path / "images", tmp_path / "labels")
    for path, array in zip(paths, (test.images[:, 0].numpy(), test.labels.numpy()), strict=True):
        path.write_bytes(canonical.idx_gz(array))
    arrays = read_idx(paths, "test")
    np.testing.assert_array_equal(arrays["images"], test.images[:, 0].numpy())
    np.testing.assert_array_equal(arrays["labels"], test.labels.numpy())
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_fashion_mnist_has_its_published_mean_and_deviation():
    train = real("fashion_mnist", "train")
    histogram = np.bincount(train.images.numpy().reshape(-1), minlength=256) / train.images.numel()
    levels = np.arange(256) / 255
    mean = (histogram * levels).sum()
    assert mean == pytest.approx(0.2860, abs=5e-5)
    assert np.sqrt((histogram * levels**2).sum() - mean**2) == pytest.approx(0.3530, abs=5e-5)
    assert train.labels.bincount().tolist() == [6000] * 10


@pytest.mark.parametrize(("name", "split"), [("kmnist", "test"), ("cifar10", "train"), ("cifar100", "test")])
def test_classes_are_balanced(name: str, split: str):
    counts = real(name, split).labels.bincount()
    assert counts.min() == counts.max()


def test_every_fine_class_of_cifar100_has_one_coarse_class():
    loaded = real("cifar100", "train")
    pairs = torch.stack([loaded.labels, loaded.ids["coarse"]]).unique(dim=1)
    assert pairs.shape == (2, 100)
    assert pairs[1].bincount().tolist() == [5] * 20
    assert loaded.class_names[0] == "apple"


def test_the_reader_of_cifar100_gives_back_real_images(tmp_path: Path):
    loaded = real("cifar100", "test")
    images = loaded.images[:200].permute(0, 2, 3, 1).numpy()
    members = canonical.cifar100_members(images, loaded.labels[:200].numpy(), loaded.ids["coarse"][:200].numpy())
    (tmp_path / "a.tar.gz").write_bytes(canonical.tar_gz(members))
    arrays = read_cifar100((tmp_path / "a.tar.gz",), "test")
    np.testing.assert_array_equal(arrays["images"], images)
    np.testing.assert_array_equal(arrays["labels"], loaded.labels[:200].numpy())


@pytest.mark.parametrize(("split", "num_alphabets", "first"), [("background", 30, 0), ("evaluation", 20, 964)])
def test_omniglot_has_twenty_drawings_of_every_character(split: str, num_alphabets: int, first: int):
    loaded = real("omniglot", split)
    assert not loaded.is_subset
    assert set(loaded.labels.bincount().tolist()) == {20}
    assert loaded.class_names == tuple(sorted(loaded.class_names))
    pairs = torch.stack([loaded.labels, loaded.ids["character"]]).unique(dim=1)
    assert pairs[0].tolist() == list(range(loaded.num_classes))
    assert sorted(pairs[1].tolist()) == list(range(first, first + loaded.num_classes))
    assert len(loaded.ids["alphabet"].unique()) == num_alphabets
    assert loaded.ids["drawer"].unique().tolist() == list(range(1, 21))


@pytest.mark.parametrize("split", ["background", "evaluation"])
def test_the_reader_of_omniglot_gives_back_the_prepared_arrays(tmp_path: Path, split: str):
    loaded = real("omniglot", split)
    first = loaded.ids["alphabet"] == loaded.ids["alphabet"].min()
    published = prepared.read_arrays(prepared.split_path(CATALOGUE["omniglot"], split, Path(ROOT)))
    packed = published["images105_packed"][first.numpy()]
    drawings = np.unpackbits(packed, axis=1, count=105 * 105).reshape(-1, 105, 105) > 0
    ids = zip(
        loaded.labels[first].tolist(), loaded.ids["character"].tolist(), loaded.ids["drawer"].tolist(), strict=False
    )
    names = [f"{loaded.class_names[label]}/{character + 1:04}_{drawer:02}" for label, character, drawer in ids]
    path = tmp_path / "images.zip"
    path.write_bytes(canonical.zipped(canonical.omniglot_members(drawings, names, f"images_{split}")))
    arrays = read_omniglot((path,), split)
    count = int(first.sum())
    for key in ("images", "images105_packed", "labels", "character_id", "alphabet_id", "drawer_id"):
        np.testing.assert_array_equal(arrays[key], published[key][:count])
        assert arrays[key].dtype == published[key].dtype


def test_no_class_of_mini_imagenet_is_in_two_splits():
    names = [real("mini_imagenet", split).class_names for split in ("train", "val", "test")]
    assert len(set().union(*names)) == 100
