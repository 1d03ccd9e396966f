"""Differences to a source, every matrix of them kept as a product of two thin ones.

The source is the mean of the first stage's vectors, as for quantised differences.

Shape suffixes: K vectors kept, M new ones, S numbers of a vector, P numbers that are kept of each.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.weight_codecs.codec import EVERY, Vectors, check_vectors


class LowRankResiduals:
    """Keeps the largest singular values of every tensor's difference to a source; tensors of one axis are kept whole.

    A tensor of several axes is a matrix of its first axis by all others.

    Args:
        shapes: Of the tensors that a vector is made of, in their order.
        rank: Singular values that are kept of each.

    Raises:
        ValueError: If `rank` is not positive.
    """

    def __init__(self, shapes: Sequence[Sequence[int]], *, rank: int) -> None:
        if rank < 1:
            raise ValueError(f"Expected `rank` to be positive, but got {rank}.")
        self._shapes, self._rank = tuple(tuple(shape) for shape in shapes), rank
        self.size = sum(math.prod(shape) for shape in self._shapes)
        self.settings = {"shapes": [list(shape) for shape in self._shapes], "rank": rank}
        self._source_S = torch.zeros(0, dtype=torch.float16)
        self._parts_KP = torch.zeros(0, sum(map(self._kept_of, self._shapes)), dtype=torch.float16)

    @property
    def num_kept(self) -> int:
        """Vectors kept."""
        return len(self._parts_KP)

    def learn(self, new_MS: Vectors) -> None:
        """Factorises further vectors' differences; the first ones also make the source."""
        check_vectors(new_MS, self.size)
        if not self.num_kept:
            self._source_S = new_MS.mean(0).half()
        parts = [self._factorised(vector - self._source_S.float()) for vector in new_MS.float()]
        self._parts_KP = torch.cat([self._parts_KP, torch.stack(parts)])

    def recollect(self, which: slice = EVERY) -> Vectors:
        """Multiplies factors and adds the source."""
        made = [self._source_S.float() + self._multiplied(parts.float()) for parts in self._parts_KP[which]]
        return torch.stack(made) if made else torch.zeros(0, self.size)

    def tensors(self) -> Params:
        """Source and factors."""
        return {"source": self._source_S, "parts": self._parts_KP}

    def restore(self, tensors: Params) -> None:
        """Goes on from them."""
        self._source_S, self._parts_KP = tensors["source"], tensors["parts"]

    def _kept_of(self, shape: tuple[int, ...]) -> int:
        rows, columns = _matrix(shape)
        rank = min(self._rank, rows, columns)
        return min(rank * (rows + columns), rows * columns)

    def _is_whole(self, shape: tuple[int, ...]) -> bool:
        return self._kept_of(shape) == math.prod(shape)

    def _factorised(self, apart_S: Tensor) -> Tensor:
        kept = []
        for shape, part in zip(self._shapes, apart_S.split([math.prod(shape) for shape in self._shapes]), strict=True):
            if self._is_whole(shape):
                kept.append(part)
                continue
            left, values, right = torch.linalg.svd(part.reshape(_matrix(shape)), full_matrices=False)
            roots = values[: self._rank].sqrt()
            kept += [(left[:, : self._rank] * roots).flatten(), (roots[:, None] * right[: self._rank]).flatten()]
        return torch.cat(kept).half()

    def _multiplied(self, parts_P: Tensor) -> Tensor:
        made = []
        for shape, kept in zip(self._shapes, parts_P.split([self._kept_of(s) for s in self._shapes]), strict=True):
            if self._is_whole(shape):
                made.append(kept)
                continue
            rows, columns = _matrix(shape)
            left, right = kept.split([len(kept) * rows // (rows + columns), len(kept) * columns // (rows + columns)])
            made.append((left.reshape(rows, -1) @ right.reshape(-1, columns)).flatten())
        return torch.cat(made)


def _matrix(shape: Sequence[int]) -> tuple[int, int]:
    return (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (1, math.prod(shape))
