"""Numbers as a person writes them; columns that keep one unit."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.evaluation.intervals import Estimate
from hyperlearning.reports import column, numbers, percent


def test_the_examples_hold():
    assert doctest.testmod(numbers).failed == 0


def test_a_column_of_small_numbers_has_their_power_in_its_header():
    header, cells = column("total error", [Estimate(3.7e-5, 4e-6, 9), Estimate(1.7e-5, 2e-6, 9)])
    assert header == "total error, 1e−5"
    assert cells == ("3.70 ± 0.40", "1.70 ± 0.20")


def test_a_column_from_small_to_large_has_the_power_in_the_middle():
    header, cells = column("error", [Estimate(1.7e-5, 2.0e-6, 256), Estimate(0.1034, 0.0088, 256)])
    assert (header, cells) == ("error, 1e−3", ("0.0170 ± 0.0020", "103.4 ± 8.8"))


def test_numbers_read_without_a_power_have_none():
    assert column("error", [Estimate(0.0024, 0.0003, 9), Estimate(0.97, 0.02, 9)]) == (
        "error",
        ("0.00240 ± 0.00030", "0.970 ± 0.020"),
    )


def test_a_fine_interval_asks_for_a_unit_too():
    assert column("error", [Estimate(0.0019152, 0.0000037, 9)]) == ("error, 1e−3", ("1.9152 ± 0.0037",))


def test_the_unit_of_large_numbers_is_named_too():
    assert column("images", [3.0e6, 1.25e7]) == ("images, 1e6", ("3.00", "12.5"))


def test_a_difference_near_nothing_is_as_large_as_its_interval():
    header, cells = column("difference", [Estimate(-3.5e-9, 3.7e-6, 9), Estimate(2e-5, 4e-6, 9)])
    assert (header, cells) == ("difference, 1e−6", ("−0.0 ± 3.7", "20.0 ± 4.0"))


def test_what_is_missing_stays_empty_and_what_is_not_finite_is_a_dash():
    assert column("error", [None, Estimate(math.nan, math.nan, 3), Estimate(0.0, 0.0, 1), 0.5]).cells == (
        "",
        "–",
        "0",
        "0.500",
    )


def test_a_column_of_nothing_has_no_unit():
    assert column("error", [None, 0.0]) == ("error", ("", "0"))


@given(st.lists(st.floats(1e-3, 9999.0) | st.none(), min_size=1))
def test_no_cell_of_a_column_has_a_power_of_its_own(values: list[float | None]):
    small = [None if value is None else value * 1e-9 for value in values]
    for given_values in (values, small):
        header, cells = column("error", given_values)
        assert not any("e" in cell for cell in cells)
        assert header.startswith("error")


@given(st.floats(1e-12, 1e12), st.floats(0.001, 1.0))
def test_a_cell_times_its_columns_unit_is_the_number(mean: float, share: float):
    header, (cell,) = column("error", [Estimate(mean, share * mean, 9)])
    unit = float(header.rpartition(", ")[2].replace("−", "-")) if ", " in header else 1.0
    shown = float(cell.split(" ± ")[0].replace(",", ""))
    assert shown * unit == pytest.approx(mean, abs=0.051 * share * mean, rel=1e-9)


def test_a_share_is_percent_with_one_decimal():
    assert percent(Estimate(-0.004, 0.0123, 5)) == "−0.4 ± 1.2"
