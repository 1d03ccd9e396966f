"""Core-set: the image farthest from everything labelled and chosen, again and again (k-centre, greedily).

Shape suffixes: N images of the pool, L labelled images, D features, M images of a block, K centres.

Source: Sener and Savarese (2018), "Active learning for convolutional neural networks: a core-set approach", algorithm 1, after
Gonzalez (1985); at most twice the smallest possible covering radius. Their second step, an integer programme, is left out.
"""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from hyperlearning.acquisition.distances import Grid, blocks, exact_squares, grid_of, labelled_features
from hyperlearning.acquisition.lazy_greedy import Take, choose_lazily
from hyperlearning.acquisition.query import Choose, Query, Views

_CENTRES = 256
"""Centres of one product of matrices."""


def core_set(*, block: int | None = 256) -> Choose:
    """Chooses farthest first.

    Looks at `features_ND`, and at `labelled_features_LD` where the system has them. With nothing labelled, chance takes the
    first. A score is the distance to the nearest labelled or earlier image; with nothing labelled, the first one's is how far
    the farthest image is from it. Distances are exact for features rounded to a grid (`Grid`), so that every block, thread
    count and device gives the same query, and copies are at distance 0.

    Cost: between N (L + 1) and N (L + B) distances of D multiply-adds, few more than the former where features are many.
    Memory: a few numbers an image, the labelled and chosen features in double precision, and blocks.

    Args:
        block: Images whose distances are kept up to date together; None for all, which is the plain algorithm (a copy of the
            pool in double precision, and B passes over it).
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        features_ND, labelled_LD = views.need("features_ND"), labelled_features(views)
        centres = _Centres(features_ND, labelled_LD, num)
        size = len(features_ND) if block is None else block
        if len(labelled_LD):
            return centres.in_units(choose_lazily(centres.nearest_N, centres.open_block, num, source, size=size))
        first = torch.randint(len(features_ND), (1,), generator=source, device=source.device).to(features_ND.device)
        centres.add(first)
        farthest = centres.nearest_N.max()
        bounds_N = centres.nearest_N.index_fill(0, first, -torch.inf)
        if num == 1:
            return centres.in_units(Query(first, farthest[None], len(features_ND)))
        others = choose_lazily(bounds_N, centres.open_block, num - 1, source, size=size)
        query = Query(
            torch.cat([first, others.indices_B]), torch.cat([farthest[None], others.scores_B]), others.num_tied
        )
        return centres.in_units(query)

    return choose


class _Centres:
    """What images are measured from, and how near the nearest of them is, as far as an image has been told.

    Attributes:
        nearest_N: Squared distances on the grid to the nearest of the centres known to an image.
    """

    def __init__(self, features_ND: Tensor, labelled_LD: Tensor, num: int) -> None:
        self._features_ND = features_ND
        self._grid: Grid = grid_of(features_ND, labelled_LD)
        self._places_KD = torch.empty(
            len(labelled_LD) + num, features_ND.shape[1], dtype=torch.float64, device=features_ND.device
        )
        self._places_KD[: len(labelled_LD)] = self._grid(labelled_LD)
        self._count = len(labelled_LD)
        self._known_N = torch.zeros(len(features_ND), dtype=torch.int64, device=features_ND.device)
        self.nearest_N: Float64[Tensor, " pool"] = features_ND.new_full(
            (len(features_ND),), torch.inf, dtype=torch.float64
        )
        self._tell_all()

    def add(self, place: Int64[Tensor, "1"]) -> None:
        """Adds an image of the pool, and tells all of it."""
        self._append(self._grid(self._features_ND[place]))
        self._tell_all()

    def open_block(
        self, indices_M: Int64[Tensor, " block"], bounds_M: Float64[Tensor, " block"]
    ) -> tuple[Tensor, Take]:
        """Tells some images of all centres; choosing one of them makes it a centre that these know."""
        block_MD = self._grid(self._features_ND[indices_M])
        lengths_M = block_MD.square().sum(-1)
        nearest_M = self._tell(block_MD, self._known_N[indices_M], bounds_M.clone())
        self._known_N[indices_M] = self._count

        def take(place: int) -> Tensor:
            chosen_D = block_MD[place : place + 1]
            self._append(chosen_D)
            self._known_N[indices_M] = self._count
            return torch.minimum(nearest_M, exact_squares(block_MD, lengths_M, chosen_D)[:, 0], out=nearest_M)

        return nearest_M, take

    def in_units(self, query: Query) -> Query:
        """Scores as distances between features."""
        scores_B = (query.scores_B.sqrt() * self._grid.step).to(self._features_ND.dtype)
        return query._replace(scores_B=scores_B)

    def _append(self, place_1D: Float64[Tensor, "1 features"]) -> None:
        self._places_KD[self._count] = place_1D[0]
        self._count += 1

    def _tell_all(self) -> None:
        for rows in blocks(len(self._features_ND), max(_CENTRES, self._places_KD.shape[1])):
            block_MD = self._grid(self._features_ND[rows])
            self.nearest_N[rows] = self._tell(block_MD, self._known_N[rows], self.nearest_N[rows])
            self._known_N[rows] = self._count

    def _tell(
        self,
        block_MD: Float64[Tensor, "block features"],
        known_M: Int64[Tensor, " block"],
        nearest_M: Float64[Tensor, " block"],
    ) -> Float64[Tensor, " block"]:
        """Brings distances up to date; each image is measured from those it does not know, by and large."""
        lengths_M = block_MD.square().sum(-1)
        for start in range(int(known_M.min()) // _CENTRES * _CENTRES, self._count, _CENTRES):
            centres_KD = self._places_KD[start : min(start + _CENTRES, self._count)]
            unaware = (known_M < start + len(centres_KD)).nonzero()[:, 0]
            rows_MD = block_MD if len(unaware) == len(block_MD) else block_MD[unaware]
            nearer = exact_squares(rows_MD, lengths_M[unaware], centres_KD).amin(1)
            nearest_M[unaware] = torch.minimum(nearest_M[unaware], nearer)
        return nearest_M
