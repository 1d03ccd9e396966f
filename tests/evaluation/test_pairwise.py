"""Every two systems: intervals against SciPy, and who is told apart."""

import numpy as np
import pytest
from scipy import stats

from hyperlearning.evaluation.intervals import estimate
from hyperlearning.evaluation.pairwise import compare_all

SOURCE = np.random.default_rng(0)
BASE = SOURCE.normal(size=40)
SCORES = {
    "worse": list(BASE + 1 + 0.1 * SOURCE.normal(size=40)),
    "best": list(BASE + 0.1 * SOURCE.normal(size=40)),
    "near": list(BASE + 0.01 + 0.1 * SOURCE.normal(size=40)),
}


def test_the_interval_of_every_pair_is_scipys_at_a_level_shared_by_all_pairs():
    comparison = compare_all(SCORES, lower_is_better=True)
    assert len(comparison.pairs) == 3
    for pair in comparison.pairs:
        interval = stats.ttest_rel(SCORES[pair.first], SCORES[pair.second]).confidence_interval(1 - 0.05 / 3)
        assert (pair.difference.low, pair.difference.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_a_pair_is_clear_exactly_where_scipys_p_value_times_the_number_of_pairs_is_below_a_twentieth():
    for pair in compare_all(SCORES, lower_is_better=True).pairs:
        p = float(stats.ttest_rel(SCORES[pair.first], SCORES[pair.second]).pvalue)
        assert pair.clear == (3 * p < 0.05)
    assert {pair.clear for pair in compare_all(SCORES, lower_is_better=True).pairs} == {True, False}


def test_two_systems_need_no_correction():
    two = {name: SCORES[name] for name in ("best", "near")}
    (pair,) = compare_all(two, lower_is_better=True).pairs
    interval = stats.ttest_rel(two["best"], two["near"]).confidence_interval(0.95)
    assert (pair.difference.low, pair.difference.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize(("lower", "first"), [(True, "best"), (False, "worse")])
def test_the_best_by_mean_comes_first_by_the_measures_direction(lower: bool, first: str):
    scores = {name: SCORES[name] for name in ("worse", "best")}
    assert compare_all(scores, lower_is_better=lower).ranked[0] == first


def test_a_pair_turned_round_has_the_other_sign_and_the_same_width():
    comparison = compare_all(SCORES, lower_is_better=True)
    there, back = comparison.between("best", "worse").difference, comparison.between("worse", "best").difference
    assert (there.mean, there.ci95) == (-back.mean, back.ci95)
    with pytest.raises(KeyError):
        comparison.between("best", "best")


def test_as_many_lives_as_it_would_take_make_the_interval_as_wide_as_the_difference():
    pair = compare_all({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 3.5, 2.5]}, lower_is_better=True).pairs[0]
    assert not pair.clear
    assert pair.lives_to_tell is not None
    shrunk = pair.difference.ci95 * (pair.difference.count / pair.lives_to_tell) ** 0.5
    assert shrunk <= abs(pair.difference.mean) < 1.1 * shrunk


def test_equal_systems_are_never_told_apart():
    (pair,) = compare_all({"a": [1.0, 2.0], "b": [1.0, 2.0]}, lower_is_better=True).pairs
    assert (pair.clear, pair.lives_to_tell) == (False, None)


@pytest.mark.parametrize("scores", [{}, {"a": [1.0, 2.0]}, {"a": [1.0], "b": [2.0]}])
def test_what_cannot_be_compared_is_refused(scores: dict[str, list[float]]):
    with pytest.raises(ValueError, match="two systems or more on two lives or more"):
        compare_all(scores, lower_is_better=True)


def test_intervals_that_hold_together_hold_together():
    """Of samples whose means are 0, all five intervals cover it in 95 % of draws; five on their own do in 77 %."""
    draws = np.random.default_rng(1).normal(size=(300, 5, 8))
    covered = [all(own.low <= 0 <= own.high for own in (estimate(x, num_intervals=5) for x in draw)) for draw in draws]
    assert np.mean(covered) > 0.91


def test_no_intervals_are_refused():
    with pytest.raises(ValueError, match="`num_intervals` to be positive, but got 0"):
        estimate([1.0, 2.0], num_intervals=0)
