"""Grouped bars of shares, with intervals that stay between 0 and 1."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from scipy.special import ndtri

from hyperlearning.reports.style import CYCLE, INK, new_figure, styled, wrapped


class Share(NamedTuple):
    """A share of some number of cases, such as of lives.

    Attributes:
        hits: Cases in which it was so.
        total: Cases in all, at least 1.
    """

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return self.hits / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval after Wilson, which is no point even where all cases are alike.

        `(h + z^2 / 2 ± z sqrt(h (n - h) / n + z^2 / 4)) / (n + z^2)`, h of n, z the normal distribution's quantile.

        Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
        """
        square = float(ndtri(0.975)) ** 2
        half = (square * self.hits * (self.total - self.hits) / self.total + square**2 / 4) ** 0.5
        low, high = ((self.hits + square / 2 + side) / (self.total + square) for side in (-half, half))
        return max(low, 0.0), min(high, 1.0)

    def __str__(self) -> str:
        """Shows percent, the interval and the number of cases."""
        low, high = self.interval
        return f"{100 * self.value:.0f} % ({100 * low:.0f} to {100 * high:.0f}; {self.hits} of {self.total})"


@styled
def shares_figure(groups: Mapping[str, Mapping[str, Share]], *, ylabel: str, title: str = "") -> Figure:
    """Draws shares as bars in groups, with 95 % intervals.

    Args:
        groups: By group along the x axis, then by what is compared, which has one colour in all groups.
        ylabel: What they are shares of; the axis is in percent.
        title: Above the figure; none if empty.

    Raises:
        ValueError: If there is no group or a group is empty.
    """
    if not groups or not all(groups.values()):
        raise ValueError("Expected at least one group, each with at least one share, but got none.")
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    figure = new_figure(8.2, 3.6, title=title)
    axes = figure.subplots()
    axes.grid(axis="y")
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        places = [place for place, group in enumerate(groups.values()) if name in group]
        shares = [group[name] for group in groups.values() if name in group]
        left = [place - 0.4 + (index + 0.5) * width for place in places]
        heights = [100 * share.value for share in shares]
        axes.bar(
            left,
            heights,
            width=0.9 * width,
            color=CYCLE[index % len(CYCLE)],
            label=name,
            yerr=_reach(shares),
            ecolor=INK,
            error_kw={"linewidth": 1},
        )
    axes.set_xticks(range(len(groups)), [wrapped(group, 22) for group in groups])
    axes.set(ylabel=ylabel, ylim=(0, 105))
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _reach(shares: Sequence[Share]) -> list[list[float]]:
    """Percent that each interval reaches below and above its bar."""
    ends = [(share.value, *share.interval) for share in shares]
    return [
        [100 * max(value - low, 0.0) for value, low, _ in ends],
        [100 * max(high - value, 0.0) for value, _, high in ends],
    ]
