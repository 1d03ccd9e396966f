"""The classes that image systems are trained and deployed on."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from hyperlearning.data.images import load
from hyperlearning.streams.image_pool import ImagePool, image_pool, subset, with_rotated_classes
from hyperlearning.systems.images.settings import DataSettings

_DIGITS_FOR_TRAINING = 7
"""Digits whose rotations are learned from with `--dataset digits`; rotations of the other three are the held-out classes."""


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


def load_pools(data: DataSettings) -> Pools:
    """Loads and arranges the classes.

    Raises:
        AbsentDataError: If a data set is not there; the message names the command that fetches it.
        DataError: If a file is not what the catalogue says.
    """
    read = partial(load, root=Path(data.data_root) if data.data_root else None)
    arrange = partial(image_pool, side=data.side, channels=1)
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


def _digit_pools(data: DataSettings, trained: ImagePool, tested: ImagePool) -> Pools:
    first, rest = torch.arange(_DIGITS_FOR_TRAINING), torch.arange(_DIGITS_FOR_TRAINING, 10)
    turned = with_rotated_classes if data.rotated_classes else (lambda pool: pool)
    return Pools(turned(subset(trained, first)), turned(subset(tested, rest)), tested)
