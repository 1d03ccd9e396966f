"""Classes of few-shot learners, on the real data where they are."""

import os
from pathlib import Path

import pytest
import torch

from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.images import load
from hyperlearning.data.prepared import split_path
from hyperlearning.streams.image_pool import ImagePool
from hyperlearning.systems.hypernetworks.few_shot_pools import in_domain_pools, transfer_pools
from hyperlearning.systems.hypernetworks.few_shot_settings import EpisodeData

ROOT = os.environ.get("HYPERLEARNING_DATA", "")


def needs(*splits: tuple[str, str]):
    if not ROOT or not all(split_path(CATALOGUE[name], split, Path(ROOT)).is_file() for name, split in splits):
        pytest.skip("data are not under HYPERLEARNING_DATA")


def hashes(pool: ImagePool) -> set[int]:
    return set(map(hash, map(bytes, pool.images.cpu().numpy())))


def test_omniglot_is_split_by_alphabets():
    needs(("omniglot", "background"), ("omniglot", "evaluation"))
    pools = in_domain_pools(EpisodeData(rotations=False))
    assert pools.train.num_classes + pools.validation.num_classes == 964
    assert pools.tests["Omniglot"].num_classes == 659
    background = load("omniglot", "background")
    last = sorted({name.split("/")[0] for name in background.class_names})[-5:]
    assert pools.validation.num_classes == sum(name.split("/")[0] in last for name in background.class_names)
    assert not hashes(pools.train) & hashes(pools.tests["Omniglot"])


def test_latin_is_left_out_of_the_transfer_and_emnist_is_split_into_even_and_odd():
    needs(("omniglot", "background"), ("omniglot", "evaluation"), ("emnist", "test"), ("mnist", "test"))
    pools = transfer_pools(EpisodeData())
    assert pools.train.num_classes == 4 * (964 + 659 - 26)
    latin = load("omniglot", "background")
    is_latin = torch.tensor([latin.class_names[label].startswith("Latin/") for label in latin.labels.tolist()])
    assert not set(map(hash, map(bytes, latin.images[is_latin].numpy()))) & hashes(pools.train)
    emnist = load("emnist", "test")
    assert (pools.validation.num_classes, pools.tests["EMNIST"].num_classes) == (31, 31)
    assert torch.equal(pools.validation.images[0], emnist.images[emnist.labels == 0][0])
    assert torch.equal(pools.tests["EMNIST"].images[0], emnist.images[emnist.labels == 1][0])
    assert list(pools.tests) == ["EMNIST", "MNIST", "KMNIST", "Fashion-MNIST"]


def test_mini_imagenet_keeps_its_three_parts_and_is_no_set_of_glyphs():
    with pytest.raises(ValueError, match="which carry over to other glyphs, but got mini_imagenet"):
        transfer_pools(EpisodeData(dataset="mini_imagenet"))
    needs(*(("mini_imagenet", split) for split in ("train", "val", "test")))
    pools = in_domain_pools(EpisodeData(dataset="mini_imagenet", rotations=False))
    assert [pool.num_classes for pool in (pools.train, pools.validation, *pools.tests.values())] == [64, 16, 20]
    assert pools.train.images.shape[1:] == (3, 84, 84)
