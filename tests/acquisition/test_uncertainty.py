"""Scores of probabilities against closed forms and an independent computation of mutual information."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from hyperlearning.acquisition.query import Views
from hyperlearning.acquisition.uncertainty import (
    by_score,
    entropy,
    least_confidence,
    margin,
    mutual_information,
    variation_ratio,
)


def drawn(num_draws: int = 5, pool: int = 40, classes: int = 4, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(num_draws, pool, classes, dtype=torch.float64, generator=source)).softmax(-1)


def test_of_a_uniform_and_a_certain_prediction():
    one = torch.tensor([[[0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0]]])
    assert least_confidence(one).tolist() == [0.75, 0.0]
    assert margin(one).tolist() == [0.0, -1.0]
    assert entropy(one).tolist() == pytest.approx([math.log(4), 0.0])


def test_one_class_alone_is_certain():
    assert margin(torch.ones(1, 3, 1)).tolist() == [-1.0, -1.0, -1.0]


def test_entropy_and_mutual_information_are_those_of_distributions():
    probabilities = drawn()
    torch.testing.assert_close(entropy(probabilities), Categorical(probabilities.mean(0)).entropy())
    apart = torch.distributions.kl_divergence(Categorical(probabilities), Categorical(probabilities.mean(0))).mean(0)
    torch.testing.assert_close(mutual_information(probabilities), apart)


def test_draws_that_agree_tell_nothing_about_each_other():
    probabilities = drawn(1).expand(6, -1, -1)
    torch.testing.assert_close(mutual_information(probabilities), torch.zeros(40, dtype=torch.float64))
    assert variation_ratio(probabilities).tolist() == [0.0] * 40


def test_variation_ratio_counts_votes():
    said = torch.tensor([[0, 1, 2], [0, 1, 0], [0, 2, 1], [0, 1, 2]])
    probabilities = torch.nn.functional.one_hot(said, 3).float()
    assert variation_ratio(probabilities).tolist() == [0.0, 0.25, 0.5]


def test_the_highest_are_asked_for_and_chance_decides_among_equals():
    probabilities = torch.tensor([[[0.5, 0.5], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.6, 0.4]]])
    seconds = set()
    for seed in range(30):
        found = by_score(least_confidence)(
            Views(probabilities_KNC=probabilities), 2, torch.Generator().manual_seed(seed)
        )
        assert found.indices_B[0] == 0
        assert found.num_tied == 3
        seconds.add(int(found.indices_B[1]))
    assert seconds == {2, 3, 4}
