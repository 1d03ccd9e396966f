"""The prepared form: under the data root a folder a data set, in it one compressed `.npz` a split, without pickles."""

import io
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import platformdirs

from hyperlearning.core.atomic_files import write_atomically
from hyperlearning.data.archives import DEFAULT_LIMITS
from hyperlearning.data.data_set import DataSet
from hyperlearning.data.errors import AbsentDataError, DataError, reading
from hyperlearning.data.readers import Arrays

ROOT_VARIABLE = "HYPERLEARNING_DATA"
"""The environment variable that names the data root."""

CLASS_NAMES = ("class_names", "fine_names", "character_names", "wnids")
"""Keys under which a prepared file may name its classes."""

IDS = {"character_id": "character", "alphabet_id": "alphabet", "drawer_id": "drawer", "coarse_labels": "coarse"}
"""Keys of further numbers of each image, and what they are called in an `ImageSet`."""

Headers = dict[str, tuple[tuple[int, ...], np.dtype]]
"""Shape and dtype of each array of a file."""


def data_root(root: Path | None = None) -> Path:
    """Finds the folder that data lie in: the one given, else `HYPERLEARNING_DATA`, else the user's cache.

    Args:
        root: A folder, or none.

    Returns:
        The folder, which need not exist.
    """
    if root is not None:
        return root
    named = os.environ.get(ROOT_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("hyperlearning") / "data"


def split_path(data_set: DataSet, split: str, root: Path) -> Path:
    """Where a split's prepared file lies.

    Args:
        data_set: An entry of the catalogue.
        split: The split's name.
        root: The data root.

    Returns:
        The path of its `.npz`.

    Raises:
        DataError: If the data set has no such split.
    """
    data_set.split(split)
    return root / data_set.name / f"{split}.npz"


def source_folder(data_set: DataSet, root: Path) -> Path:
    """Where a data set's files lie as published, downloaded or placed by hand.

    Args:
        data_set: An entry of the catalogue.
        root: The data root.

    Returns:
        The folder, which need not exist.
    """
    return root / data_set.name / "raw"


def absent(data_set: DataSet, split: str, root: Path, *, is_default_root: bool) -> AbsentDataError:
    """Says what is missing, which command fetches it, and where it goes by hand.

    Args:
        data_set: An entry of the catalogue.
        split: The split that was wanted.
        root: The data root.
        is_default_root: Whether the command finds this root by itself.

    Returns:
        The error to raise.
    """
    state = f"it holds no {data_set.name}/{split}.npz"
    if not root.exists():
        state = "there is no such folder"
    elif not root.is_dir():
        state = "that is a file"
    elif not any(root.iterdir()):
        state = "that folder is empty"
    command = f"hyperlearning data fetch {data_set.name}" + ("" if is_default_root else f" --data-root {root}")
    files = data_set.by_hand or ", ".join(data_set.split(split).files)
    folder = source_folder(data_set, root)
    if data_set.by_hand:
        how = f"It cannot be downloaded: put {files} into {folder}, then run `{command}`."
    else:
        how = f"Run `{command}`; without a network, put {files} into {folder} first."
    return AbsentDataError(
        f"Expected the {split} split of {data_set.title} under the data root {root}, but {state}. {how}"
    )


def read_headers(path: Path) -> Headers:
    """Reads what a prepared file holds without reading the arrays.

    Args:
        path: The `.npz`.

    Returns:
        Shape and dtype of each array.

    Raises:
        DataError: If it is damaged, holds Python objects, or claims more than it has.
    """
    with reading(path, "a prepared .npz"), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        DEFAULT_LIMITS.check(path, sum(member.file_size for member in members), path.stat().st_size)
        return {member.filename.removesuffix(".npy"): _read_header(path, archive, member) for member in members}


def _read_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        start = file.tell()
    if dtype.hasobject:
        raise DataError(
            f"Expected only numbers and text in {path}, but '{member.filename}' holds pickles. It is not read."
        )
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed != member.file_size - start:
        raise DataError(
            f"Expected {claimed} bytes in '{member.filename}' of {path}, but got {member.file_size - start}."
        )
    return shape, dtype


def read_arrays(path: Path, keys: Iterable[str] | None = None) -> Arrays:
    """Reads a prepared file.

    Args:
        path: The `.npz`.
        keys: Arrays to read, where they are there; all if absent.

    Returns:
        The arrays.

    Raises:
        DataError: If it is damaged or holds Python objects.
    """
    headers = read_headers(path)
    wanted = headers.keys() if keys is None else headers.keys() & set(keys)
    with reading(path, "a prepared .npz"), np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in sorted(wanted)}


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Writes a prepared file atomically.

    Args:
        path: The `.npz`; its folder is made.
        arrays: What it shall hold.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, content.getvalue())


