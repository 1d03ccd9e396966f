"""Coverage by kernels: images whose neighbourhoods, soft and maybe weighted by uncertainty, cover the pool.

Shape suffixes: N images of the pool, J of them that coverage is measured on, L labelled images, D features, M images of a block.

Sources: Bae et al. (2024), "Generalized coverage for more robust low-budget active learning" (MaxHerding); Bae et al. (2025),
"Uncertainty herding: one active learning method for all label budgets" (UHerding).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.distances import blocks, labelled_features, shuffled, squares, unit
from hyperlearning.acquisition.lazy_greedy import Take, choose_lazily
from hyperlearning.acquisition.query import Choose, Query, Views
from hyperlearning.acquisition.uncertainty import margin

_BLOCK = 64
"""Images whose gains are kept up to date together."""
_LABELLED = 512
"""Labelled images of one block of distances."""


def max_herding(*, radius: float = 1.0, num_judged: int = 10_000) -> Choose:
    """Chooses greedily what raises the mean over the pool of max_c k(x, c), c labelled or chosen, k = exp(-|x - c|^2 / radius^2).

    Looks at `features_ND` (taken at length 1) and, where there are, at `labelled_features_LD`. A score is the gain in
    coverage, which is at most 1 in all.

    Cost: N J D multiply-adds, and J D for each image that is brought up to date later. Memory: a copy of the features, J numbers
    and blocks.

    Args:
        radius: Of the kernel (the paper's sigma).
        num_judged: Images of the pool, drawn by chance, that coverage is measured on; all where there are no more.
    """
    return _herding(lambda views: None, lambda labelled_LD: radius, num_judged)


def u_herding(*, temperature: float = 1.0, num_judged: int = 10_000) -> Choose:
    """Chooses as `max_herding` does, coverage weighted by how unsure the system is: 1 - (p(first) - p(second)).

    The kernel's radius is the smallest distance between two labelled images that are not equal, and 1 where there is none: it
    shrinks as labels come in, until images cover themselves alone and the most unsure are chosen. Looks at
    `probabilities_KNC` too, of which it takes the mean over draws.

    Args:
        temperature: What logarithms of probabilities are divided by, as calibration on held-out labels would have it.
        num_judged: As in `max_herding`.
    """

    def weights(views: Views) -> Float[Tensor, " pool"]:
        mean_NC = views.need("probabilities_KNC").mean(0)
        return 1 + margin((mean_NC.log() / temperature).softmax(-1)[None])

    return _herding(weights, smallest_distance, num_judged)


def smallest_distance(features_LD: Float[Tensor, "labelled features"]) -> float:
    """Between two that differ; 1 where no two do."""
    smallest = torch.inf
    for rows in blocks(len(features_LD), len(features_LD)):
        squares_RL = squares(features_LD[rows], features_LD)
        smallest = min(smallest, float(squares_RL.masked_fill_(squares_RL == 0, torch.inf).amin()))
    return smallest**0.5 if smallest < torch.inf else 1.0


def _herding(weigh: Callable[[Views], Tensor | None], radius_of: Callable[[Tensor], float], num_judged: int) -> Choose:
    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        features_ND, labelled_LD = unit(views.need("features_ND")), unit(labelled_features(views))
        judged_J = shuffled(len(features_ND), source, features_ND.device)[:num_judged]
        weights_N = weigh(views)
        even_J = features_ND.new_ones(len(judged_J))
        weights_J = even_J if weights_N is None else weights_N[judged_J].to(features_ND.dtype)
        coverage = _Coverage(
            features_ND, features_ND[judged_J], weights_J / len(judged_J), labelled_LD, radius_of(labelled_LD)
        )
        return choose_lazily(coverage.gains(), coverage.open_block, num, source, size=_BLOCK)

    return choose


class _Coverage:
    """How well what is labelled and chosen covers some images, and what an image of the pool would add."""

    def __init__(
        self, features_ND: Tensor, judged_JD: Tensor, weights_J: Tensor, labelled_LD: Tensor, radius: float
    ) -> None:
        self._features_ND, self._judged_JD, self._weights_J, self._radius = features_ND, judged_JD, weights_J, radius
        self._best_J = torch.zeros_like(weights_J)
        for own_LD in labelled_LD.split(_LABELLED):
            if len(own_LD):
                self._best_J = torch.maximum(self._best_J, self._kernel(own_LD).amax(0))

    def gains(self) -> Float[Tensor, " pool"]:
        """Of every image of the pool."""
        gains_N = self._features_ND.new_empty(len(self._features_ND))
        for rows in blocks(len(gains_N), len(self._judged_JD)):
            gains_N[rows] = self._gains_of(self._kernel(self._features_ND[rows]))
        return gains_N

    def open_block(self, indices_M: Int64[Tensor, " block"], bounds_M: Float[Tensor, " block"]) -> tuple[Tensor, Take]:
        """Gives the gains of some images; choosing one of them covers what it covers."""
        kernel_MJ = self._kernel(self._features_ND[indices_M])

        def take(place: int) -> Tensor:
            self._best_J = torch.maximum(self._best_J, kernel_MJ[place])
            return self._gains_of(kernel_MJ)

        return self._gains_of(kernel_MJ), take

    def _kernel(self, features_MD: Tensor) -> Float[Tensor, "block judged"]:
        return squares(features_MD, self._judged_JD).div_(-(self._radius**2)).exp_()

    def _gains_of(self, kernel_MJ: Tensor) -> Float[Tensor, " block"]:
        return (kernel_MJ - self._best_J).clamp_(min=0) @ self._weights_J
