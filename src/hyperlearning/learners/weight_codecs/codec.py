"""What every codec of weights has in common: it learns vectors in stages, and of those before it knows what it kept alone.

Shape suffixes: K vectors kept, M new ones, S numbers of a vector.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params

Vectors = Float[Tensor, "vectors numbers"]

EVERY = slice(None)
"""All vectors that are kept."""


@runtime_checkable
class WeightCodec(Protocol):
    """Keeps vectors of weights, networks or equal pieces of them, and gives them back as nearly as it can.

    Attributes:
        size: Numbers of a vector, S.
        num_kept: Vectors kept, K.
        settings: JSON values that say how it was built, its size apart.
    """

    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def num_kept(self) -> int: ...  # noqa: D102

    @property
    def settings(self) -> Mapping[str, Any]: ...  # noqa: D102

    def learn(self, new_MS: Vectors) -> None:
        """Takes in further vectors. Those before are known from what was kept of them.

        Where it fails or is stopped, nothing has changed.
        """
        ...

    def recollect(self, which: slice = EVERY) -> Vectors:
        """Gives vectors back, (K, S), in the order in which they were learned: all, or those of some places alone."""
        ...

    def tensors(self) -> Params:
        """Everything that recollecting needs, in the types in which it is kept: its bytes are what the codec costs."""
        ...

    def restore(self, tensors: Params) -> None:
        """Goes on where `tensors` was asked for, of a codec built alike."""
        ...


def check_vectors(new_MS: Tensor, size: int) -> None:
    """Refuses what a codec cannot take in.

    Raises:
        ValueError: If there is no vector, or they have another size.
    """
    if new_MS.ndim != 2 or not len(new_MS) or new_MS.shape[1] != size:
        raise ValueError(f"Expected one vector or more of {size} numbers, but got shape {tuple(new_MS.shape)}.")
