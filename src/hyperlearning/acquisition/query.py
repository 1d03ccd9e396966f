"""What a query strategy looks at, what it answers with, and what holds of every one of them.

A strategy maps what a system says of a pool to the images to ask for. It knows no system: a network of probabilities, features
and draws is all it sees, so that every strategy can be had with every system, and all with the same recipe.

Shape suffixes: K draws of a system, N images of the pool, L labelled images, C classes, D features, B images of a query.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.core.errors import QueryError

Need = Literal[
    "probabilities_KNC",
    "features_ND",
    "labelled_features_LD",
    "labels_L",
    "labelled_probabilities_LC",
    "foreign_KN",
    "open_features_ND",
    "open_labelled_LD",
    "rejected_features_RD",
]
"""What a strategy may need to see: fields of `Views`."""

OF_REJECTS: frozenset[Need] = frozenset({"foreign_KN", "open_features_ND", "open_labelled_LD", "rejected_features_RD"})
"""What only networks say that learn from rejected images."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """What a system says of a pool, and of what is labelled. What it cannot say is absent.

    Attributes:
        probabilities_KNC: Of classes, for every image of the pool: one draw of a system that has no more, or K of an ensemble, of
            dropout, or of a latent.
        features_ND: Of every image of the pool.
        labelled_features_LD: Of every labelled image, of the same kind.
        labels_L: Their classes, from 0.
        labelled_probabilities_LC: What the system says of them.
        foreign_KN: Of a system that learns from rejected images: how likely each image of the pool is none of ours, draw by draw;
            0 before the first is rejected. Probabilities of classes are given that it is ours.
        open_features_ND: Likewise: of the pool, by what learns from rejected images.
        open_labelled_LD: Of labelled images, by the same.
        rejected_features_RD: Of images that were asked for and are none of ours, by the same.
    """

    probabilities_KNC: Float[Tensor, "draws pool classes"] | None = None
    features_ND: Float[Tensor, "pool features"] | None = None
    labelled_features_LD: Float[Tensor, "labelled features"] | None = None
    labels_L: Int64[Tensor, " labelled"] | None = None
    labelled_probabilities_LC: Float[Tensor, "labelled classes"] | None = None
    foreign_KN: Float[Tensor, "open_draws pool"] | None = None
    open_features_ND: Float[Tensor, "pool open"] | None = None
    open_labelled_LD: Float[Tensor, "labelled open"] | None = None
    rejected_features_RD: Float[Tensor, "rejected open"] | None = None

    @property
    def num_pool(self) -> int:
        """Images of the pool.

        Raises:
            QueryError: If nothing is said of it.
        """
        if self.probabilities_KNC is not None:
            return self.probabilities_KNC.shape[1]
        if self.features_ND is not None:
            return len(self.features_ND)
        raise QueryError("Expected probabilities or features of the pool, but got neither.")

    def need(self, name: Need) -> Tensor:
        """Gives what a strategy cannot do without.

        Raises:
            QueryError: If the system does not say it.
        """
        found = getattr(self, name)
        if found is None:
            raise QueryError(f"Expected `{name}`, but this system has none.")
        return found

    def of(self, places_M: Int64[Tensor, " some"]) -> "Views":
        """What is said of some of the pool, and of all that is labelled or rejected.

        Args:
            places_M: Their places in the pool.
        """
        by_pool = {
            name: None if own is None else own.index_select(axis, places_M)
            for name, axis in _POOL_AXES.items()
            for own in (getattr(self, name),)
        }
        return replace(self, **by_pool)


_POOL_AXES: Mapping[Need, int] = MappingProxyType(
    {"probabilities_KNC": 1, "features_ND": 0, "foreign_KN": 1, "open_features_ND": 0}
)


class Query(NamedTuple):
    """Images to ask for.

    Attributes:
        indices_B: Their places in the pool, in the order in which they were chosen, no place twice.
        scores_B: What each was chosen by: the higher, the sooner. Of strategies that score none, what each one gains.
        num_tied: Images of the pool with the last one's score, itself included: chance chose among them.
    """

    indices_B: Int64[Tensor, " query"]
    scores_B: Float[Tensor, " query"]
    num_tied: int = 1


Choose = Callable[[Views, int, torch.Generator], Query]
"""Chooses as many images as asked for, at least one and no more than the pool has."""


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A way to choose.

    Attributes:
        title: What tables call it.
        choose: Does it.
        needs: What it looks at; every field of `Views` must be there.
        least_draws: Draws of a system below which it says nothing.
        source: Where it comes from.
    """

    title: str
    choose: Choose
    needs: tuple[Need, ...] = ()
    least_draws: int = 1
    source: str = ""

    def query(self, views: Views, num: int, source: torch.Generator) -> Query:
        """Chooses images to ask for; all of the pool, if it has no more than that.

        Args:
            views: What the system says.
            num: How many are wanted.
            source: What decides between equals, and whatever else is random.

        Raises:
            QueryError: If the pool is empty, `num` is not positive, or the system lacks what the strategy needs.
            ValueError: If the system says what is not a number.
        """
        check_views(views, self)
        if num < 1:
            raise QueryError(f"Expected at least one image to ask for, but got {num}.")
        num = min(num, views.num_pool)
        found = self.choose(views, num, source)
        if len(found.indices_B) != num or len(found.indices_B.unique()) != num:
            raise AssertionError(f"{self.title} chose {len(found.indices_B.unique())} images, not {num}.")
        return found


