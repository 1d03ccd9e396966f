"""The two ends of the scale: every vector as it is, and one vector for all of them.

Shape suffixes: K vectors kept, M new ones, S numbers of a vector.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import torch

from hyperlearning.core.params import Params
from hyperlearning.learners.weight_codecs.codec import EVERY, Vectors, check_vectors


class Separate:
    """Keeps every vector as it is, in float32: the upper bound, and the unit in which bytes are counted."""

    settings: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept_KS = torch.zeros(0, size)

    @property
    def num_kept(self) -> int:
        """Vectors kept."""
        return len(self._kept_KS)

    def learn(self, new_MS: Vectors) -> None:
        """Keeps further vectors."""
        check_vectors(new_MS, self.size)
        self._kept_KS = torch.cat([self._kept_KS, new_MS.float()])

    def recollect(self, which: slice = EVERY) -> Vectors:
        """Gives them back, to the bit."""
        return self._kept_KS[which].clone()

    def tensors(self) -> Params:
        """The vectors."""
        return {"vectors": self._kept_KS}

    def restore(self, tensors: Params) -> None:
        """Goes on from kept vectors."""
        self._kept_KS = tensors["vectors"]


class MeanAlone:
    """Keeps a mean of vectors and nothing else: whatever a network learned of its own is lost.

    Args:
        size: Numbers of a vector.
        of: Of which vectors: those of the first stage, in float16, or all that there were, in float32.
    """

    def __init__(self, size: int, *, of: Literal["first", "all"] = "first") -> None:
        self.size = size
        self.num_kept = 0
        self.settings: Mapping[str, Any] = MappingProxyType({"of": of})
        self._of_all = of == "all"
        self._mean_S = torch.zeros(0, dtype=torch.float32 if self._of_all else torch.float16)

    def learn(self, new_MS: Vectors) -> None:
        """Takes the mean of the first vectors; of later ones it keeps how many there are, or moves the mean to them too."""
        check_vectors(new_MS, self.size)
        if not self.num_kept:
            self._mean_S = new_MS.mean(0).to(self._mean_S.dtype)
        elif self._of_all:
            self._mean_S = self._mean_S + (new_MS - self._mean_S).sum(0) / (self.num_kept + len(new_MS))
        self.num_kept += len(new_MS)

    def recollect(self, which: slice = EVERY) -> Vectors:
        """Gives back the mean, as often as there were vectors."""
        if not self.num_kept:
            return torch.zeros(0, self.size)
        return self._mean_S.float().repeat(len(range(self.num_kept)[which]), 1)

    def tensors(self) -> Params:
        """The mean, and how many vectors there were."""
        return {"mean": self._mean_S, "num_kept": torch.tensor(self.num_kept, dtype=torch.int32)}

    def restore(self, tensors: Params) -> None:
        """Goes on from a mean."""
        self._mean_S, self.num_kept = tensors["mean"], int(tensors["num_kept"])
