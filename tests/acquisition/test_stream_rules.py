"""Rules that decide at once: a budget is spent and never exceeded, whatever scores come, and chance asks at its rate."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperlearning.acquisition.stream_rules import (
    STREAM_RULES,
    Decide,
    Said,
    Standing,
    StreamRuleName,
    by_rank,
    decided,
    evenly,
    over_the_rest,
    typicality,
    variable_threshold,
)
from hyperlearning.core.errors import QueryError

NAMES = sorted(STREAM_RULES)


def asked(decide: Decide, scores: list[float], budget: int, seed: int = 0) -> list[int]:
    """Places asked about; the budget is never exceeded on the way."""
    standing, source = Standing(num_images=len(scores), budget=budget), torch.Generator().manual_seed(seed)
    places = []
    for place, score in enumerate(scores):
        asks, standing = decided(decide, standing, score, source)
        places += [place] * asks
        assert standing.asked == len(places) <= budget
    assert standing.seen == len(scores)
    return places


def falling(num: int) -> list[float]:
    return [1 / (1 + place) for place in range(num)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [0, 1, 7, 60, 119, 120])
@pytest.mark.parametrize("scores", [falling(120), falling(120)[::-1], [0.0] * 120], ids=["falling", "rising", "equal"])
def test_a_budget_is_spent_to_the_last_question_and_never_exceeded(
    name: StreamRuleName, budget: int, scores: list[float]
):
    places = asked(STREAM_RULES[name].decide, scores, budget)
    assert len(places) == len(set(places)) == budget


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_so_it_is_whatever_scores_come(data: st.DataObject):
    num = data.draw(st.integers(1, 60))
    budget = data.draw(st.integers(0, num))
    scores = data.draw(st.lists(st.floats(-1, 1), min_size=num, max_size=num))
    rule = STREAM_RULES[data.draw(st.sampled_from(NAMES))]
    assert len(asked(rule.decide, scores, budget)) == budget


def test_chance_asks_about_every_image_equally_often():
    times = torch.zeros(40)
    for seed in range(2000):
        times[asked(STREAM_RULES["random"].decide, [0.0] * 40, 10, seed)] += 1
    # A share of .25 of 2,000: a standard deviation of 19.
    assert (times / 2000 - 0.25).abs().max() < 0.05


def test_where_scores_come_in_no_order_a_rank_asks_at_its_rate():
    source = torch.Generator().manual_seed(0)
    decide = by_rank(lambda standing: 0.1)
    standing = Standing(num_images=20_000, budget=20_000)
    asks = 0
    for score in torch.rand(10_000, generator=source).tolist():
        decision = decide(standing, score, source)
        standing = Standing(num_images=20_000, budget=20_000, memory=decision.memory)
        asks += decision.asks
    assert asks == pytest.approx(1000, abs=100)


def test_of_scores_in_no_order_the_highest_are_asked_about():
    scores = torch.rand(2000, generator=torch.Generator().manual_seed(1))
    for rate in (over_the_rest, evenly(2)):
        places = asked(by_rank(rate), scores.tolist(), 100)
        assert scores[places].mean() > 0.9


def test_an_even_rate_spends_as_much_in_every_stretch_where_another_spends_at_a_turn():
    scores = [0.0] * 500 + [1.0 + place for place in range(500)]
    even, other = (asked(by_rank(rate), scores, 100) for rate in (evenly(2), over_the_rest))
    assert [sum(place // 100 == tenth for place in even) for tenth in range(10)] == [10] * 10
    assert sum(500 <= place < 600 for place in other) > 30


def test_a_part_by_chance_also_asks_where_scores_are_low():
    low = torch.arange(1000) % 2 == 0
    scores = torch.where(low, 0.0, 1.0) + 0.01 * torch.rand(1000, generator=torch.Generator().manual_seed(2))
    alone, part = (
        sum(bool(low[place]) for place in asked(by_rank(over_the_rest, random_share=share), scores.tolist(), 100))
        for share in (0.0, 0.5)
    )
    assert alone == 0
    assert part == pytest.approx(25, abs=15)


def test_the_variable_threshold_falls_with_a_question_and_rises_without_one():
    source = torch.Generator().manual_seed(0)
    standing = Standing(num_images=1000, budget=500)
    sure, unsure = (variable_threshold(standing, score, source) for score in (-1e9, 1e9))
    assert (sure.asks, unsure.asks) == (False, True)
    assert sure.memory == (1.01, 0.0)
    assert unsure.memory == (0.99, 1.0)


def test_the_variable_threshold_asks_nothing_while_too_much_was_spent():
    standing = Standing(num_images=1000, budget=10, memory=(1.0, 2.0))
    decision = variable_threshold(standing, 1e9, torch.Generator().manual_seed(0))
    assert not decision.asks
    assert decision.memory == (1.0, pytest.approx(1.98))


def test_scores_are_those_of_the_field():
    said = Said(
        torch.tensor([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]], dtype=torch.float64),
        torch.tensor([4.0, 0.25], dtype=torch.float64),
        torch.tensor([0.7, 0.6], dtype=torch.float64),
    )
    found = {name: STREAM_RULES[name].score(said).tolist() for name in NAMES}
    assert found["margin"] == pytest.approx([-0.2, -0.8])
    assert found["doubt"] == pytest.approx([-0.1, -1.6])
    assert found["variable_threshold"] == pytest.approx([0.5, 0.1])
    assert found["leverage"] == [4.0, 0.25]
    assert found["typical_evenly"] == [0.7, 0.6]
    assert found["random"] == [0.0, 0.0]


def test_what_is_typical_follows_from_what_came_before_alone():
    features = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    whole = typicality(features)
    torch.testing.assert_close(typicality(features[:25]), whole[:25])
    mean = torch.zeros(5)
    for row in features[:25]:
        mean = 0.9 * mean + 0.1 * row
    assert float(whole[24]) == pytest.approx(float(mean @ features[24] / mean.norm() / features[24].norm()), abs=1e-6)


def test_the_typical_image_of_a_class_in_hand_is_near_its_mean():
    source = torch.Generator().manual_seed(0)
    apart = torch.rand(50, 1, generator=source)
    features = torch.tensor([1.0, 0.0]) + apart * torch.tensor([[0.0, 1.0]]) * (torch.arange(50)[:, None] % 2 * 2 - 1)
    found = typicality(features)[20:]
    assert torch.corrcoef(torch.stack([found, apart[20:, 0]]))[0, 1] < -0.8


@pytest.mark.parametrize("budget", [-1, 11])
def test_a_budget_beyond_the_stream_is_refused(budget: int):
    with pytest.raises(QueryError, match="from 0 to 10 questions"):
        Standing(num_images=10, budget=budget)


def test_a_stream_that_goes_on_is_refused():
    with pytest.raises(QueryError, match="the stream goes on"):
        decided(by_rank(over_the_rest), Standing(num_images=1, budget=1, seen=1), 0.0, torch.Generator())
