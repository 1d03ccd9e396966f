"""Principal components of vectors: what an autoencoder of as many latent numbers has to beat.

Shape suffixes: K vectors kept, M new ones, S numbers of a vector, r components.
"""

import torch
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.weight_codecs.codec import EVERY, Vectors, check_vectors


class PrincipalComponents:
    """A mean and the directions in which vectors differ most, fitted anew at every stage to recollections and new vectors.

    Args:
        size: Numbers of a vector.
        num_components: Numbers that are kept of each beside what all share.
        dtype: The type in which mean, components and codes are kept.
    """

    def __init__(self, size: int, *, num_components: int, dtype: torch.dtype = torch.float32) -> None:
        self.size = size
        self._num_components, self._dtype = num_components, dtype
        self.settings = {"num_components": num_components, "dtype": str(dtype)}
        self._mean_S = torch.zeros(size, dtype=dtype)
        self._components_rS, self._codes_Kr = torch.zeros(0, size, dtype=dtype), torch.zeros(0, 0, dtype=dtype)

    @property
    def num_kept(self) -> int:
        """Vectors kept."""
        return len(self._codes_Kr)

    def learn(self, new_MS: Vectors) -> None:
        """Fits mean and components to what was kept and what is new."""
        check_vectors(new_MS, self.size)
        targets_KS = torch.cat([self.recollect(), new_MS.float()])
        mean_S = targets_KS.mean(0)
        apart_KS = targets_KS - mean_S
        _, _, directions = torch.linalg.svd(apart_KS, full_matrices=False)
        components_rS = directions[: self._num_components]
        self._mean_S, self._components_rS = mean_S.to(self._dtype), components_rS.to(self._dtype)
        self._codes_Kr = (apart_KS @ components_rS.T).to(self._dtype)

    def recollect(self, which: slice = EVERY) -> Vectors:
        """Decodes codes."""
        if not self.num_kept:
            return torch.zeros(0, self.size)
        return self._mean_S.float() + self._codes_Kr[which].float() @ self._components_rS.float()

    def tensors(self) -> Params:
        """Mean, components and codes."""
        return {"mean": self._mean_S, "components": self._components_rS, "codes": self._codes_Kr}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from them."""
        self._mean_S, self._components_rS = tensors["mean"], tensors["components"]
        self._codes_Kr = tensors["codes"]
