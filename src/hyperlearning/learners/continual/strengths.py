"""The search for a remedy's strength: trial after trial, on tasks that are none of the life's."""

import math
from typing import NamedTuple


def strengths(first: float, trials: int) -> "Climb":
    """Begins a search for the best strength."""
    return Climb(first, trials, {})


class Climb(NamedTuple):
    """A climb on powers of the square root of 10: by decades until a maximum is enclosed, then by half decades.

    Attributes:
        first: Where it begins.
        trials: How many strengths are tried.
        scores: Scores so far, by half decades from the first.
    """

    first: float
    trials: int
    scores: dict[int, float]

    @property
    def next(self) -> int | None:
        """Half decades from the first to the next strength to try; absent when all trials are done."""
        if len(self.scores) >= self.trials:
            return None
        if not self.scores:
            return 0
        best = self.best
        for step in (2, 1):
            for place in (best + step, best - step):
                if place not in self.scores:
                    return place
        reach = 3
        while best + reach in self.scores and best - reach in self.scores:
            reach += 1
        return best + reach if best + reach not in self.scores else best - reach

    @property
    def best(self) -> int:
        """Half decades from the first to the best; of equals the weakest."""
        return max(sorted(self.scores), key=self.scores.__getitem__)

    def strength(self, place: int) -> float:
        """The strength at a place, to two digits."""
        value = self.first * math.sqrt(10) ** place
        return float(f"{value:.2g}")

    def tried(self, place: int, score: float) -> "Climb":
        """The climb after a trial."""
        return self._replace(scores={**self.scores, place: score})
