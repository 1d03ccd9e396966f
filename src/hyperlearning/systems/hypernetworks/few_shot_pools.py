"""Classes that few-shot learners are trained, validated and tested on."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from hyperlearning.data.images import ImageSet, load
from hyperlearning.streams.image_pool import ImagePool, image_pool, subset, with_rotated_classes
from hyperlearning.systems.hypernetworks.few_shot_settings import EpisodeData

_SIDE = 28
_NUM_VALIDATION_ALPHABETS = 5
_NUM_DIGITS_TO_LEARN_FROM = 5


class FewShotPools(NamedTuple):
    """Classes of episodes.

    Attributes:
        train: Those that are learned from.
        validation: Those that choose among what was learned.
        tests: Those that are tested on, by the name of their source.
    """

    train: ImagePool
    validation: ImagePool
    tests: Mapping[str, ImagePool]


def in_domain_pools(data: EpisodeData) -> FewShotPools:
    """Classes of one data set: Omniglot's background alphabets, of which the last five validate, and its evaluation alphabets.

    Of mini-ImageNet the three parts that it is published in.

    Raises:
        AbsentDataError: If the data set is not there; the message names the command that fetches it.
    """
    if data.dataset == "digits":
        return _digit_pools(data)
    if data.dataset == "mini_imagenet":
        parts = [_read(data, "mini_imagenet", split) for split in ("train", "val", "test")]
        train, validation, test = (image_pool([part], device=torch.get_default_device()) for part in parts)
        return FewShotPools(train=_turned(data, train), validation=validation, tests={"mini-ImageNet": test})
    background, evaluation = (_read(data, "omniglot", split) for split in ("background", "evaluation"))
    alphabets = _alphabet_of_classes(background)
    is_held_out = alphabets > int(alphabets.max()) - _NUM_VALIDATION_ALPHABETS
    pool = _arranged(background)
    return FewShotPools(
        train=_turned(data, subset(pool, (~is_held_out).nonzero()[:, 0])),
        validation=subset(pool, is_held_out.nonzero()[:, 0]),
        tests={"Omniglot": _arranged(evaluation)},
    )


def transfer_pools(data: EpisodeData) -> FewShotPools:
    """All of Omniglot but the Latin alphabet, EMNIST's even classes to validate, and other data sets to be tested on.

    Raises:
        AbsentDataError: If a data set is not there; the message names the command that fetches it.
        ValueError: If it is another than Omniglot or digits.
    """
    if data.dataset == "digits":
        return _digit_pools(data)
    if data.dataset == "mini_imagenet":
        raise ValueError(
            "Expected `dataset` to be omniglot or digits, which carry over to other glyphs, but got mini_imagenet."
        )
    sets = [_read(data, "omniglot", split) for split in ("background", "evaluation")]
    is_latin = torch.tensor([name.startswith("Latin/") for one in sets for name in one.class_names])
    emnist = _arranged(_read(data, "emnist", "test"))
    places = torch.arange(emnist.num_classes)
    others = {"MNIST": "mnist", "KMNIST": "kmnist", "Fashion-MNIST": "fashion_mnist"}
    return FewShotPools(
        train=_turned(data, subset(_arranged(*sets), (~is_latin).nonzero()[:, 0])),
        validation=subset(emnist, places[places % 2 == 0]),
        tests={"EMNIST": subset(emnist, places[places % 2 == 1])}
        | {title: _arranged(_read(data, name, "test")) for title, name in others.items()},
    )


def _digit_pools(data: EpisodeData) -> FewShotPools:
    """Quarter turns of five digits, other images of the same, and quarter turns of the other five."""
    trained, tested = (_arranged(_read(data, "digits", split)) for split in ("train", "test"))
    first = torch.arange(_NUM_DIGITS_TO_LEARN_FROM)
    return FewShotPools(
        train=with_rotated_classes(subset(trained, first)),
        validation=with_rotated_classes(subset(tested, first)),
        tests={"digits": with_rotated_classes(subset(tested, first + _NUM_DIGITS_TO_LEARN_FROM))},
    )


def _read(data: EpisodeData, name: str, split: str) -> ImageSet:
    return load(name, split, root=Path(data.data_root) if data.data_root else None)


def _arranged(*sets: ImageSet) -> ImagePool:
    return image_pool(sets, side=_SIDE, channels=1, device=torch.get_default_device())


def _turned(data: EpisodeData, pool: ImagePool) -> ImagePool:
    return with_rotated_classes(pool) if data.rotations else pool


def _alphabet_of_classes(omniglot: ImageSet) -> torch.Tensor:
    alphabets = omniglot.labels.new_zeros(omniglot.num_classes)
    return alphabets.scatter(0, omniglot.labels, omniglot.ids["alphabet"])
