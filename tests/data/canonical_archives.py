"""Small archives in each canonical format, made from small prepared arrays."""

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import scipy.io
from PIL import Image

from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.data_set import DataSet

IDX_FILES = tuple(file.name for file in CATALOGUE["mnist"].files)


def numbers(*shape: int, below: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, below, shape).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def idx_gz(array: np.ndarray) -> bytes:
    return gzip.compress(idx(array), compresslevel=1)


def emnist_members(images: np.ndarray, labels: np.ndarray) -> dict[str, bytes]:
    """Upright images, which the archive holds on their sides, in both splits, beside a part that is not read."""
    parts = {"images-idx3": images.transpose(0, 2, 1), "labels-idx1": labels}
    return {
        f"gzip/emnist-{part}-{split}-{kind}-ubyte.gz": idx_gz(array)
        for part in ("byclass", "letters")
        for split in ("train", "test")
        for kind, array in parts.items()
    }


def tar_gz(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def _records(labels: list[np.ndarray], images: np.ndarray) -> bytes:
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([*(label[:, None] for label in labels), planes], axis=1).astype(np.uint8).tobytes()


def cifar10_members(images: np.ndarray, labels: np.ndarray) -> dict[str, bytes]:
    """Five batches of the images for training, and all of them again for testing."""
    folder = "cifar-10-batches-bin/"
    batches = zip(np.array_split(labels, 5), np.array_split(images, 5), strict=True)
    members = {f"{folder}data_batch_{i}.bin": _records([y], x) for i, (y, x) in enumerate(batches, start=1)}
    names = "\n".join(CATALOGUE["cifar10"].class_names) + "\n\n"
    return members | {
        f"{folder}test_batch.bin": _records([labels], images),
        f"{folder}batches.meta.txt": names.encode(),
    }


def cifar100_members(images: np.ndarray, fine: np.ndarray, coarse: np.ndarray) -> dict[str, bytes]:
    records = _records([coarse, fine], images)
    texts = {
        "fine_label_names.txt": "\n".join(f"fine_{i}" for i in range(100)),
        "coarse_label_names.txt": "\n".join(f"coarse_{i}" for i in range(20)),
    }
    members = {"train.bin": records, "test.bin": records} | {name: text.encode() for name, text in texts.items()}
    return {f"cifar-100-binary/{name}": content for name, content in members.items()}


def svhn_mat(images: np.ndarray, labels: np.ndarray) -> bytes:
    content = io.BytesIO()
    values = {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]}
    scipy.io.savemat(content, values, do_compression=True)
    return content.getvalue()


def picture(pixels: np.ndarray, form: str, **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form, **options)
    return content.getvalue()


def omniglot_members(drawings: np.ndarray, names: list[str], folder: str = "images_background") -> dict[str, bytes]:
    """`drawings` are (N, 105, 105) with ink 1; `names` such as `Greek/character01/0001_01`."""
    return {f"{folder}/{name}.png": picture(drawing == 0, "PNG") for drawing, name in zip(drawings, names, strict=True)}


def small_omniglot() -> tuple[np.ndarray, list[str]]:
    """Two alphabets of two characters, three drawings each."""
    drawings = numbers(12, 105, 105, below=5) == 0
    keys = [(a, c, d) for a in range(2) for c in range(2) for d in range(3)]
    return drawings, [f"Alphabet_{a}/character{c + 1:02}/{2 * a + c + 1:04}_{d + 1:02}" for a, c, d in keys]


def mini_members(side: int = 84, folder: str = "mini/") -> dict[str, bytes]:
    """Two classes a split, two pictures each."""
    return {
        f"{folder}{split}/n0000000{c}/image_{i}.jpg": picture(numbers(side, side, 3, seed=4 * s + 2 * c + i), "JPEG")
        for s, split in enumerate(("train", "val", "test"))
        for c in range(2)
        for i in range(2)
    }


def small_archives(name: str) -> dict[str, bytes]:
    """Every file of a data set, in small, by its canonical name."""
    colours, labels = numbers(10, 32, 32, 3), np.arange(10)
    if name in ("mnist", "fashion_mnist", "kmnist"):
        grey = (numbers(7, 28, 28), np.arange(7), numbers(5, 28, 28, seed=1), np.arange(5))
        return dict(zip(IDX_FILES, map(idx_gz, grey), strict=True))
    if name == "emnist":
        return {"gzip.zip": zipped(emnist_members(numbers(7, 28, 28), np.arange(7)))}
    if name == "cifar10":
        return {"cifar-10-binary.tar.gz": tar_gz(cifar10_members(colours, labels))}
    if name == "cifar100":
        return {"cifar-100-binary.tar.gz": tar_gz(cifar100_members(colours, labels + 90, labels + 10))}
    if name == "svhn":
        return {f"{split}_32x32.mat": svhn_mat(colours, labels) for split in ("train", "test")}
    if name == "omniglot":
        drawings, names = small_omniglot()
        return {f"images_{s}.zip": zipped(omniglot_members(drawings, names, s)) for s in ("background", "evaluation")}
    return {"mini_imagenet.zip": zipped(mini_members())}


def served_from(data_set: DataSet, url: str, archives: dict[str, bytes]) -> DataSet:
    """The same data set with its files at another address and with their MD5s."""
    files = tuple(
        replace(file, urls=(f"{url}/{file.name}",), md5=hashlib.md5(archives[file.name]).hexdigest())
        for file in data_set.files
    )
    return replace(data_set, files=files)
