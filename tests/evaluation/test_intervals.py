"""Means and intervals against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference

SAMPLES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20)


@given(values=SAMPLES)
def test_an_interval_is_scipys(values: list[float]):
    sample = np.asarray(values)
    result = estimate(values)
    low, high = sample.mean(), sample.mean()
    if stats.sem(sample) > 0:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=sample.mean(), scale=stats.sem(sample))
    assert (result.low, result.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


@given(values=SAMPLES)
def test_an_interval_is_where_scipys_test_of_the_mean_turns(values: list[float]):
    result = estimate(values)
    if result.ci95 > 1e-6:
        assert stats.ttest_1samp(values, result.low).pvalue == pytest.approx(0.05, abs=1e-6)
    assert result.count == len(values)


def test_a_single_value_is_its_own_mean_without_a_width():
    assert estimate([2.5]) == Estimate(2.5, 0.0, 1)


def test_a_paired_difference_is_scipys_paired_test():
    first, second = [1.0, 2.0, 4.0, 3.0], [0.5, 2.5, 2.0, 1.0]
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    result = paired_difference(first, second)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high), rel=1e-12)


def test_an_estimate_is_shown_with_its_half_width():
    assert str(Estimate(0.123456, 0.0123, 5)) == "0.1235 ± 0.012"


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_values_that_have_no_mean_are_refused(values: list[float]):
    with pytest.raises(ValueError, match=f"one or more finite values, but got {len(values)}"):
        estimate(values)


def test_samples_of_different_sizes_are_no_pairs():
    with pytest.raises(ValueError, match="paired samples of one size, but got 2 and 3"):
        paired_difference([1, 2], [1, 2, 3])


def test_equal_values_have_no_spread():
    assert estimate([0.1] * 6) == Estimate(0.1, 0.0, 6)
