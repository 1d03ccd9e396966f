"""The image data sets that the library knows: where each comes from, what it must hold, and what reads it.

The MD5s are those that the data sets' authors or the common loaders publish. A file without one is verified by its format
alone.
"""

import difflib
import string
from collections.abc import Mapping

from hyperlearning.data.data_set import DataSet, SourceFile, Split
from hyperlearning.data.errors import DataError
from hyperlearning.data.pictures import read_mini_imagenet, read_omniglot
from hyperlearning.data.readers import read_cifar10, read_cifar100, read_digits, read_emnist, read_idx, read_svhn


def find(name: str) -> DataSet:
    """Finds a data set by name; case, hyphens and underscores do not matter.

    Args:
        name: Such as `fashion-mnist`.

    Returns:
        The entry of the catalogue.

    Raises:
        DataError: If there is none; the message names the nearest.
    """
    plain = {_plain(known): known for known in CATALOGUE}
    if _plain(name) in plain:
        return CATALOGUE[plain[_plain(name)]]
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.0)
    raise DataError(
        f"Expected a data set among {', '.join(CATALOGUE)}, but got '{name}'. Did you mean '{plain[near[0]]}'?"
    )


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


_DIGIT_NAMES = tuple("0123456789")
_IDX_TRAIN = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
_IDX_TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def _idx_files(bases: tuple[str, ...], md5s: tuple[str, ...], megabytes: tuple[float, ...]) -> tuple[SourceFile, ...]:
    facts = zip((*_IDX_TRAIN, *_IDX_TEST), md5s, megabytes, strict=True)
    return tuple(
        SourceFile(name=name, urls=tuple(base + name for base in bases), md5=md5, megabytes=size)
        for name, md5, size in facts
    )


def _idx_splits() -> tuple[tuple[str, Split], ...]:
    return (
        ("train", Split(num_images=60_000, num_classes=10, files=_IDX_TRAIN)),
        ("test", Split(num_images=10_000, num_classes=10, files=_IDX_TEST)),
    )


def _cifar_splits(file: str, num_classes: int) -> tuple[tuple[str, Split], ...]:
    return (
        ("train", Split(num_images=50_000, num_classes=num_classes, files=(file,))),
        ("test", Split(num_images=10_000, num_classes=num_classes, files=(file,))),
    )


