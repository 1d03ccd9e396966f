"""Shares and their intervals."""

import pytest
from scipy.stats import binomtest

from hyperlearning.reports import Share


@pytest.mark.parametrize(("hits", "total"), [(0, 5), (5, 5), (1, 3), (7, 64), (99, 100), (500, 1000)])
def test_the_interval_of_a_share_is_wilsons_as_scipy_has_it(hits: int, total: int):
    interval = binomtest(hits, total).proportion_ci(method="wilson")
    assert Share(hits, total).interval == pytest.approx((interval.low, interval.high), rel=1e-12, abs=1e-12)
