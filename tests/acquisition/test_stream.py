"""The highest of a stream are those of all scores at once, and chance is as fair."""

import pytest
import torch
from tests.acquisition.pools import Largest, seeded

from hyperlearning.acquisition.query import highest
from hyperlearning.acquisition.stream import highest_of_stream
from hyperlearning.core.errors import QueryError


@pytest.mark.parametrize("num", [1, 7, 100, 150])
@pytest.mark.parametrize("values", [2, 10, 10**6])
@pytest.mark.parametrize("size", [1, 9, 40, 100])
def test_the_highest_are_those_of_all_at_once(size: int, values: int, num: int):
    for seed in range(5):
        scores = torch.randint(values, (100,), generator=seeded(seed)).double()
        streamed = highest_of_stream(scores.split(size), num, seeded(seed))
        at_once = highest(scores, num, seeded(seed))
        assert torch.equal(streamed.scores_B, at_once.scores_B)
        assert torch.equal(scores[streamed.indices_B], streamed.scores_B)
        assert len(streamed.indices_B.unique()) == min(num, 100)
        assert streamed.num_tied == at_once.num_tied


def test_chance_is_as_fair_to_the_first_as_to_the_last():
    counts = torch.zeros(10)
    for seed in range(1000):
        counts[highest_of_stream(torch.zeros(10).split(3), 2, seeded(seed)).indices_B] += 1
    assert float(((counts - 200).square() / 200).sum()) < 28  # 9 degrees of freedom.


def test_memory_is_a_block_and_what_is_wanted():
    with Largest() as largest:
        highest_of_stream((torch.rand(500, generator=seeded(at)) for at in range(100)), 20, seeded())
    assert largest.numbers <= 520


def test_an_empty_stream_and_an_empty_query_are_refused():
    with pytest.raises(QueryError, match="empty"):
        highest_of_stream([], 3, seeded())
    with pytest.raises(QueryError, match="at least one"):
        highest_of_stream([torch.zeros(3)], 0, seeded())
