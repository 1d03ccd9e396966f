"""EOAL: its two entropies by hand, what comes last, and what is asked for of a pool half of which is none of ours."""

import math
from dataclasses import replace

import pytest
import torch
from tests.acquisition.open_pools import open_pool

from hyperlearning.acquisition.eoal import distance_entropy, eoal, own_entropy


def entropy(*shares: float) -> float:
    return -sum(share * math.log(share) for share in shares if share)


def test_the_entropy_of_single_classes_is_their_mean_in_bits():
    logits = torch.tensor([[0.0, math.log(3)], [math.log(9), -math.log(9)], [800.0, -800.0]]).double()
    by_hand = [(1 + entropy(0.75, 0.25) / math.log(2)) / 2, entropy(0.9, 0.1) / math.log(2), 0.0]
    assert own_entropy(logits).tolist() == pytest.approx(by_hand)


def test_the_entropy_of_distances_is_one_between_centres_and_small_near_one():
    centres = torch.tensor([[0.0, 0.0], [3.0, 4.0], [-3.0, 4.0]]).double()
    near = [math.exp(-apart) for apart in (0.0, 5.0, 5.0)]
    shares = [one / sum(near) for one in near]
    found = distance_entropy(torch.tensor([[0.0, 0.0], [0.0, 25 / 8]]).double(), centres)
    assert found.tolist() == pytest.approx([entropy(*shares) / math.log(3), 1.0])
    assert distance_entropy(torch.ones(2, 2).double(), centres[:1]).tolist() == [0.0, 0.0]


def test_what_is_asked_for_is_ours_and_evenly_of_all_kinds():
    views, is_ours = open_pool(rejected=40)
    asked = eoal(views, 30, torch.Generator().manual_seed(0)).indices_B
    assert float(is_ours[asked].double().mean()) > 0.95
    said = views.need("probabilities_KNC")[0].argmax(1)
    assert min(said[asked].bincount(minlength=3).tolist()) >= 5


@pytest.mark.parametrize("rejected", [1, 2])
def test_one_or_two_rejected_images_are_enough_to_learn_from(rejected: int):
    views, is_ours = open_pool(rejected=rejected)
    asked = eoal(views, 30, torch.Generator().manual_seed(0)).indices_B
    assert float(is_ours[asked].double().mean()) > 0.6


def test_before_the_first_rejected_image_the_surest_are_asked_for():
    views, _ = open_pool(rejected=0)
    asked = eoal(views, 200, torch.Generator().manual_seed(0))
    assert len(asked.indices_B.unique()) == 200
    assert bool((-1 <= asked.scores_B).all())
    assert bool((asked.scores_B <= 0).all())


def test_what_the_detector_takes_for_none_of_ours_comes_last():
    views, is_ours = open_pool()
    asked = eoal(views, 200, torch.Generator().manual_seed(0)).indices_B
    assert float(is_ours[asked[:80]].double().mean()) > 0.95
    assert float(is_ours[asked[-80:]].double().mean()) < 0.05


def test_a_pool_of_which_nothing_looks_like_ours_is_asked_for_all_the_same():
    views, is_ours = open_pool()
    foreign = replace(
        views,
        features_ND=views.need("features_ND")[~is_ours],
        open_features_ND=views.need("open_features_ND")[~is_ours],
        probabilities_KNC=views.need("probabilities_KNC")[:, ~is_ours],
    )
    assert len(eoal(foreign, 10, torch.Generator().manual_seed(0)).indices_B.unique()) == 10
