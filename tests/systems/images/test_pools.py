"""Where classes come from, and that pages say so."""

import pytest
import torch

from hyperlearning.systems.images.pools import SPLITS, load_pools, split_titles
from hyperlearning.systems.images.settings import DataSettings


@pytest.mark.parametrize("rotated", [True, False])
def test_a_page_names_the_digits_that_the_code_trains_on(rotated: bool):
    data = DataSettings(dataset="digits", side=8, rotated_classes=rotated)
    pools, titles = load_pools(data), split_titles(data)
    turns = 4 if rotated else 1
    assert titles["meta_train"].endswith(f"digits 0-{pools.meta_train.num_classes // turns - 1})")
    assert titles["meta_test"].endswith(f"digits {10 - pools.meta_test.num_classes // turns}-9)")
    assert ("rotated" in titles["meta_train"]) is rotated


def test_every_split_has_a_title_and_classes_on_the_default_device():
    data = DataSettings(dataset="digits", side=8)
    pools = load_pools(data)
    assert tuple(split_titles(data)) == SPLITS
    assert {pools.of(split).device for split in SPLITS} == {torch.get_default_device()}
