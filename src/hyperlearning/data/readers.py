"""From a canonical file to arrays, one function a format. Nothing is unpickled, whatever a file holds.

Every reader takes the files of a split and the split's name, and returns the arrays of the prepared form: `images`, uint8,
(N, H, W) or (N, H, W, 3), `labels`, int64, (N,), and what the source says beyond that.
"""

import struct
from pathlib import Path

import numpy as np

from hyperlearning.data.archives import gunzip, read_gzip, read_tar_gzip, read_zip
from hyperlearning.data.errors import DataError, reading
from hyperlearning.data.matlab import read_matlab

Arrays = dict[str, np.ndarray]
"""The arrays of one split."""

_UNSIGNED_BYTE = 0x08
_CIFAR_PIXELS = 3 * 32 * 32
_TRAIN_SHARE = 0.8


def read_idx(paths: tuple[Path, ...], split: str) -> Arrays:
    """Reads a pair of gzipped IDX files, images first, as MNIST and its relatives come.

    Args:
        paths: The file of images and the file of labels.
        split: Not looked at: the files are the split's own.

    Returns:
        `images` (N, H, W) and `labels`.

    Raises:
        DataError: If a header is not that of unsigned bytes in three or one dimensions, or does not fit the content.
    """
    images_path, labels_path = paths
    images = _idx_array(read_gzip(images_path), 3, str(images_path))
    labels = _idx_array(read_gzip(labels_path), 1, str(labels_path))
    _check_lengths(images_path, len(images), len(labels))
    return {"images": images, "labels": labels.astype(np.int64)}