_ENTRIES = (
    DataSet(
        name="omniglot",
        title="Omniglot",
        licence="MIT",
        homepage="https://github.com/brendenlake/omniglot",
        shape=(1, 28, 28),
        splits=(
            ("background", Split(num_images=19_280, num_classes=964, files=("images_background.zip",))),
            ("evaluation", Split(num_images=13_180, num_classes=659, files=("images_evaluation.zip",))),
        ),
        reader=read_omniglot,
        files=(
            SourceFile(
                name="images_background.zip",
                urls=("https://github.com/brendenlake/omniglot/raw/master/python/images_background.zip",),
                md5="68d2efa1b9178cc56df9314c21c6e718",
                megabytes=9.5,
            ),
            SourceFile(
                name="images_evaluation.zip",
                urls=("https://github.com/brendenlake/omniglot/raw/master/python/images_evaluation.zip",),
                md5="6b91aef0f799c5bb55b94e3f2daec811",
                megabytes=6.5,
            ),
        ),
    ),
    DataSet(
        name="mnist",
        title="MNIST",
        licence="CC BY-SA 3.0 (as usually given)",
        homepage="http://yann.lecun.com/exdb/mnist/",
        shape=(1, 28, 28),
        splits=_idx_splits(),
        reader=read_idx,
        files=_idx_files(
            ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
            (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
            (9.9, 0.03, 1.6, 0.005),
        ),
        class_names=_DIGIT_NAMES,
    ),
    DataSet(
        name="fashion_mnist",
        title="Fashion-MNIST",
        licence="MIT",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        shape=(1, 28, 28),
        splits=_idx_splits(),
        reader=read_idx,
        files=_idx_files(
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            ),
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
            (26.4, 0.03, 4.4, 0.005),
        ),
        class_names=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
    ),
    DataSet(
        name="kmnist",
        title="KMNIST",
        licence="CC BY-SA 4.0",
        homepage="https://github.com/rois-codh/kmnist",
        shape=(1, 28, 28),
        splits=_idx_splits(),
        reader=read_idx,
        files=_idx_files(
            ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            (
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
            (18.2, 0.03, 3.0, 0.005),
        ),
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
    DataSet(
        name="emnist",
        title="EMNIST by class",
        licence="none stated",
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        shape=(1, 28, 28),
        splits=(
            ("train", Split(num_images=697_932, num_classes=62, files=("gzip.zip",))),
            ("test", Split(num_images=116_323, num_classes=62, files=("gzip.zip",))),
        ),
        reader=read_emnist,
        files=(
            SourceFile(
                name="gzip.zip",
                urls=("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",),
                md5="58c8d27c78d21e728a6bc7b3cc06412e",
                megabytes=561.8,
            ),
        ),
        class_names=tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase),
    ),
    DataSet(
        name="cifar10",
        title="CIFAR-10",
        licence="none stated",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        shape=(3, 32, 32),
        splits=_cifar_splits("cifar-10-binary.tar.gz", 10),
        reader=read_cifar10,
        files=(
            SourceFile(
                name="cifar-10-binary.tar.gz",
                urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                md5="c32a1d4ab5d03f1284b67883e8d87530",
                megabytes=170.1,
            ),
        ),
        class_names=(
            "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
        ),
    ),
    DataSet(
        name="cifar100",
        title="CIFAR-100",
        licence="none stated",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        shape=(3, 32, 32),
        splits=_cifar_splits("cifar-100-binary.tar.gz", 100),
        reader=read_cifar100,
        files=(
            SourceFile(
                name="cifar-100-binary.tar.gz",
                urls=("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
                md5="03b5dce01913d631647c71ecec9e9cb8",
                megabytes=168.5,
            ),
        ),
    ),
    DataSet(
        name="svhn",
        title="SVHN",
        licence="non-commercial use only",
        homepage="http://ufldl.stanford.edu/housenumbers/",
        shape=(3, 32, 32),
        splits=(
            ("train", Split(num_images=73_257, num_classes=10, files=("train_32x32.mat",))),
            ("test", Split(num_images=26_032, num_classes=10, files=("test_32x32.mat",))),
        ),
        reader=read_svhn,
        files=(
            SourceFile(
                name="train_32x32.mat",
                urls=("http://ufldl.stanford.edu/housenumbers/train_32x32.mat",),
                md5="e26dedcc434d2e4c54c9b2d4a06d8373",
                megabytes=182.0,
            ),
            SourceFile(
                name="test_32x32.mat",
                urls=("http://ufldl.stanford.edu/housenumbers/test_32x32.mat",),
                md5="eb5a983be6a315427106f1b164d9cef3",
                megabytes=64.3,
            ),
        ),
        class_names=_DIGIT_NAMES,
    ),
    DataSet(
        name="mini_imagenet",
        title="mini-ImageNet",
        licence="ImageNet's terms: non-commercial research",
        homepage="https://www.image-net.org/download.php",
        shape=(3, 84, 84),
        splits=(
            ("train", Split(num_images=38_400, num_classes=64, files=("mini_imagenet.zip",))),
            ("val", Split(num_images=9_600, num_classes=16, files=("mini_imagenet.zip",))),
            ("test", Split(num_images=12_000, num_classes=20, files=("mini_imagenet.zip",))),
        ),
        reader=read_mini_imagenet,
        # No checksum: there are many archives of these pictures, so a file is verified by its format alone.
        files=(SourceFile(name="mini_imagenet.zip"),),
        by_hand="folders train, val and test, in each a folder a class (its WordNet id) of JPEGs, or one zip of these",
    ),
    DataSet(
        name="digits",
        title="scikit-learn's digits",
        licence="CC BY 4.0",
        homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        shape=(1, 8, 8),
        splits=(
            ("train", Split(num_images=1_433, num_classes=10)),
            ("test", Split(num_images=364, num_classes=10)),
        ),
        reader=read_digits,
        class_names=_DIGIT_NAMES,
    ),
)  # fmt: skip

CATALOGUE: Mapping[str, DataSet] = {entry.name: entry for entry in _ENTRIES}
"""Every known data set by name."""
