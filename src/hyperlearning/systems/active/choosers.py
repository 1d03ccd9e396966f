"""What chooses in a life of questions: a strategy, or an oracle that knows the answers and shows what is left to win."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from hyperlearning.acquisition.oracles import NONE_OF_OURS
from hyperlearning.acquisition.query import Need, Query, Strategy
from hyperlearning.systems.active.recipes import Fitted, Labelled, Recipe


class Moment(NamedTuple):
    """A moment of a life in which something is chosen.

    Attributes:
        fitted: What is trained on what is labelled.
        labelled: That.
        pool_P: Places that may be asked about.
        views: Source of what is drawn for the pool's views.
        chance: Source of what is drawn to choose, which goes on from round to round.
        next_training: Makes the source that the next round will be trained from.
    """

    fitted: Fitted
    labelled: Labelled
    pool_P: Int64[Tensor, " pool"]
    views: torch.Generator
    chance: torch.Generator
    next_training: Callable[[], torch.Generator]


@runtime_checkable
class Chooser(Protocol):
    """Chooses what to ask."""

    @property
    def title(self) -> str:
        """What a figure calls it."""
        ...

    def choose(self, moment: Moment, num: int) -> Query:
        """Chooses as many of the pool, by their places in it."""
        ...


class ByStrategy(NamedTuple):
    """Chooses by a strategy."""

    strategy: Strategy

    @property
    def title(self) -> str:
        """That of the strategy."""
        return self.strategy.title

    def choose(self, moment: Moment, num: int) -> Query:
        """Asks the strategy."""
        views = moment.fitted.views(moment.pool_P, moment.views, self.strategy.needs)
        return self.strategy.query(views, num, moment.chance)


class BestBatch(NamedTuple):
    """Chooses, of the batches that several strategies ask for, the one after whose answers most tests are right.

    No strategy can do this, since nobody knows the answers; beside it a figure shows how far above chance choosing could get.

    Attributes:
        strategies: Whose batches are tried; of equally good ones the first is taken.
        recipe: What is trained anew with each.
        labels_N: What answers would be, of all images.
        test_labels_T: What decides.

    Source: after oracles that select the best of several strategies' batches, such as BoSS.
    """

    strategies: Sequence[Strategy]
    recipe: Recipe
    labels_N: Int64[Tensor, " images"]
    test_labels_T: Int64[Tensor, " tests"]

    @property
    def title(self) -> str:
        """What a figure calls it."""
        return "ceiling: best of all batches"

    def choose(self, moment: Moment, num: int) -> Query:
        """Trains as the next round will, on the answers to each batch."""
        needs: set[Need] = {need for strategy in self.strategies for need in strategy.needs}
        views = moment.fitted.views(moment.pool_P, moment.views, needs)
        queries = [strategy.query(views, num, moment.chance) for strategy in self.strategies]
        return max(queries, key=lambda query: self._right(moment, moment.pool_P[query.indices_B]))

    def _right(self, moment: Moment, places_B: Tensor) -> int:
        fitted = self.recipe.fit(self._answered(moment.labelled, places_B), moment.next_training())
        return int((fitted.test_probabilities().argmax(1) == self.test_labels_T).sum())

    def _answered(self, labelled: Labelled, places_B: Tensor) -> Labelled:
        """What is labelled after the answers, in the order in which a ledger has it."""
        ours_B = self.labels_N[places_B] != NONE_OF_OURS
        places_L, order_L = torch.cat([labelled.places_L, places_B[ours_B]]).sort()
        labels_L = torch.cat([labelled.labels_L, self.labels_N[places_B[ours_B]]])
        rejected_R = torch.cat([labelled.rejected_R, places_B[~ours_B]])
        return Labelled(places_L, labels_L[order_L], rejected_R.sort().values)