def check_arrays(data_set: DataSet, split: str, arrays: Arrays, path: Path) -> None:
    """Checks a split's arrays against the catalogue: kinds, shapes, counts and the range of labels.

    Args:
        data_set: An entry of the catalogue.
        split: The split's name.
        arrays: At least `images` and `labels`.
        path: Where they come from, for the error.

    Raises:
        DataError: If they are not what the catalogue says. Fewer images or classes than in the whole split are allowed.
    """
    missing = {"images", "labels"} - arrays.keys()
    if missing:
        raise DataError(
            f"Expected the arrays images and labels in {path}, but {' and '.join(sorted(missing))} is not there."
        )
    images, labels = arrays["images"], arrays["labels"]
    channels, height, width = data_set.shape
    shape = (height, width) if channels == 1 else (height, width, channels)
    if images.dtype != np.uint8 or images.shape[1:] != shape or len(images) == 0:
        raise DataError(
            f"Expected uint8 images of shape (N, {', '.join(map(str, shape))}) in {path}, but got {images.dtype} of "
            f"{images.shape}."
        )
    if labels.dtype.kind not in "iu" or labels.shape != (len(images),):
        raise DataError(
            f"Expected {len(images)} whole-numbered labels in {path}, but got {labels.dtype} of {labels.shape}."
        )
    num_classes = count_classes(data_set, split, arrays, path)
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"Expected labels from 0 to {num_classes - 1} in {path}, but got {labels.min()} to {labels.max()}."
        )
    _check_counts(data_set, split, arrays, path)


def count_classes(data_set: DataSet, split: str, arrays: Arrays, path: Path) -> int:
    """Counts a split's classes: as many as it names, else as the catalogue says.

    Args:
        data_set: An entry of the catalogue.
        split: The split's name.
        arrays: The split's arrays.
        path: Where they come from, for the error.

    Returns:
        The number of classes.

    Raises:
        DataError: If more are named than the catalogue knows, or none.
    """
    limit = data_set.split(split).num_classes
    names = next((arrays[key] for key in CLASS_NAMES if key in arrays), None)
    if names is None:
        return limit
    if names.ndim != 1 or names.dtype.kind != "U" or not 0 < len(names) <= limit:
        raise DataError(f"Expected names of 1 to {limit} classes in {path}, but got {names.dtype} of {names.shape}.")
    return len(names)


def _check_counts(data_set: DataSet, split: str, arrays: Arrays, path: Path) -> None:
    count, most = len(arrays["images"]), data_set.split(split).num_images
    if count > most:
        raise DataError(
            f"Expected at most the {most:,} images of {data_set.title}'s {split} split in {path}, but got {count:,}."
        )
    for key in IDS.keys() & arrays.keys():
        if arrays[key].shape != (count,) or arrays[key].dtype.kind not in "iu":
            raise DataError(
                f"Expected {count} whole numbers as '{key}' in {path}, but got {arrays[key].dtype} of {arrays[key].shape}."
            )
