"""Readers of canonical formats: what goes in comes out, and damaged files give one clear error."""

import gzip
import io
import pickle
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data import canonical_archives as canonical

from hyperlearning.data.archives import Limits
from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.errors import DataError
from hyperlearning.data.matlab import read_matlab
from hyperlearning.data.pictures import decode_jpegs, read_mini_imagenet, read_omniglot
from hyperlearning.data.readers import read_cifar10, read_cifar100, read_digits, read_emnist, read_idx, read_svhn

FORMATS = ("mnist", "emnist", "cifar10", "cifar100", "svhn", "omniglot", "mini_imagenet")


def written(folder: Path, *contents: bytes) -> tuple[Path, ...]:
    paths = tuple(folder / f"file_{i}" for i in range(len(contents)))
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


@given(st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9)), st.integers(0, 99))
def test_idx_files_give_back_the_arrays_they_were_made_from(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int], seed: int
):
    images, labels = canonical.numbers(*shape, seed=seed), canonical.numbers(shape[0], seed=seed)
    paths = written(tmp_path_factory.mktemp("idx"), canonical.idx_gz(images), canonical.idx_gz(labels))
    arrays = read_idx(paths, "train")
    np.testing.assert_array_equal(arrays["images"], images)
    np.testing.assert_array_equal(arrays["labels"], labels)
    assert arrays["labels"].dtype == np.int64


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "begins with 00000803, at .* but got nothing"),
        (b"\x00\x00\x08", "but got 000008"),
        (bytes((0, 0, 0x0D, 3)) + bytes(12), "but got 00000d03"),
        (bytes((0, 0, 8, 1)) + struct.pack(">I", 12) + bytes(12), "but got 00000801"),
        (bytes((8, 0, 0, 3)) + bytes(12), "but got 08000003"),
        (canonical.idx(canonical.numbers(2, 3, 3))[:-1], "2 x 3 x 3 bytes after the header of .* but got 17"),
        (canonical.idx(canonical.numbers(2, 3, 3)) + b"!", "but got 19"),
        (bytes((0, 0, 8, 3)) + struct.pack(">3I", *[2**32 - 1] * 3), "but got 0"),
    ],
)
def test_a_corrupt_idx_header_is_named(tmp_path: Path, content: bytes, expected: str):
    paths = written(tmp_path, gzip.compress(content), canonical.idx_gz(np.zeros(2)))
    with pytest.raises(DataError, match=expected):
        read_idx(paths, "train")


