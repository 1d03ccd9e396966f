"""Image sets as tensors: read once per process, uint8 until they are on the device.

Shape suffixes: N images, C channels, H height, W width.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from hyperlearning.data import prepared
from hyperlearning.data.catalogue import find
from hyperlearning.data.data_set import DataSet
from hyperlearning.data.pictures import decode_jpegs
from hyperlearning.data.readers import Arrays

_KEYS = ("images", "labels", "jpeg_bytes", "offsets", *prepared.CLASS_NAMES, *prepared.IDS)


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """One split of a data set. Its tensors are shared by everyone who loads it: do not change them in place.

    Attributes:
        name: The data set's name in the catalogue.
        split: The split's name.
        images: (N, C, H, W), uint8.
        labels: (N,), int64, from 0 to `num_classes` - 1.
        num_classes: Classes of the split.
        class_names: Their names by label; empty where the source has none.
        ids: Further numbers of each image by name, (N,) int64: `character`, `alphabet` and `drawer` of Omniglot,
            `coarse` labels of CIFAR-100.
        num_published: Images in the whole split as published.
    """

    name: str
    split: str
    images: UInt8[Tensor, "N C H W"]
    labels: Int64[Tensor, " N"]
    num_classes: int
    class_names: tuple[str, ...]
    ids: Mapping[str, Int64[Tensor, " N"]]
    num_published: int

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.images)

    @property
    def is_subset(self) -> bool:
        """Whether images of the published split are missing, so that scores do not compare with published ones."""
        return len(self) < self.num_published


def load(name: str, split: str, *, root: Path | str | None = None) -> ImageSet:
    """Loads a split; a second call with the same file gives the same tensors.

    >>> digits = load("digits", "test")
    >>> tuple(digits.images.shape), digits.num_classes
    ((364, 1, 8, 8), 10)

    Args:
        name: A data set of the catalogue, such as `omniglot`.
        split: One of its splits.
        root: The data root; else the environment variable `HYPERLEARNING_DATA`, else the user's cache.

    Returns:
        The split's images and labels.

    Raises:
        DataError: If there is no such data set or split, or its file is not what the catalogue says.
        AbsentDataError: If it is not under the data root; the message names the command that fetches it.
    """
    data_set = find(name)
    data_set.split(split)
    if data_set.is_built_in:
        return _read_once(data_set, split, Path(), (0, 0))
    folder = prepared.data_root(None if root is None else Path(root))
    path = prepared.split_path(data_set, split, folder)
    if not path.is_file():
        raise prepared.absent(data_set, split, folder, is_default_root=root is None)
    state = path.stat()
    return _read_once(data_set, split, path.resolve(), (state.st_mtime_ns, state.st_size))


# Explicitly one cache for the process: a population's workers and every stream share one copy of the images.
@functools.lru_cache(maxsize=64)
def _read_once(data_set: DataSet, split: str, path: Path, version: tuple[int, int]) -> ImageSet:
    return _to_image_set(data_set, split, read_split(data_set, split, path), path)


def read_split(data_set: DataSet, split: str, path: Path) -> Arrays:
    """Reads and checks a split's arrays, whatever prepared form they have.

    Args:
        data_set: An entry of the catalogue.
        split: The split's name.
        path: Its prepared file; not looked at for a built-in data set.

    Returns:
        The arrays, `images` decoded.

    Raises:
        DataError: If they are not what the catalogue says.
    """
    if data_set.is_built_in:
        arrays = data_set.reader((), split)
    else:
        arrays = prepared.read_arrays(path, _KEYS)
        if "images" not in arrays and {"jpeg_bytes", "offsets"} <= arrays.keys():
            arrays["images"] = decode_jpegs(path, arrays.pop("jpeg_bytes"), arrays.pop("offsets"))
    prepared.check_arrays(data_set, split, arrays, path)
    return arrays


def _to_image_set(data_set: DataSet, split: str, arrays: Arrays, path: Path) -> ImageSet:
    images = arrays["images"]
    planes = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    names = next((tuple(map(str, arrays[key])) for key in prepared.CLASS_NAMES if key in arrays), data_set.class_names)
    ids = {name: _int64(arrays[key]) for key, name in prepared.IDS.items() if key in arrays}
    return ImageSet(
        name=data_set.name,
        split=split,
        images=torch.from_numpy(np.ascontiguousarray(planes)),
        labels=_int64(arrays["labels"]),
        num_classes=prepared.count_classes(data_set, split, arrays, path),
        class_names=names,
        ids=MappingProxyType(ids),
        num_published=data_set.split(split).num_images,
    )


def _int64(values: np.ndarray) -> Int64[Tensor, " N"]:
    return torch.from_numpy(values.astype(np.int64))
