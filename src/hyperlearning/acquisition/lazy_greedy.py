"""Greedy choices of what can only lose value as others are chosen, without looking at all of the pool each time.

Farthest first, and coverage by kernels, choose the image of the highest value; every choice lowers the values of those near
it and raises none. A value computed earlier therefore is a bound. Only a block of the highest bounds is opened: their values
are brought up to date and choices are made among them while the best is above every bound outside. What is chosen, in what
order, and among which equals is the same as if all values had been up to date.

Shape suffixes: N images of the pool, M images of a block, B images of a query.

Source: Minoux (1978), "Accelerated greedy algorithms for maximizing submodular set functions"; here in blocks, so that values
come from products of matrices.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.distances import shuffled
from hyperlearning.acquisition.query import Query

Take = Callable[[int], Tensor]
"""Chooses an image by its place in the block, and gives the values of the block after that."""
Open = Callable[[Tensor, Tensor], tuple[Tensor, Take]]
"""Brings a block up to date: from places in the pool and the bounds there to values, and what chooses among them."""


def choose_lazily(
    bounds_N: Float[Tensor, " pool"], open_block: Open, num: int, source: torch.Generator, *, size: int
) -> Query:
    """Chooses greedily; among equals, the first in an order drawn once.

    Args:
        bounds_N: No lower than the values before the first choice; neither is ever negative.
        open_block: Knows the values.
        num: How many.
        source: Of the order.
        size: Images of a block; the whole pool's size makes it the plain greedy algorithm.
    """
    order_N = shuffled(len(bounds_N), source, bounds_N.device)
    left_N = bounds_N[order_N]
    chosen: list[int] = []
    scores: list[Tensor] = []
    tied = 1
    while len(chosen) < num:
        rows_M = _highest_first(left_N, size)
        values_M, take = open_block(order_N[rows_M], left_N[rows_M])
        left_N[rows_M] = -torch.inf
        outside, place_outside = left_N.max(0)
        gone_M = torch.zeros_like(rows_M, dtype=torch.bool)
        while len(chosen) < num:
            value, place = values_M.max(0)
            if value < outside or (value == outside and rows_M[place] > place_outside) or value == -torch.inf:
                break
            if len(chosen) == num - 1:
                tied = int((values_M == value).sum()) + _equals(left_N, value, order_N, open_block, size)
            chosen.append(int(rows_M[place]))
            scores.append(value)
            gone_M[place] = True
            values_M = take(int(place)).masked_fill(gone_M, -torch.inf)
        left_N[rows_M] = values_M
    return Query(order_N[torch.tensor(chosen, device=order_N.device)], torch.stack(scores), tied)


def _highest_first(bounds_N: Float[Tensor, " pool"], size: int) -> Int64[Tensor, " block"]:
    """Places of the highest bounds, of equals the first ones; in the order of the pool."""
    if size >= len(bounds_N):
        return torch.arange(len(bounds_N), device=bounds_N.device)
    least = bounds_N.topk(size).values[-1]
    inside_N = bounds_N > least
    equal = (bounds_N == least).nonzero()[: size - int(inside_N.sum()), 0]
    inside_N[equal] = True
    return inside_N.nonzero()[:, 0]


def _equals(left_N: Tensor, value: Tensor, order_N: Tensor, open_block: Open, size: int) -> int:
    """How many outside a block have a value, which no bound there exceeds. A bound of 0 is the value."""
    rows = (left_N == value).nonzero()[:, 0]
    if value == 0 or not len(rows):
        return len(rows)
    return sum(int((open_block(order_N[own], left_N[own])[0] == value).sum()) for own in rows.split(size))
