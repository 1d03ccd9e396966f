"""What holds of every strategy that spreads its query: never twice, never out of range, whatever the pool looks like."""

from dataclasses import replace

import pytest
import torch
from tests.acquisition.pools import Largest, pool, seeded

from hyperlearning.acquisition import distances
from hyperlearning.acquisition.badge import badge
from hyperlearning.acquisition.core_set import core_set
from hyperlearning.acquisition.drop_query import drop_query
from hyperlearning.acquisition.herding import max_herding, u_herding
from hyperlearning.acquisition.prob_cover import prob_cover
from hyperlearning.acquisition.query import Choose, Query, Strategy, Views
from hyperlearning.acquisition.typical import typi_clust

CHOICES = {
    "core-set": core_set(),
    "core-set, plain": core_set(block=None),
    "BADGE": badge,
    "TypiClust": typi_clust(),
    "ProbCover": prob_cover(),
    "ProbCover, radius given": prob_cover(radius=0.3),
    "MaxHerding": max_herding(),
    "MaxHerding, some judged": max_herding(num_judged=10),
    "UHerding": u_herding(),
    "DropQuery": drop_query(),
    "DropQuery, plain first": drop_query(plain_first=True),
}
every = pytest.mark.parametrize("choose", [pytest.param(choose, id=name) for name, choose in CHOICES.items()])


def asked(choose: Choose, views: Views, num: int, seed: int = 0) -> Query:
    query = Strategy(title="it", choose=choose).query(views, num, seeded(seed))
    assert query.indices_B.dtype == torch.int64
    assert 0 <= int(query.indices_B.min()) <= int(query.indices_B.max()) < views.num_pool
    assert query.scores_B.isfinite().all()
    assert 1 <= query.num_tied <= views.num_pool
    return query


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num", [1, 2, 10, 60])
def test_as_many_are_chosen_as_asked_for_and_none_twice(choose: Choose, num: int, dtype: torch.dtype):
    for seed in range(3):
        assert len(asked(choose, pool(draws=3, seed=seed, dtype=dtype), num, seed).indices_B.unique()) == num


@every
@pytest.mark.parametrize("num", [1, 5, 60])
def test_nothing_need_be_labelled(choose: Choose, num: int):
    assert len(asked(choose, pool(draws=3, labelled=0), num).indices_B.unique()) == num


@every
@pytest.mark.parametrize("num", [1, 5, 60])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.0])
def test_features_may_all_be_the_same_and_chance_decides_then(choose: Choose, num: int, value: float):
    views = pool(draws=3, labelled=2)
    for features in (value * torch.ones(60, 5), torch.tensor([1.0, 1e-3, 7.0, -value, 1e3]).expand(60, 5)):
        same = replace(views, features_ND=features, labelled_features_LD=features[:2])
        assert len(asked(choose, same, num).indices_B.unique()) == num


@every
def test_one_class_and_certain_predictions_are_no_trouble(choose: Choose):
    for draws in (torch.ones(3, 60, 1), torch.eye(3)[torch.zeros(3, 60, dtype=torch.int64)]):
        views = replace(pool(dtype=torch.float32), probabilities_KNC=draws)
        assert len(asked(choose, views, 20).indices_B.unique()) == 20


@every
def test_a_pool_of_one_image_is_asked_for(choose: Choose):
    for labelled in (0, 3):
        assert asked(choose, pool(1, draws=3, labelled=labelled), 5).indices_B.tolist() == [0]


@every
def test_the_same_generator_gives_the_same_query_and_no_other_chance_is_used(choose: Choose):
    views = pool(draws=3)
    before = torch.get_rng_state()
    first, second = asked(choose, views, 12), asked(choose, views, 12)
    assert torch.equal(first.indices_B, second.indices_B)
    assert torch.equal(first.scores_B, second.scores_B)
    assert torch.equal(before, torch.get_rng_state())


@every
def test_what_a_system_says_is_left_as_it_was(choose: Choose):
    views, untouched = pool(draws=3), pool(draws=3)
    asked(choose, views, 12)
    for name, own in vars(views).items():
        assert own is None or torch.equal(own, getattr(untouched, name))


@every
@pytest.mark.parametrize("numbers", [64, 1000])
def test_the_size_of_blocks_changes_nothing(choose: Choose, numbers: int, monkeypatch: pytest.MonkeyPatch):
    views = pool(draws=3)
    whole = asked(choose, views, 12)
    monkeypatch.setattr(distances.blocks, "__kwdefaults__", {"numbers": numbers})
    assert torch.equal(asked(choose, views, 12).indices_B, whole.indices_B)


@pytest.mark.parametrize("name", [name for name in CHOICES if "plain" not in name])
def test_memory_is_bounded_by_a_block_and_not_by_pairs_of_images(name: str):
    views = pool(6000, features=16, draws=3, labelled=50, dtype=torch.float32)
    with Largest() as largest:
        asked(CHOICES[name], views, 300)
    assert largest.numbers <= distances.BLOCK_NUMBERS < 6000**2 / 4
