"""The highest scores of a stream: pools of any size, of which only a block and what is wanted is ever in memory.

Shape suffixes: R scores of a block, B images of a query.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.acquisition.query import Query
from hyperlearning.core.errors import QueryError


def highest_of_stream(blocks: Iterable[Float[Tensor, " _"]], num: int, source: torch.Generator) -> Query:
    """Takes those of the highest scores as `highest` does, block by block; among equals chance decides, wherever they stand.

    Every image draws a number, which decides between equals. Memory: a block and `num` images.

    Args:
        blocks: Scores, in the order of the pool.
        num: How many; all, if there are no more.
        source: Of chance.

    Raises:
        QueryError: If there are no scores, or fewer than one is wanted.
    """
    if num < 1:
        raise QueryError(f"Expected at least one image to ask for, but got {num}.")
    seen = dropped = 0
    indices, scores, drawn = torch.empty(0, dtype=torch.int64), torch.empty(0), torch.empty(0, dtype=torch.float64)
    least = None
    for scores_R in blocks:
        own_R = torch.arange(seen, seen + len(scores_R), device=scores_R.device)
        drawn_R = torch.rand(len(scores_R), generator=source, device=source.device, dtype=torch.float64)
        seen += len(scores_R)
        indices, drawn = (
            torch.cat([a.to(b.device), b]) for a, b in ((indices, own_R), (drawn, drawn_R.to(own_R.device)))
        )
        scores = torch.cat([scores.to(scores_R), scores_R])
        order = drawn.argsort()
        order = order[scores[order].argsort(descending=True, stable=True)]
        kept, rest = order[:num], scores[order[num:]]
        if len(kept) == num:
            dropped = (dropped if least == scores[kept[-1]] else 0) + int((rest == scores[kept[-1]]).sum())
            least = scores[kept[-1]]
        indices, scores, drawn = indices[kept], scores[kept], drawn[kept]
    if not len(indices):
        raise QueryError("Expected a pool with images to ask for, but it is empty.")
    return Query(indices, scores, int((scores == scores[-1]).sum()) + dropped)
