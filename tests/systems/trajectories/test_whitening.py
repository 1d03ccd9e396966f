"""Whitening, by the spread of meta-train classes alone."""

from dataclasses import replace

import torch

from hyperlearning.evaluation.recognition import ClassFeatures
from hyperlearning.systems.trajectories.whitening import SplitFeatures, whitened


def test_whitened_features_have_unit_spread_of_one_length_and_see_nothing_of_the_test():
    source = torch.Generator().manual_seed(0)
    train, test = (
        ClassFeatures(
            train=torch.randn(30, 15, 8, generator=source) * torch.arange(1, 9),
            held_out=torch.randn(30, 5, 8, generator=source) * torch.arange(1, 9),
            split=split,
        )
        for split in ("meta-train", "meta-test")
    )
    first = whitened(SplitFeatures(train, test), 0.1)
    other = whitened(SplitFeatures(train, replace(test, held_out=test.held_out + 1)), 0.1)
    assert torch.allclose(first.meta_test.train.norm(dim=-1), torch.full((30, 15), 8**0.5))
    assert torch.equal(first.meta_test.train, other.meta_test.train)
    spread = first.meta_train.train.flatten(0, 1).T.cov()
    assert spread.diagonal().max() / spread.diagonal().min() < 4
