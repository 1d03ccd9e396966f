"""Clusters, typicality, and what is chosen of clusters."""

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from tests.acquisition.pools import apart, pool, seeded
from torch import Tensor

from hyperlearning.acquisition.clusters import k_means
from hyperlearning.acquisition.query import Views
from hyperlearning.acquisition.typical import _turns, typi_clust, typicality


def features_of(views: Views) -> Tensor:
    assert views.features_ND is not None
    return views.features_ND


def test_every_thing_belongs_to_the_nearest_mean():
    features = features_of(pool(200, features=6, classes=5))
    found = k_means(features, 5, seeded())
    squared = apart(features, found.centres_KD)
    assert torch.equal(found.members_N, squared.argmin(1))
    torch.testing.assert_close(found.squares_N, squared.amin(1))


def test_clusters_that_are_far_apart_are_found():
    of = torch.randint(4, (200,), generator=seeded())
    features = 100 * torch.eye(4)[of] + torch.randn(200, 4, generator=seeded(1))
    found = k_means(features, 4, seeded())
    for cluster in range(4):
        assert len(of[found.members_N == cluster].unique()) == 1


def test_clusters_are_as_tight_as_those_of_scikit_learn():
    ours, theirs = [], []
    for seed in range(8):
        features = features_of(pool(400, features=8, classes=10, seed=seed))
        ours.append(float(k_means(features, 20, seeded(seed)).squares_N.sum()))
        theirs.append(KMeans(20, n_init=1, random_state=seed).fit(features.numpy()).inertia_)
    assert sum(ours) < 1.05 * sum(theirs)


def test_as_many_clusters_as_things_leave_each_alone():
    features = features_of(pool(30))
    found = k_means(features, 30, seeded())
    assert len(found.members_N.unique()) == 30
    torch.testing.assert_close(found.squares_N, torch.zeros(30, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("num", "nearest"), [(60, 20), (12, 6), (2, 1)])
def test_typicality_is_one_over_the_mean_distance_to_neighbours(num: int, nearest: int):
    features = features_of(pool(num))
    found, _ = NearestNeighbors(n_neighbors=nearest).fit(features.numpy()).kneighbors()
    torch.testing.assert_close(typicality(features, 20), 1 / (torch.from_numpy(found).mean(1) + 1e-5))


def test_the_fewest_known_come_first_and_small_clusters_last():
    asked = _turns(sizes=[9, 20, 5, 10, 7], known=[0, 1, 0, 0, 0], unlabelled=[9, 19, 5, 10, 0], num=7)
    assert asked == [3, 0, 1, 3, 0, 1, 3]
    assert _turns(sizes=[2, 6], known=[0, 0], unlabelled=[2, 3], num=5) == [1, 1, 1, 0, 0]


def test_the_densest_image_of_each_group_is_chosen():
    source, angles = seeded(), torch.tensor([0.0, 1.5, 3.0])
    spread = torch.linspace(-0.3, 0.3, 31) ** 3
    groups = (angles[:, None] + spread).flatten()
    features = torch.stack([groups.cos(), groups.sin()], 1)
    query = typi_clust()(Views(features_ND=features), 3, source)
    assert {int(index) // 31 for index in query.indices_B} == {0, 1, 2}
    middle = spread.abs() < 0.02
    assert middle[query.indices_B % 31].all()


def test_groups_that_have_a_label_come_last():
    of = torch.arange(3).repeat_interleave(20)
    features = 10 * torch.eye(3)[of] + 0.1 * torch.randn(60, 3, generator=seeded())
    views = Views(features_ND=features, labelled_features_LD=10 * torch.eye(3)[:2])
    query = typi_clust(max_clusters=3)(views, 1, seeded())
    assert of[query.indices_B].tolist() == [2]
