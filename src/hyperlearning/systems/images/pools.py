"""The classes that image systems are trained and deployed on."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import torch

from hyperlearning.data.images import load
from hyperlearning.streams.image_pool import ImagePool, image_pool, subset, with_rotated_classes
from hyperlearning.systems.images.settings import DataSettings

T = TypeVar("T")

Split = Literal["meta_train", "meta_test", "meta_eval"]
"""Where the classes of lives come from: a field of `Pools`."""

SPLITS: tuple[Split, ...] = ("meta_train", "meta_test", "meta_eval")

SPLIT_NAMES: Mapping[Split, str] = {"meta_train": "meta-train", "meta_test": "meta-test", "meta_eval": "meta-eval"}

_DIGITS_FOR_TRAINING = 7
"""Digits whose rotations are learned from with `--dataset digits`; rotations of the other three are the held-out classes."""


Transfer = Literal["fashion_mnist", "kmnist"]
"""Data sets whose classes are farther from what was trained on than MNIST's digits are."""

TRANSFER_TITLES: Mapping[str, str] = {"fashion_mnist": "Fashion-MNIST", "kmnist": "KMNIST"}


class Pools(NamedTuple):
    """Classes to learn from and to deploy on.

    Attributes:
        meta_train: Classes of hyper-training; lives drawn from them are of images, not of classes, that are new.
        meta_test: Held-out classes of the same data set.
        meta_eval: Another data set: MNIST, its ten digits in order.
    """

    meta_train: ImagePool
    meta_test: ImagePool
    meta_eval: ImagePool

    def of(self, split: Split) -> ImagePool:
        """The classes of a split."""
        return self._asdict()[split]


def load_pools(data: DataSettings) -> Pools:
    """Loads and arranges the classes.

    Raises:
        AbsentDataError: If a data set is not there; the message names the command that fetches it.
        DataError: If a file is not what the catalogue says.
    """
    read = partial(load, root=Path(data.data_root) if data.data_root else None)
    arrange = partial(image_pool, side=data.side, channels=1, device=torch.get_default_device())
    if data.dataset == "digits":
        return _digit_pools(data, arrange([read("digits", "train")]), arrange([read("digits", "test")]))
    sources = [("omniglot", "background")]
    if data.dataset == "mixture":
        sources += [("fashion_mnist", "train"), ("cifar100", "train"), ("mini_imagenet", "train")]
    trained = arrange([read(*source) for source in sources])
    return Pools(
        with_rotated_classes(trained) if data.rotated_classes else trained,
        arrange([read("omniglot", "evaluation")]),
        arrange([read("mnist", "test")]),
    )


def load_transfer(name: Transfer, data: DataSettings) -> ImagePool:
    """Loads the ten classes of a data set that nothing was trained on, in order.

    Raises:
        AbsentDataError: If it is not there; the message names the command that fetches it.
    """
    found = load(name, "test", root=Path(data.data_root) if data.data_root else None)
    return image_pool([found], side=data.side, channels=1, device=torch.get_default_device())


def split_titles(data: DataSettings) -> dict[Split, str]:
    """Says of each split where its classes come from."""
    if data.dataset == "digits":
        turned, last = "rotated " if data.rotated_classes else "", _DIGITS_FOR_TRAINING - 1
        sources = (f"{turned}digits 0-{last}", f"{turned}digits {last + 1}-9", "all ten digits, other images")
    else:
        trained = "Omniglot background" if data.dataset == "omniglot" else "mixture"
        sources = (trained, "Omniglot evaluation", "MNIST")
    by_split: dict[Split, str] = dict(zip(SPLITS, sources, strict=True))
    return per_split(lambda split: f"{SPLIT_NAMES[split]} ({by_split[split]})")


def per_split(make: Callable[[Split], T], splits: Iterable[Split] = SPLITS) -> dict[Split, T]:
    """Makes something of every split."""
    return {split: make(split) for split in splits}


def _digit_pools(data: DataSettings, trained: ImagePool, tested: ImagePool) -> Pools:
    first, rest = torch.arange(_DIGITS_FOR_TRAINING), torch.arange(_DIGITS_FOR_TRAINING, 10)
    turned = with_rotated_classes if data.rotated_classes else (lambda pool: pool)
    return Pools(turned(subset(trained, first)), turned(subset(tested, rest)), tested)