def read_emnist(paths: tuple[Path, ...], split: str) -> Arrays:
    """Reads the "by class" part of EMNIST's zip of gzipped IDX files, whose images lie on their sides, and turns them upright.

    Args:
        paths: The archive.
        split: `train` or `test`.

    Returns:
        `images` (N, 28, 28), and `labels`: digits, then capitals, then small letters.

    Raises:
        DataError: If the two files are not there, or a header is not as for `read_idx`.
    """
    path = paths[0]
    names = [f"emnist-byclass-{split}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    found = {Path(member).name: content for member, content in read_zip(path, lambda name: Path(name).name in names)}
    if missing := [name for name in names if name not in found]:
        raise DataError(f"Expected {' and '.join(names)} in {path}, but {' and '.join(missing)} is not there.")
    images, labels = (
        _idx_array(gunzip(path, found[name]), num_dimensions, f"{name} of {path}")
        for name, num_dimensions in zip(names, (3, 1), strict=True)
    )
    _check_lengths(path, len(images), len(labels))
    return {"images": np.ascontiguousarray(images.transpose(0, 2, 1)), "labels": labels.astype(np.int64)}


def _idx_array(content: bytes, num_dimensions: int, where: str) -> np.ndarray:
    start = 4 + 4 * num_dimensions
    wanted = bytes((0, 0, _UNSIGNED_BYTE, num_dimensions))
    if len(content) < start or content[:4] != wanted:
        raise DataError(
            f"Expected an IDX file of unsigned bytes in {num_dimensions} dimensions, which begins with {wanted.hex()}, at "
            f"{where}, but got {content[:4].hex() or 'nothing'}."
        )
    shape = struct.unpack(f">{num_dimensions}I", content[4:start])
    if np.prod(shape, dtype=object) != len(content) - start:
        raise DataError(
            f"Expected {' x '.join(map(str, shape))} bytes after the header of {where}, but got {len(content) - start}."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def read_cifar10(paths: tuple[Path, ...], split: str) -> Arrays:
    """Reads CIFAR-10's binary version: records of one label and 3 x 32 x 32 bytes.

    Args:
        paths: The archive.
        split: `train` or `test`.

    Returns:
        `images` (N, 32, 32, 3), `labels`, and `class_names` if the archive has them.

    Raises:
        DataError: If batches are missing, cut off or labelled out of range, or if it is the pickled version.
    """
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    found = _cifar_members(paths[0], names, ["batches.meta.txt"])
    records = np.concatenate([_cifar_records(paths[0], name, found[name], (10,)) for name in names])
    arrays = {"images": _cifar_images(records[:, 1:]), "labels": records[:, 0].astype(np.int64)}
    return arrays | _cifar_names(found, {"class_names": ("batches.meta.txt", 10)})


def read_cifar100(paths: tuple[Path, ...], split: str) -> Arrays:
    """Reads CIFAR-100's binary version: records of a coarse label, a fine label and 3 x 32 x 32 bytes.

    Args:
        paths: The archive.
        split: `train` or `test`.

    Returns:
        `images` (N, 32, 32, 3), `labels` (fine), `coarse_labels`, and `fine_names` and `coarse_names` if the archive has
        them.

    Raises:
        DataError: If batches are missing, cut off or labelled out of range, or if it is the pickled version.
    """
    name = f"{split}.bin"
    texts = {"fine_names": ("fine_label_names.txt", 100), "coarse_names": ("coarse_label_names.txt", 20)}
    found = _cifar_members(paths[0], [name], [text for text, _ in texts.values()])
    records = _cifar_records(paths[0], name, found[name], (20, 100))
    arrays = {
        "images": _cifar_images(records[:, 2:]),
        "labels": records[:, 1].astype(np.int64),
        "coarse_labels": records[:, 0].astype(np.int64),
    }
    return arrays | _cifar_names(found, texts)


def _cifar_members(path: Path, needed: list[str], welcome: list[str]) -> dict[str, bytes]:
    seen: list[str] = []

    def is_wanted(member: str) -> bool:
        seen.append(Path(member).name)
        return seen[-1] in needed or seen[-1] in welcome

    found = {Path(member).name: content for member, content in read_tar_gzip(path, is_wanted)}
    missing = [name for name in needed if name not in found]
    if missing and {"data_batch_1", "test_batch", "train", "test"} & set(seen):
        raise DataError(
            f"Expected CIFAR's binary version at {path}, but got its Python version, which holds pickles and is never read."
        )
    if missing:
        raise DataError(f"Expected {', '.join(needed)} in {path}, but {', '.join(missing)} is not there.")
    return found


def _cifar_records(path: Path, name: str, content: bytes, num_classes: tuple[int, ...]) -> np.ndarray:
    size = len(num_classes) + _CIFAR_PIXELS
    if not content or len(content) % size:
        raise DataError(f"Expected records of {size} bytes in {name} of {path}, but got {len(content)} bytes.")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    for column, limit in enumerate(num_classes):
        if records[:, column].max() >= limit:
            raise DataError(f"Expected labels below {limit} in {name} of {path}, but got {records[:, column].max()}.")
    return records


def _cifar_images(planes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _cifar_names(found: dict[str, bytes], texts: dict[str, tuple[str, int]]) -> Arrays:
    names = {key: found.get(text, b"").decode("ascii", "replace").split() for key, (text, _) in texts.items()}
    return {key: np.array(value) for key, value in names.items() if len(value) == texts[key][1]}


def read_svhn(paths: tuple[Path, ...], split: str) -> Arrays:
    """Reads SVHN's cropped digits, a MATLAB file of `X` (32, 32, 3, N) and `y` (N, 1), in which 10 stands for 0.

    Args:
        paths: The file.
        split: Not looked at: the file is the split's own.

    Returns:
        `images` (N, 32, 32, 3) and `labels`.

    Raises:
        DataError: If it is not such a file or a label is not among 1..10.
    """
    path = paths[0]
    values = read_matlab(path, {"X": (32, 32, 3, None), "y": (None, 1)})
    images, labels = values["X"], values["y"][:, 0]
    _check_lengths(path, images.shape[3], len(labels))
    if images.dtype != np.uint8:
        raise DataError(f"Expected X of uint8 in {path}, but got {images.dtype}.")
    if len(labels) and not np.isin(labels, np.arange(1, 11)).all():
        raise DataError(f"Expected labels from 1 to 10 in {path}, but got {labels.min()} to {labels.max()}.")
    return {
        "images": np.ascontiguousarray(images.transpose(3, 0, 1, 2)),
        "labels": labels.astype(np.int64) % 10,
    }


def read_digits(paths: tuple[Path, ...], split: str) -> Arrays:
    """Reads scikit-learn's digits: of every class the first four fifths are `train`, the others `test`.

    Drawings of one writer lie together, so most writers of the test split are not in the training split.

    Args:
        paths: None: the digits come with scikit-learn.
        split: `train` or `test`.

    Returns:
        `images` (N, 8, 8), 16 grey levels stretched to 0..255, and `labels`.
    """
    # Imported here: scikit-learn takes a second to load, and only this needs it.
    from sklearn.datasets import load_digits

    with reading(Path("scikit-learn"), "the digits"):
        images, labels = map(np.asarray, load_digits(return_X_y=True))
    is_train = np.zeros(len(labels), bool)
    for digit in range(10):
        places = np.flatnonzero(labels == digit)
        is_train[places[: int(_TRAIN_SHARE * len(places))]] = True
    chosen = is_train if split == "train" else ~is_train
    levels = np.round(images[chosen].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return {"images": levels, "labels": labels[chosen].astype(np.int64)}


def _check_lengths(path: Path, num_images: int, num_labels: int) -> None:
    if num_images != num_labels:
        raise DataError(
            f"Expected as many labels as images beside {path}, but got {num_images} images and {num_labels} labels."
        )