def beginning_with(first: Strategy, then: Strategy) -> Strategy:
    """Chooses by one strategy while nothing is labelled, and by another from then on, whose title it has.

    Args:
        first: Must need nothing of what is labelled, and nothing that the other does not.
        then: May need draws, of which there is one alone before the first label.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        strategy = then if views.labels_L is not None and len(views.labels_L) else first
        return strategy.query(views, num, source)

    needs = tuple(dict.fromkeys([*then.needs, *first.needs]))
    return replace(then, choose=choose, needs=needs, least_draws=1)


def check_views(views: Views, strategy: Strategy) -> None:
    """Raises unless a strategy can choose by what is said.

    Raises:
        QueryError: If something is missing, or the pool is empty.
        ValueError: If sizes differ, or a number is none.
    """
    missing = [name for name in strategy.needs if getattr(views, name) is None]
    if missing:
        raise QueryError(f"Expected a system with {', '.join(missing)} for {strategy.title}, but this one has none.")
    if not views.num_pool:
        raise QueryError("Expected a pool with images to ask for, but it is empty.")
    draws = 0 if views.probabilities_KNC is None else len(views.probabilities_KNC)
    if "probabilities_KNC" in strategy.needs and draws < strategy.least_draws:
        raise QueryError(
            f"Expected a system that is drawn {strategy.least_draws} times or more for {strategy.title} (an ensemble, dropout, a "
            f"latent), but this one is drawn {draws} times."
        )
    for field in fields(views):
        own = getattr(views, field.name)
        if own is not None and own.is_floating_point() and not bool(own.isfinite().all()):
            raise ValueError(f"Expected numbers in `{field.name}`, but {int((~own.isfinite()).sum())} are not finite.")
    if views.features_ND is not None and len(views.features_ND) != views.num_pool:
        raise ValueError(f"Expected features of {views.num_pool} images, but got {len(views.features_ND)}.")


def highest(scores_N: Float[Tensor, " pool"], num: int, source: torch.Generator) -> Query:
    """Takes those of the highest scores; among equals chance decides.

    Args:
        scores_N: The higher, the sooner; minus infinity stands for what must come last.
        num: How many.
        source: Of chance.
    """
    shuffled_N = torch.randperm(len(scores_N), generator=source)
    order_N = shuffled_N[scores_N[shuffled_N].argsort(descending=True, stable=True)]
    chosen_B = order_N[:num]
    last = scores_N[chosen_B[-1]]
    return Query(chosen_B, scores_N[chosen_B], int((scores_N == last).sum()))


def evenly(
    scores_N: Float[Tensor, " pool"], groups_N: Int64[Tensor, " pool"], num: int, source: torch.Generator
) -> Query:
    """Takes as many of every group, those of its highest scores; what groups are short of, others fill.

    Args:
        scores_N: The higher, the sooner.
        groups_N: Of every image, from 0.
        num: How many.
        source: Of chance among equals.
    """
    order_N = highest(scores_N, len(scores_N), source).indices_B
    own_N = groups_N[order_N]
    turn_N = torch.nn.functional.one_hot(own_N).cumsum(0).gather(1, own_N[:, None])[:, 0]
    chosen_B = order_N[turn_N.argsort(stable=True)[:num]]
    return Query(chosen_B, scores_N[chosen_B])
