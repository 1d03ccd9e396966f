"""DropQuery: who is a candidate, and who of them is chosen."""

import torch
from tests.acquisition.pools import apart, pool, seeded

from hyperlearning.acquisition.drop_query import disagreement, drop_query
from hyperlearning.acquisition.query import Views

SAID = torch.tensor([[0, 0, 0, 1], [0, 1, 1, 1], [0, 2, 1, 1], [0, 0, 2, 0]])
DRAWS = 0.9 * torch.nn.functional.one_hot(SAID, 3) + 0.1 / 3


def test_disagreement_is_the_share_that_says_another_class():
    assert disagreement(DRAWS).tolist() == [0.0, 0.5, 0.5, 0.25]
    torch.testing.assert_close(disagreement(DRAWS, plain_first=True), torch.tensor([0.0, 2 / 3, 1.0, 1 / 3]))


def test_candidates_are_those_on_which_most_draws_disagree():
    features = torch.arange(4.0)[:, None]
    query = drop_query(plain_first=True)(Views(features_ND=features, probabilities_KNC=DRAWS), 2, seeded())
    assert set(query.indices_B.tolist()) == {1, 2}
    more = drop_query(plain_first=True)(Views(features_ND=features, probabilities_KNC=DRAWS), 3, seeded())
    assert set(more.indices_B.tolist()) == {1, 2, 3}


def test_one_of_each_cluster_is_chosen_and_it_is_the_nearest_to_the_middle():
    of = torch.arange(3).repeat_interleave(torch.tensor([9, 7, 5]))
    features = 100 * torch.eye(3)[of] + torch.randn(21, 3, generator=seeded())
    draws = torch.stack([torch.tensor([0.9, 0.1]), torch.tensor([0.3, 0.7])])[:, None].expand(2, 21, 2)
    query = drop_query(plain_first=True)(Views(features_ND=features, probabilities_KNC=draws), 3, seeded())
    assert of[query.indices_B].tolist() == [0, 1, 2]
    for cluster, chosen in enumerate(query.indices_B.tolist()):
        own = features[of == cluster]
        nearest = apart(own, own.mean(0, keepdim=True))[:, 0].argmin()
        assert torch.equal(features[chosen], own[nearest])
    assert query.scores_B.tolist() == [1.0] * 3


def test_chance_decides_who_fills_up():
    views = Views(features_ND=pool().features_ND, probabilities_KNC=torch.ones(2, 60, 3) / 3)
    found = [drop_query()(views, 5, seeded(seed)) for seed in range(10)]
    assert len({int(query.indices_B[0]) for query in found}) > 3
    assert {query.num_tied for query in found} == {60}