def test_a_truncated_gzip_file_is_named(tmp_path: Path):
    whole = canonical.idx_gz(canonical.numbers(3, 28, 28))
    paths = written(tmp_path, whole[: len(whole) // 2], canonical.idx_gz(np.zeros(3)))
    with pytest.raises(DataError, match=r"gzip file at .*file_0, but it cannot be read"):
        read_idx(paths, "train")


def test_idx_files_of_other_lengths_are_refused(tmp_path: Path):
    paths = written(tmp_path, canonical.idx_gz(canonical.numbers(3, 4, 4)), canonical.idx_gz(np.zeros(2)))
    with pytest.raises(DataError, match="3 images and 2 labels"):
        read_idx(paths, "train")


@pytest.mark.parametrize("split", ["train", "test"])
def test_emnist_is_read_by_class_and_stands_upright(tmp_path: Path, split: str):
    images, labels = canonical.numbers(5, 28, 28), np.array([0, 61, 3, 4, 9])
    (path,) = written(tmp_path, canonical.zipped(canonical.emnist_members(images, labels)))
    arrays = read_emnist((path,), split)
    np.testing.assert_array_equal(arrays["images"], images)
    np.testing.assert_array_equal(arrays["labels"], labels)


def test_another_archive_than_emnist_is_refused_with_what_is_missing(tmp_path: Path):
    (path,) = written(tmp_path, canonical.zipped({"gzip/emnist-letters-test-images-idx3-ubyte.gz": b""}))
    with pytest.raises(DataError, match="emnist-byclass-test-labels-idx1-ubyte"):
        read_emnist((path,), "test")


def test_what_is_not_gzipped_in_emnist_is_named(tmp_path: Path):
    members = canonical.emnist_members(canonical.numbers(2, 28, 28), np.zeros(2))
    broken = {name: content[: len(content) // 2] for name, content in members.items()}
    (path,) = written(tmp_path, canonical.zipped(broken))
    with pytest.raises(DataError, match="an archive of gzip files"):
        read_emnist((path,), "test")


@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar10_gives_back_images_labels_and_names(tmp_path: Path, split: str):
    images, labels = canonical.numbers(10, 32, 32, 3), np.arange(10)[::-1]
    paths = written(tmp_path, canonical.tar_gz(canonical.cifar10_members(images, labels)))
    arrays = read_cifar10(paths, split)
    np.testing.assert_array_equal(arrays["images"], images)
    np.testing.assert_array_equal(arrays["labels"], labels)
    assert tuple(arrays["class_names"]) == CATALOGUE["cifar10"].class_names


@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar100_gives_back_images_and_both_labels(tmp_path: Path, split: str):
    images, fine, coarse = canonical.numbers(6, 32, 32, 3), np.arange(94, 100), np.arange(14, 20)
    paths = written(tmp_path, canonical.tar_gz(canonical.cifar100_members(images, fine, coarse)))
    arrays = read_cifar100(paths, split)
    np.testing.assert_array_equal(arrays["images"], images)
    np.testing.assert_array_equal(arrays["labels"], fine)
    np.testing.assert_array_equal(arrays["coarse_labels"], coarse)
    assert (len(arrays["fine_names"]), len(arrays["coarse_names"])) == (100, 20)


def test_cifar_labels_out_of_range_are_refused(tmp_path: Path):
    images = canonical.numbers(10, 32, 32, 3)
    ten = written(tmp_path, canonical.tar_gz(canonical.cifar10_members(images, np.arange(10) + 1)))
    with pytest.raises(DataError, match=r"below 10 in data_batch_5\.bin .* but got 10"):
        read_cifar10(ten, "train")
    hundred = written(tmp_path, canonical.tar_gz(canonical.cifar100_members(images, np.arange(10), np.arange(10) + 11)))
    with pytest.raises(DataError, match=r"below 20 in test\.bin .* but got 20"):
        read_cifar100(hundred, "test")


def test_a_missing_or_cut_off_cifar_batch_is_named(tmp_path: Path):
    members = canonical.cifar10_members(canonical.numbers(10, 32, 32, 3), np.arange(10))
    batch = "cifar-10-batches-bin/data_batch_3.bin"
    cut = written(tmp_path, canonical.tar_gz(members | {batch: members[batch][:-7]}))
    with pytest.raises(DataError, match=r"records of 3073 bytes in data_batch_3\.bin .* but got 6139"):
        read_cifar10(cut, "train")
    del members[batch]
    with pytest.raises(DataError, match=r"but data_batch_3\.bin is not there"):
        read_cifar10(written(tmp_path, canonical.tar_gz(members)), "train")


class _Trap:
    """Unpickled, it would leave a file behind."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.target,))


def test_a_malicious_pickle_is_never_unpickled(tmp_path: Path):
    trap = pickle.dumps(_Trap(tmp_path / "sprung"))
    names = {"data_batch_1": trap, "test_batch": trap, "train": trap, "test": trap, "batches.meta": trap}
    paths = written(tmp_path, canonical.tar_gz({f"cifar-10-batches-py/{n}": c for n, c in names.items()}))
    for read in (read_cifar10, read_cifar100):
        with pytest.raises(DataError, match=r"binary version .* but got its Python version, which holds pickles"):
            read(paths, "train")
    assert not (tmp_path / "sprung").exists()


def test_svhn_gives_back_images_and_labels_with_ten_as_zero(tmp_path: Path):
    images, labels = canonical.numbers(10, 32, 32, 3), np.arange(10)
    arrays = read_svhn(written(tmp_path, canonical.svhn_mat(images, labels)), "train")
    np.testing.assert_array_equal(arrays["images"], images)
    np.testing.assert_array_equal(arrays["labels"], labels)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "'y' of N x 1 numbers .* but got nothing"),
        ({"X": np.zeros((32, 3, 2), np.uint8), "y": np.ones((2, 1))}, "'X' of 32 x 32 x 3 x N"),
        ({"X": np.zeros((32, 32, 3, 2)), "y": np.ones((2, 1))}, "X of uint8 .* but got float64"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((3, 1))}, "2 images and 3 labels"),
        (
            {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [11]])},
            "'y' of N x 1 numbers .* but got int64",
        ),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[0.0], [1.0]])}, "1 to 10 .* but got 0.0 to 1.0"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1.5], [1.0]])}, "1 to 10"),
    ],
)
def test_a_matlab_file_of_other_contents_is_refused(tmp_path: Path, values: dict[str, np.ndarray], expected: str):
    content = io.BytesIO()
    scipy.io.savemat(content, values)
    with pytest.raises(DataError, match=expected):
        read_svhn(written(tmp_path, content.getvalue()), "train")


def test_a_truncated_matlab_file_is_refused(tmp_path: Path):
    whole = canonical.svhn_mat(canonical.numbers(3, 32, 32, 3), np.arange(3))
    with pytest.raises(DataError, match="it is truncated"):
        read_svhn(written(tmp_path, whole[:-10]), "train")


def test_a_matlab_bomb_is_stopped_before_scipy_sees_it(tmp_path: Path):
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    packed = zlib.compress(bytes(30 << 20))
    paths = written(tmp_path, header + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(DataError, match="at most 100 bytes for each compressed one"):
        read_svhn(paths, "train")
    with pytest.raises(DataError, match="unpack to at most 1,000,000 bytes"):
        read_matlab(paths[0], {"X": (None,)}, Limits(max_bytes=1_000_000))


def test_omniglot_gives_back_drawings_and_who_drew_what(tmp_path: Path):
    drawings, names = canonical.small_omniglot()
    shuffled = np.random.default_rng(0).permutation(len(names))
    members = canonical.omniglot_members(drawings[shuffled], [names[i] for i in shuffled])
    members |= {"__MACOSX/images_background/._0001_01.png": b"not a picture", "images_background/.DS_Store": b""}
    arrays = read_omniglot(written(tmp_path, canonical.zipped(members)), "background")
    unpacked = np.unpackbits(arrays["images105_packed"], axis=1)[:, :11025].reshape(-1, 105, 105)
    np.testing.assert_array_equal(unpacked, drawings)
    np.testing.assert_array_equal(arrays["labels"], np.repeat(np.arange(4), 3))
    np.testing.assert_array_equal(arrays["character_id"], np.repeat(np.arange(4), 3))
    np.testing.assert_array_equal(arrays["alphabet_id"], np.repeat([0, 1], 6))
    np.testing.assert_array_equal(arrays["drawer_id"], np.tile([1, 2, 3], 4))
    assert list(arrays["character_names"][:2]) == ["Alphabet_0/character01", "Alphabet_0/character02"]


def test_small_omniglot_images_are_areas_of_ink_with_ink_high(tmp_path: Path):
    drawing = np.zeros((1, 105, 105), bool)
    drawing[0, 30:75, 30:75] = True
    paths = written(tmp_path, canonical.zipped(canonical.omniglot_members(drawing, ["A/character01/0001_01"])))
    image = read_omniglot(paths, "background")["images"][0]
    assert (image[10:18, 10:18] == 255).all()
    assert (image[:6] == 0).all()
    assert image.mean() == pytest.approx(255 * 45**2 / 105**2, rel=0.01)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "pictures of characters in .* but got none"),
        ({"images/odd.png": b""}, r"CCCC_DD\.png in .* but got 'images/odd\.png'"),
        ({"A/character01/0001_01.png": b"GIF89a"}, "a PNG file in 'A/character01"),
        (
            {"A/character01/0001_01.png": canonical.picture(canonical.numbers(9, 9), "PNG")},
            "105 x 105 .* but got 9 x 9",
        ),
        (
            {"A/character01/0001_01.png": canonical.picture(canonical.numbers(105, 105, 3), "PNG")},
            "but got a picture of mode RGB",
        ),
        ({"A/character01/0001_01.png": canonical.picture(canonical.numbers(105, 105), "PNG")[:900]}, "cannot be read"),
    ],
)
def test_other_pictures_than_omniglots_are_refused(tmp_path: Path, members: dict[str, bytes], expected: str):
    with pytest.raises(DataError, match=expected):
        read_omniglot(written(tmp_path, canonical.zipped(members)), "background")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_mini_imagenet_reads_a_folder_and_a_zip_alike(tmp_path: Path, split: str):
    members = canonical.mini_members(folder="")
    for name, content in members.items():
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    from_folder = read_mini_imagenet((tmp_path / "raw",), split)
    from_zip = read_mini_imagenet(written(tmp_path, canonical.zipped(members)), split)
    for key, value in from_folder.items():
        np.testing.assert_array_equal(value, from_zip[key])
    first = np.asarray(Image.open(io.BytesIO(members[f"{split}/n00000000/image_0.jpg"])))
    np.testing.assert_array_equal(from_folder["images"][0], first)
    assert list(from_folder["labels"]) == [0, 0, 1, 1]
    assert list(from_folder["wnids"]) == ["n00000000", "n00000001"]


def test_larger_pictures_are_resized_to_84_a_side(tmp_path: Path):
    paths = written(tmp_path, canonical.zipped(canonical.mini_members(side=100)))
    assert read_mini_imagenet(paths, "val")["images"].shape == (4, 84, 84, 3)


def test_a_split_that_is_not_in_the_folder_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"pictures in val/CLASS/\*\.jpg"):
        read_mini_imagenet((tmp_path,), "val")


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path):
    jpeg = bytearray(canonical.picture(canonical.numbers(84, 84, 3), "JPEG"))
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    paths = written(tmp_path, canonical.zipped({"train/n1/a.jpg": bytes(jpeg)}))
    with pytest.raises(DataError, match=r"60000|cannot be read"):
        read_mini_imagenet(paths, "train")


@pytest.mark.parametrize("offsets", [[0], [0, 0], [5, 2], [-1, 4], [0, 99], [[0, 1]]])
def test_offsets_that_do_not_fit_the_pictures_are_refused(offsets: list[int]):
    with pytest.raises(DataError, match="growing offsets into the 10 bytes"):
        decode_jpegs(Path("file"), np.zeros(10, np.uint8), np.array(offsets))


def test_the_digits_are_split_by_class_and_nothing_is_lost():
    parts = [read_digits((), split) for split in ("train", "test")]
    counts = np.stack([np.bincount(part["labels"], minlength=10) for part in parts])
    assert counts.sum() == 1797
    np.testing.assert_array_equal(counts[0], (counts.sum(0) * 0.8).astype(int))
    assert [len(p["images"]) for p in parts] == [s.num_images for _, s in CATALOGUE["digits"].splits]
    assert max(part["images"].max() for part in parts) == 255


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("fuzz")


SMALL = {name: tuple(canonical.small_archives(name).values())[:2] for name in FORMATS}


def check_reads_or_refuses(name: str, folder: Path, contents: tuple[bytes, ...]):
    """Anything but arrays or a `DataError` fails the test."""
    data_set = CATALOGUE[name]
    paths = written(folder, *contents)
    with suppress(DataError):
        arrays = data_set.reader(paths, data_set.split_names[0])
        assert len(arrays["images"]) == len(arrays["labels"])


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_readers_survive_any_bytes(scratch: Path, name: str, content: bytes):
    check_reads_or_refuses(name, scratch, tuple(content for _ in SMALL[name]))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_readers_survive_any_change_of_a_valid_file(scratch: Path, name: str, data: st.DataObject):
    content = bytearray(SMALL[name][0])
    near = st.one_of(st.integers(0, min(300, len(content) - 1)), st.integers(0, len(content) - 1))
    for place, value in data.draw(st.lists(st.tuples(near, st.integers(0, 255)), min_size=1, max_size=6)):
        content[place] = value
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    check_reads_or_refuses(name, scratch, (bytes(content[:end]), *SMALL[name][1:]))


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_readers_survive_any_change_inside_the_compression(scratch: Path, name: str, data: st.DataObject):
    content = bytearray(gzip.decompress(SMALL[name][0]))
    near = st.one_of(st.integers(0, min(600, len(content) - 1)), st.integers(0, len(content) - 1))
    for place, value in data.draw(st.lists(st.tuples(near, st.integers(0, 255)), min_size=1, max_size=6)):
        content[place] = value
    check_reads_or_refuses(name, scratch, (gzip.compress(bytes(content), 1), *SMALL[name][1:]))
