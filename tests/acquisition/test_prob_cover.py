"""Balls against a graph that is written down, and the radius against its rule."""

import pytest
import torch
from tests.acquisition.pools import apart, pool, seeded
from torch.nn.functional import normalize

from hyperlearning.acquisition.clusters import k_means
from hyperlearning.acquisition.prob_cover import prob_cover, pure_radius
from hyperlearning.acquisition.query import Views


def greedy_gains(views: Views, chosen: list[int], radius: float) -> list[tuple[int, int]]:
    """What each choice newly covers, and the most that any image would have."""
    assert views.features_ND is not None
    features = normalize(views.features_ND)
    inside = apart(features, features) < radius**2
    uncovered = torch.ones(len(features), dtype=torch.bool)
    if views.labelled_features_LD is not None:
        uncovered = ~(apart(features, normalize(views.labelled_features_LD)) < radius**2).any(1)
    gains = []
    for at in chosen:
        gains.append((int((inside[at] & uncovered).sum()), int((inside & uncovered).sum(1).max())))
        uncovered &= ~inside[at]
    return gains


@pytest.mark.parametrize("labelled", [0, 6])
@pytest.mark.parametrize("radius", [0.2, 0.6, 1.2])
@pytest.mark.parametrize("seed", range(8))
def test_each_choice_covers_the_most(seed: int, radius: float, labelled: int):
    views = pool(137, labelled=labelled, seed=seed)
    query = prob_cover(radius=radius)(views, 25, seeded(seed))
    gains = greedy_gains(views, query.indices_B.tolist(), radius)
    assert [float(gain) for gain, _ in gains] == query.scores_B.tolist()
    assert all(gain == most for gain, most in gains if most)


@pytest.mark.parametrize("seed", range(8))
def test_balls_of_the_chosen_radius_are_as_pure_as_wanted_and_larger_ones_are_not(seed: int):
    views = pool(200, seed=seed)
    assert views.features_ND is not None
    features = normalize(views.features_ND)
    members = k_means(features, 3, seeded(seed)).members_N
    radius = pure_radius(features, 3, seeded(seed), purity=0.9)
    foreign = members[:, None] != members

    def purity(of_radius: float) -> float:
        inside = apart(features, features) < of_radius**2
        return 1 - float((inside & foreign).any(1).double().mean())

    assert purity(radius) >= 0.9
    assert purity(radius * (1 + 1e-6)) < 0.9


def test_one_ball_a_group_is_enough_and_chance_takes_the_rest():
    of = torch.arange(4).repeat_interleave(10)
    features = torch.eye(4)[of] + 0.01 * torch.randn(40, 4, generator=seeded())
    query = prob_cover(num_classes=4, purity=1.0)(Views(features_ND=features), 6, seeded())
    assert set(of[query.indices_B[:4]].tolist()) == {0, 1, 2, 3}
    assert query.scores_B.tolist() == [10.0] * 4 + [0.0] * 2
    assert query.num_tied == 35


def test_the_number_of_pseudo_classes_is_that_of_probabilities_or_labels():
    views = pool(100, classes=7, labelled=30)
    asked = {
        "given": prob_cover(num_classes=7)(Views(features_ND=views.features_ND), 9, seeded()),
        "probabilities": prob_cover()(
            Views(features_ND=views.features_ND, probabilities_KNC=views.probabilities_KNC), 9, seeded()
        ),
        "labels": prob_cover()(Views(features_ND=views.features_ND, labels_L=torch.arange(7)), 9, seeded()),
    }
    assert len({tuple(query.indices_B.tolist()) for query in asked.values()}) == 1
