"""Several systems on the same lives: who is best, and which of them are told apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference


class Pair(NamedTuple):
    """Two systems on the same lives.

    Attributes:
        first: A system's name.
        second: Another's.
        difference: Mean of the first less the second, life by life; the intervals of all pairs hold together with 95 %.
    """

    first: str
    second: str
    difference: Estimate

    @property
    def clear(self) -> bool:
        """Whether the difference's interval leaves out 0."""
        return not self.difference.low <= 0 <= self.difference.high

    @property
    def turned(self) -> "Pair":
        """The same, the second less the first."""
        own = self.difference
        return Pair(self.second, self.first, Estimate(0.0 - own.mean, own.ci95, own.count))

    @property
    def lives_to_tell(self) -> int | None:
        """About how many lives it would take to tell the two apart, should the difference and its spread stay as they are.

        Half an interval shrinks with the root of their number. None if the two do not differ at all.
        """
        mean, half, count = self.difference.mean, self.difference.ci95, self.difference.count
        return None if mean == 0 else math.ceil(count * (half / mean) ** 2)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Systems on the same lives, by one measure.

    Attributes:
        lower_is_better: Which end is the best.
        estimates: Every system's mean, in the order given, each with an interval of its own.
        pairs: Every two of them.
    """

    lower_is_better: bool
    estimates: Mapping[str, Estimate]
    pairs: tuple[Pair, ...]

    @property
    def ranked(self) -> tuple[str, ...]:
        """All systems, the best by mean first; of equal ones the first given."""
        sign = 1 if self.lower_is_better else -1
        return tuple(sorted(self.estimates, key=lambda name: sign * self.estimates[name].mean))

    def between(self, first: str, second: str) -> Pair:
        """The first less the second.

        Raises:
            KeyError: If one was not compared, or both are the same.
        """
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.first, pair.second) == (second, first):
                return pair.turned
        raise KeyError(f"{first} and {second}")


def compare_all(scores: Mapping[str, Sequence[float]], *, lower_is_better: bool) -> Comparison:
    """Compares every two systems, life by life.

    With k systems there are `k (k - 1) / 2` pairs, and their intervals hold together with 95 % (Bonferroni): which system is
    found the best, and is then set against the others, may follow from the same lives.

    Args:
        scores: One finite number a life, by system; the same lives in the same order.
        lower_is_better: Which end is the best.

    Raises:
        ValueError: If there are fewer than two systems or lives, numbers of lives differ, or a number is not finite.
    """
    if len(scores) < 2 or min(map(len, scores.values())) < 2:
        raise ValueError(f"Expected two systems or more on two lives or more, but got {_sizes(scores)}.")
    every = list(combinations(scores, 2))
    pairs = [
        Pair(first, second, paired_difference(scores[first], scores[second], num_intervals=len(every)))
        for first, second in every
    ]
    estimates = {name: estimate(values) for name, values in scores.items()}
    return Comparison(lower_is_better=lower_is_better, estimates=estimates, pairs=tuple(pairs))


def _sizes(scores: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{name} on {len(values)}" for name, values in scores.items()) or "none"
