"""Farthest first: lazily as plainly, equals included, against a loop over all distances."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.acquisition.pools import Largest, apart, pool, seeded
from torch import Tensor

from hyperlearning.acquisition.core_set import core_set
from hyperlearning.acquisition.distances import exact_squares, grid_of
from hyperlearning.acquisition.query import Views

BLOCKS = (1, 2, 5, 16)


def assert_equal_queries(views: Views, num: int, block: int, seed: int):
    lazy, plain = (core_set(block=own)(views, num, seeded(seed)) for own in (block, None))
    assert torch.equal(lazy.indices_B, plain.indices_B)
    assert torch.equal(lazy.scores_B, plain.scores_B)
    assert lazy.num_tied == plain.num_tied


def farthest_first(views: Views, num: int) -> tuple[list[int], list[float]]:
    assert views.features_ND is not None
    assert views.labelled_features_LD is not None
    nearest, chosen, scores = apart(views.features_ND, views.labelled_features_LD).amin(1), [], []
    for _ in range(num):
        chosen.append(int(nearest.argmax()))
        scores.append(float(nearest.max().sqrt()))
        nearest = torch.minimum(nearest, apart(views.features_ND, views.features_ND[chosen[-1:]])[:, 0])
    return chosen, scores


@given(
    seed=st.integers(0, 10_000),
    num=st.integers(1, 40),
    labelled=st.integers(0, 30),
    features=st.integers(1, 9),
    block=st.sampled_from(BLOCKS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_lazy_choices_are_the_plain_ones(
    seed: int, num: int, labelled: int, features: int, block: int, dtype: torch.dtype
):
    assert_equal_queries(pool(40, features=features, labelled=labelled, seed=seed, dtype=dtype), num, block, seed)


@given(
    seed=st.integers(0, 10_000),
    num=st.integers(1, 60),
    labelled=st.integers(0, 3),
    features=st.integers(1, 6),
    values=st.integers(1, 3),
    block=st.sampled_from(BLOCKS),
    scale=st.sampled_from([1.0, 0.1, 1e6]),
)
def test_lazy_choices_are_the_plain_ones_among_copies_and_equal_distances(
    seed: int, num: int, labelled: int, features: int, values: int, block: int, scale: float
):
    placed = scale * torch.randint(values, (60 + labelled, features), generator=seeded(seed)).double()
    views = Views(features_ND=placed[labelled:], labelled_features_LD=placed[:labelled])
    assert_equal_queries(views, num, block, seed)


@pytest.mark.parametrize("block", [8, None])
@pytest.mark.parametrize("seed", range(20))
def test_choices_are_those_of_a_loop_over_all_distances(seed: int, block: int | None):
    views = pool(150, features=6, labelled=9, seed=seed)
    chosen, scores = farthest_first(views, 40)
    query = core_set(block=block)(views, 40, seeded())
    assert query.indices_B.tolist() == chosen
    assert query.scores_B.tolist() == pytest.approx(scores, rel=1e-6)


def test_distances_on_a_grid_are_whole_numbers_without_error():
    features = pool(30, features=512, labelled=0).features_ND
    assert features is not None
    whole = grid_of(features)(features)
    squared = exact_squares(whole, whole.square().sum(-1), whole)
    rows = [[int(number) for number in row] for row in whole.tolist()]
    for at, left in enumerate(rows):
        for to, right in enumerate(rows):
            assert int(squared[at, to]) == sum((a - b) ** 2 for a, b in zip(left, right, strict=True))


def test_a_grid_moves_features_by_half_a_step_at_most():
    features = 50 + 3 * torch.randn(40, 512, generator=seeded(), dtype=torch.float64)
    grid = grid_of(features)
    assert grid.step < (features.amax() - features.amin()) / 2**21
    assert (grid(features) * grid.step + grid.origin_D - features).abs().max() <= grid.step * 0.5001


def test_chance_decides_among_equals_and_says_among_how_many():
    corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [0.1, 0.1]])
    views = Views(features_ND=corners, labelled_features_LD=torch.zeros(1, 2))
    found = [core_set()(views, 1, seeded(seed)) for seed in range(40)]
    assert {query.num_tied for query in found} == {4}
    assert {int(query.indices_B[0]) for query in found} == {0, 1, 2, 3}


def test_with_nothing_labelled_chance_takes_the_first():
    line = torch.arange(5.0)[:, None]
    found = [core_set()(Views(features_ND=line), 2, seeded(seed)) for seed in range(60)]
    assert {int(query.indices_B[0]) for query in found} == {0, 1, 2, 3, 4}
    for query in found:
        assert (
            float(query.scores_B[0])
            == float(query.scores_B[1])
            == pytest.approx(max(abs(line - line[query.indices_B[0]])))
        )


def test_copies_of_what_is_labelled_come_last():
    labelled = torch.randn(3, 8, generator=seeded())
    features = torch.cat([labelled, labelled, torch.randn(5, 8, generator=seeded(1))])
    query = core_set()(Views(features_ND=features, labelled_features_LD=labelled), 11, seeded())
    assert set(query.indices_B[:5].tolist()) == {6, 7, 8, 9, 10}
    assert query.scores_B[5:].tolist() == [0.0] * 6


def test_a_large_query_of_a_large_pool_measures_few_distances(monkeypatch: pytest.MonkeyPatch):
    views, measured = pool(5000, features=32, labelled=10), 0

    def counting(left: Tensor, lengths: Tensor, right: Tensor) -> Tensor:
        nonlocal measured
        measured += len(left) * len(right)
        return exact_squares(left, lengths, right)

    monkeypatch.setattr("hyperlearning.acquisition.core_set.exact_squares", counting)
    core_set()(views, 500, seeded())
    assert measured < 5000 * 510 / 2


def test_labelled_and_chosen_images_are_all_that_is_kept_in_double_precision():
    views = pool(9000, features=24, labelled=100, dtype=torch.float32)
    with Largest() as largest:
        core_set()(views, 400, seeded())
    assert largest.numbers < 9000 * 400
