"""How numbers are written: two digits, means with intervals, shares, and columns that keep one unit."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from hyperlearning.evaluation.intervals import Estimate

_PLAIN = range(-3, 6)
"""Magnitudes that are read without a power of ten."""
_FINEST = -4
"""The smallest magnitude of an interval beside them."""
_MOST_DECIMALS = 6


class Column(NamedTuple):
    """A column of a table, written in one unit.

    Attributes:
        header: Its name, with the unit where there is one.
        cells: As many as there were values.
    """

    header: str
    cells: tuple[str, ...]


def column(name: str, values: Sequence[Estimate | float | int | None]) -> Column:
    """Writes a column in one unit: a power of ten for all of it, named in the header, or none.

    Args:
        name: What the column holds.
        values: Means with intervals, plain numbers, or nothing.

    Returns:
        Header and cells. An estimate has the digits that its interval warrants, a plain number three.

    >>> column("total error", [Estimate(3.7e-5, 4.1e-6, 256), Estimate(2.61e-4, 6.3e-5, 256), None])
    Column(header='total error, 1e−5', cells=('3.70 ± 0.41', '26.1 ± 6.3', ''))
    >>> column("seconds", [81.25, None, 5.0])
    Column(header='seconds', cells=('81.2', '', '5.00'))
    """
    estimates = [value if isinstance(value, Estimate | None) else Estimate(value, 0.0, 1) for value in values]
    power = _power([value for value in estimates if value is not None])
    unit = _minus(f", 1e{power}") if power else ""
    return Column(f"{name}{unit}", tuple("" if value is None else _cell(value, power) for value in estimates))


def percent(value: Estimate) -> str:
    """Writes a share of 1 as percent, to one decimal; without an interval where there is a single value.

    >>> percent(Estimate(0.9563, 0.0042, 20)), percent(Estimate(0.5, 0.0, 1))
    ('95.6 ± 0.4', '50.0')
    """
    mean = f"{100 * value.mean:.1f}"
    return _minus(mean if value.count == 1 else f"{mean} ± {100 * value.ci95:.1f}")


def short_number(value: float | int) -> str:
    """Two significant digits, as a person writes them.

    >>> short_number(0.00312), short_number(123.4), short_number(0.0000031), short_number(float("nan"))
    ('0.0031', '123', '3.1e−6', '–')
    """
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")  # Rounded before it is measured: .0996 is 0.10, not 0.100.
    magnitude = int(exponent)
    if not -4 <= magnitude < 5:
        return _minus(f"{digits}e{magnitude}")
    return _minus(f"{value:.{max(0, 1 - magnitude)}f}")


def short_estimate(estimate: Estimate) -> str:
    """A mean with its half-interval, both to the interval's second digit.

    >>> short_estimate(Estimate(0.004371, 0.000123, 256)), short_estimate(Estimate(0.5, 0.0, 1))
    ('0.00437 ± 0.00012', '0.50')
    """
    if not _has_interval(estimate):
        return short_number(estimate.mean)
    if 1 - _magnitude(estimate.ci95) > _MOST_DECIMALS:
        return f"{short_number(estimate.mean)} ± {short_number(estimate.ci95)}"
    return _with_interval(estimate)


def _power(values: Sequence[Estimate]) -> int:
    """The power of ten in the middle of a column's magnitudes; 0 if all of them are read without one."""
    sizes = [max(abs(value.mean), value.ci95) for value in values if _is_finite(value)]
    magnitudes = [_magnitude(size) for size in sizes if size > 0]
    fine = [_magnitude(value.ci95) for value in values if _has_interval(value)]
    if all(magnitude in _PLAIN for magnitude in magnitudes) and min(fine, default=0) >= _FINEST:
        return 0
    return (min(magnitudes) + max(magnitudes)) // 2


def _cell(value: Estimate, power: int) -> str:
    if not math.isfinite(value.mean):
        return "–"
    scaled = Estimate(value.mean / 10.0**power, value.ci95 / 10.0**power, value.count)
    if _has_interval(scaled):
        return _with_interval(scaled)
    return "0" if scaled.mean == 0 else _minus(f"{scaled.mean:,.{_decimals(scaled.mean, 3)}f}")


def _with_interval(value: Estimate) -> str:
    decimals = _decimals(value.ci95, 2)
    return _minus(f"{value.mean:,.{decimals}f} ± {value.ci95:,.{decimals}f}")


def _decimals(size: float, digits: int) -> int:
    """How many decimals show this many digits of a number."""
    return min(_MOST_DECIMALS, max(0, digits - 1 - _magnitude(size, digits)))


def _magnitude(size: float, digits: int = 2) -> int:
    """The power of ten of a number's first digit, once it is rounded to so many digits."""
    return int(f"{size:.{digits - 1}e}".split("e")[1])


def _has_interval(value: Estimate) -> bool:
    return _is_finite(value) and value.ci95 != 0


def _is_finite(value: Estimate) -> bool:
    return math.isfinite(value.mean) and math.isfinite(value.ci95)


def _minus(text: str) -> str:
    return text.replace("-", "−")
