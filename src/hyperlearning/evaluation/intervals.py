"""Means with 95 % intervals, alone and paired."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special  # Not `scipy.stats`, which takes long to import.


@dataclass(frozen=True)
class Estimate:
    """A mean and how far it is known.

    Attributes:
        mean: The mean.
        ci95: Half the width of its 95 % interval (Student's t), or of one among several that hold together; 0 for a single value.
        count: How many values it is over.
    """

    mean: float
    ci95: float
    count: int

    def __str__(self) -> str:
        """Shows mean and half-width with as many digits as the half-width warrants."""
        if self.count == 1:
            return f"{self.mean:.4g} (n = 1)"
        return f"{self.mean:.4g} ± {self.ci95:.2g}"

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.ci95

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.ci95


def estimate(values: ArrayLike | Sequence[float], *, num_intervals: int = 1) -> Estimate:
    """Estimates the mean of a sample.

    Args:
        values: One or more finite numbers, such as one per life or one per seed.
        num_intervals: How many intervals are to hold together with 95 %; each is as wide as that takes, whatever they have in
            common (Bonferroni: `1 - 0.05 / num_intervals`).

    Raises:
        ValueError: If there are no values, or one is not finite, or `num_intervals` is not positive.
    """
    if num_intervals < 1:
        raise ValueError(f"Expected `num_intervals` to be positive, but got {num_intervals}.")
    sample = np.asarray(values, dtype=np.float64).ravel()
    if sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError(f"Expected one or more finite values, but got {sample.size} with some not finite or none.")
    # Rounding leaves equal values a spread that is not 0.
    if np.ptp(sample) == 0:
        return Estimate(float(sample[0]), 0.0, int(sample.size))
    half = special.stdtrit(sample.size - 1, 1 - 0.025 / num_intervals) * sample.std(ddof=1) / np.sqrt(sample.size)
    return Estimate(float(sample.mean()), float(half), int(sample.size))


def paired_difference(
    first: ArrayLike | Sequence[float], second: ArrayLike | Sequence[float], *, num_intervals: int = 1
) -> Estimate:
    """Estimates the mean of `first - second` over pairs; an interval clear of 0 tells the two apart.

    Args:
        first: One number a pair.
        second: Likewise.
        num_intervals: Of `estimate`.

    Raises:
        ValueError: If the samples have different sizes.
    """
    a, b = np.asarray(first, dtype=np.float64).ravel(), np.asarray(second, dtype=np.float64).ravel()
    if a.size != b.size:
        raise ValueError(f"Expected paired samples of one size, but got {a.size} and {b.size}.")
    return estimate(a - b, num_intervals=num_intervals)
