"""Pools to choose from, and how much memory a choice takes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from hyperlearning.acquisition.query import Views


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pool(
    num: int = 60,
    *,
    features: int = 5,
    classes: int = 3,
    draws: int = 1,
    labelled: int = 7,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Views:
    """Images around a few centres."""
    source = seeded(seed)
    centres = 3 * torch.randn(classes, features, generator=source, dtype=dtype)
    of = torch.randint(classes, (num + labelled,), generator=source)
    placed = centres[of] + torch.randn(num + labelled, features, generator=source, dtype=dtype)
    logits = 2 * torch.randn(draws, num, classes, generator=source, dtype=dtype)
    return Views(
        features_ND=placed[labelled:],
        labelled_features_LD=placed[:labelled] if labelled else None,
        labels_L=of[:labelled] if labelled else None,
        probabilities_KNC=logits.softmax(-1),
    )


def apart(left: Tensor, right: Tensor) -> Tensor:
    """Squared distances, the slow way."""
    return (left[:, None] - right[None]).square().sum(-1)


class Largest(TorchDispatchMode):
    """Watches how many numbers the largest new tensor has."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else (made,):
            if isinstance(each, Tensor):
                self.numbers = max(self.numbers, each.untyped_storage().nbytes() // each.element_size())
        return made
