"""Draws what is far from everything drawn before: k-means++, many draws at a time, each with exactly the right probability.

The plain algorithm passes over the whole pool for every draw. Here candidates are drawn by distances that lack the latest
draws, which are no smaller than the true ones, and each is kept with the ratio of its true distance to that one: rejection
sampling, whose draws have the distribution of the plain algorithm. The pool is passed over once for a block of candidates, by
a product of matrices.

Shape suffixes: N things to draw from, R rows, M candidates of a block, B draws.

Source: Arthur and Vassilvitskii (2007), "k-means++: the advantages of careful seeding".
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.distances import shuffled

Between = Callable[[Tensor | None, Tensor], Tensor]
"""Squared distances of some things, or with None of all, to some: from indices R and M to R x M."""


class Apart(NamedTuple):
    """What was drawn.

    Attributes:
        indices_B: In this order, none twice.
        squares_B: Squared distances to the nearest one drawn before, which probabilities were proportional to; infinite for
            the first.
        num_tied: How many the last one was drawn from at even chances, since nothing was left at a distance; else 1.
    """

    indices_B: Int64[Tensor, " draws"]
    squares_B: Float[Tensor, " draws"]
    num_tied: int = 1


def draw_apart(
    first: Int64[Tensor, "1"],
    between: Between,
    num: int,
    source: torch.Generator,
    *,
    num_all: int,
    candidates: int = 32,
) -> Apart:
    """Draws each in proportion to its squared distance to the nearest one drawn; where all that is left is at 0, evenly.

    Args:
        first: Where to begin.
        between: Gives squared distances, 0 between equals.
        num: How many, the first one included; no more than there are.
        source: Of chance.
        num_all: How many there are to draw from.
        candidates: How many are drawn before distances are brought up to date.
    """
    found, squares_of = [first], [torch.full_like(first, torch.inf, dtype=torch.float64)]
    squares_N = torch.full((num_all,), torch.inf, dtype=torch.float64, device=first.device)
    count, latest_M = 1, first
    while count < num:
        squares_N = torch.minimum(squares_N, between(None, latest_M).amin(1).double())
        squares_N[latest_M] = 0
        if not bool(squares_N.any()):
            break
        latest_M, kept_M = _accepted(squares_N, between, min(candidates, num - count), source)
        found.append(latest_M)
        squares_of.append(kept_M)
        count += len(latest_M)
    indices = torch.cat(found)
    left = shuffled(num_all, source, first.device)
    left = left[~torch.isin(left, indices)]
    squares_B = torch.cat([*squares_of, squares_N.new_zeros(num - count)])
    return Apart(torch.cat([indices, left[: num - count]]), squares_B, len(left) if count < num else 1)


def _accepted(
    squares_N: Float[Tensor, " all"], between: Between, num: int, source: torch.Generator
) -> tuple[Int64[Tensor, " accepted"], Float[Tensor, " accepted"]]:
    """Of candidates drawn in proportion to what may be out of date, those that are kept; at least the first of them."""
    candidates_M = drawn(squares_N, num, source)
    names = candidates_M.tolist()
    chances = torch.rand(num, generator=source, device=source.device, dtype=torch.float64).tolist()
    stale = squares_N[candidates_M].tolist()
    apart = between(candidates_M, candidates_M).tolist()
    kept: list[int] = []
    squares: list[float] = []
    for at in range(num):
        now = min([stale[at], *(apart[at][earlier] for earlier in kept)])
        if chances[at] * stale[at] < now and names[at] not in {names[earlier] for earlier in kept}:
            kept.append(at)
            squares.append(now)
    return candidates_M[kept], squares_N.new_tensor(squares)


def drawn(weights_N: Float[Tensor, " all"], num: int, source: torch.Generator) -> Int64[Tensor, " drawn"]:
    """Draws in proportion to weights, with replacement; never what has none."""
    sums_N = weights_N.cumsum(0)
    marks = torch.rand(num, generator=source, device=source.device, dtype=torch.float64).to(sums_N.device) * sums_N[-1]
    last = int(weights_N.nonzero()[-1])
    return torch.searchsorted(sums_N, marks, right=True).clamp_(max=last)
