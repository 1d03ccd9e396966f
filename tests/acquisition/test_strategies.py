"""What holds of every query strategy of the table, also where all images are alike, the pool is small, or a class is absent."""

from dataclasses import fields, replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from hyperlearning.acquisition.query import Query, Strategy, Views
from hyperlearning.acquisition.strategies import STRATEGIES, StrategyName
from hyperlearning.core.errors import QueryError

each = pytest.mark.parametrize("name", STRATEGIES)


def views(
    pool: int = 60, *, labelled: int = 30, classes: int = 4, draws: int = 5, rejected: int = 6, alike: bool = False
) -> Views:
    source = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, 6, generator=source)

    def features(num: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(classes, (num,), generator=source)
        own = centres[labels] + 0.5 * torch.randn(num, 6, generator=source)
        return (torch.ones(num, 6) if alike else own), labels

    pool_features, _ = features(pool)
    own_features, labels = features(labelled)
    weights = torch.zeros(draws, 6, classes) if alike else torch.randn(draws, 6, classes, generator=source)
    return Views(
        probabilities_KNC=(pool_features @ (centres.T + 0.5 * weights)).softmax(-1),
        features_ND=pool_features,
        labelled_features_LD=own_features,
        labels_L=labels,
        labelled_probabilities_LC=(own_features @ centres.T).softmax(-1),
        rejected_features_RD=own_features[:rejected] + 3,
        open_features_ND=pool_features.clone(),
        open_labelled_LD=own_features.clone(),
        foreign_KN=torch.zeros(draws, pool) if alike else torch.rand(draws, pool, generator=source),
    )


def asked(name: str, of: Views, num: int, seed: int = 0) -> Query:
    return STRATEGIES[name].query(of, num, torch.Generator().manual_seed(seed))


@each
@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("num", [1, 7, 59, 60, 1000])
def test_as_many_are_chosen_as_asked_for_none_twice(name: str, alike: bool, num: int):
    found = asked(name, views(alike=alike), num)
    assert len(found.indices_B) == len(found.scores_B) == min(num, 60)
    assert sorted(set(found.indices_B.tolist())) == sorted(found.indices_B.tolist())
    assert 0 <= int(found.indices_B.min()) <= int(found.indices_B.max()) < 60
    assert 1 <= found.num_tied <= 60


@each
def test_the_choice_follows_from_the_generator_and_leaves_what_it_sees_as_it_was(name: str):
    of = views()
    before = {field.name: getattr(of, field.name).clone() for field in fields(of)}
    torch.manual_seed(0)
    first = asked(name, of, 9, seed=3)
    torch.manual_seed(1)
    assert torch.equal(asked(name, of, 9, seed=3).indices_B, first.indices_B)
    assert all(torch.equal(getattr(of, name), before[name]) for name in before)


@each
def test_where_all_are_alike_chance_chooses_and_not_the_order_of_the_pool(name: str):
    of = views(alike=True)
    assert len({tuple(asked(name, of, 3, seed=seed).indices_B.tolist()) for seed in range(8)}) > 4


@each
def test_a_class_of_which_nothing_is_labelled_and_a_pool_of_one_are_no_trouble(name: str):
    of = views(pool=1)
    kept = of.need("labels_L") != 2
    without = replace(
        of,
        labels_L=of.need("labels_L")[kept],
        labelled_features_LD=of.need("labelled_features_LD")[kept],
        open_labelled_LD=of.need("open_labelled_LD")[kept],
        labelled_probabilities_LC=of.need("labelled_probabilities_LC")[kept],
    )
    assert asked(name, without, 4).indices_B.tolist() == [0]


@each
def test_an_empty_pool_no_question_and_what_is_not_a_number_are_refused(name: str):
    of = views()
    with pytest.raises(QueryError, match="empty"):
        asked(name, views(pool=0), 3)
    with pytest.raises(QueryError, match="at least one image"):
        asked(name, of, 0)
    wrong = of.need("features_ND").clone()
    wrong[3, 2] = torch.nan
    with pytest.raises(ValueError, match="1 are not finite"):
        asked(name, replace(of, features_ND=wrong), 3)


@pytest.mark.parametrize(
    ("name", "need"), [(name, need) for name, strategy in STRATEGIES.items() for need in strategy.needs]
)
def test_a_system_that_lacks_what_a_strategy_needs_is_refused(name: str, need: str):
    with pytest.raises(QueryError, match=need):
        asked(name, replace(views(), **{need: None}), 3)


@pytest.mark.parametrize("name", [name for name, strategy in STRATEGIES.items() if strategy.least_draws > 1])
def test_a_system_that_is_drawn_once_is_refused_by_those_that_compare_draws(name: str):
    with pytest.raises(QueryError, match="drawn 1 times"):
        asked(name, views(draws=1), 3)


def test_every_strategy_has_a_title_of_its_own():
    titles = [strategy.title for strategy in STRATEGIES.values()]
    assert len(set(titles)) == len(titles)
    assert all(isinstance(strategy, Strategy) for strategy in STRATEGIES.values())
    assert set(get_args(StrategyName)) == set(STRATEGIES)
