"""Product quantisation: differences to a source are cut into pieces, each kept as the place of its nearest centre in a book.

The book is made of the first stage's differences by k-means and does not change afterwards, so that nothing compounds. A first
stage of one vector, which is the source, has none; then the book is made of the second's, beside a centre of zeros.

Source: Jegou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search" (2011), with one book for all pieces.

Shape suffixes: K vectors kept, M new ones, S numbers of a vector, L numbers of a piece, P pieces.
"""

import math

import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor
from torch.nn.functional import pad

from hyperlearning.core.params import Params, on_default_device
from hyperlearning.learners.weight_codecs.codec import EVERY, Vectors, check_vectors

_MOST_CENTRES = 256
_PIECES_AT_A_TIME = 4096


class ProductQuantised:
    """Keeps a byte for every piece of a vector.

    Args:
        size: Numbers of a vector.
        piece: Numbers of a piece, L.
        seed: Of the first centres.

    Raises:
        ValueError: If `piece` is not positive.
    """

    def __init__(self, size: int, *, piece: int = 8, seed: int = 0) -> None:
        if piece < 1:
            raise ValueError(f"Expected `piece` to be positive, but got {piece}.")
        self.size, self._piece, self._seed = size, piece, seed
        self.settings = {"piece": piece, "seed": seed}
        self._source_S, self._book_CL = torch.zeros(0, dtype=torch.float16), torch.zeros(0, piece, dtype=torch.float16)
        self._places_KP = torch.zeros(0, math.ceil(size / piece), dtype=torch.uint8)

    @property
    def num_kept(self) -> int:
        """Vectors kept."""
        return len(self._places_KP)

    def learn(self, new_MS: Vectors) -> None:
        """Looks further vectors' pieces up; the first ones also make source and book."""
        check_vectors(new_MS, self.size)
        if not self.num_kept:
            self._source_S = new_MS.mean(0).half()
        pieces = self._pieces(new_MS.float() - self._source_S.float())
        if not self.num_kept and len(new_MS) == 1:
            self._book_CL = torch.zeros(1, self._piece, dtype=torch.float16)
        elif not self.num_kept:
            self._book_CL = self._made(pieces.flatten(0, 1), _MOST_CENTRES)
        elif len(self._book_CL) == 1:
            self._book_CL = torch.cat([self._book_CL, self._made(pieces.flatten(0, 1), _MOST_CENTRES - 1)])
        places = [_nearest(some, self._book_CL.float()) for some in pieces.flatten(0, 1).split(_PIECES_AT_A_TIME)]
        self._places_KP = torch.cat([self._places_KP, torch.cat(places).reshape(len(new_MS), -1)])

    def recollect(self, which: slice = EVERY) -> Vectors:
        """Puts centres together and adds the source."""
        if not self.num_kept:
            return torch.zeros(0, self.size)
        apart_KS = self._book_CL.float()[self._places_KP[which].long()].flatten(1)[:, : self.size]
        return self._source_S.float() + apart_KS

    def tensors(self) -> Params:
        """Source, book and places."""
        return {"source": self._source_S, "book": self._book_CL, "places": self._places_KP}

    def restore(self, tensors: Params) -> None:
        """Goes on from them."""
        self._source_S, self._book_CL, self._places_KP = tensors["source"], tensors["book"], tensors["places"]

    def _pieces(self, apart_MS: Tensor) -> Tensor:
        return pad(apart_MS, (0, -self.size % self._piece)).unflatten(1, (-1, self._piece))

    def _made(self, pieces: Tensor, most: int) -> Tensor:
        count = min(most, len(pieces))
        # One start and a fixed size of batches: the book follows from the seed.
        found = MiniBatchKMeans(count, random_state=self._seed, n_init="auto", batch_size=4096).fit(
            pieces.double().cpu().numpy()
        )
        return on_default_device(torch.from_numpy(found.cluster_centers_)).half()


def _nearest(pieces: Tensor, book_CL: Tensor) -> Tensor:
    return torch.cdist(pieces, book_CL).argmin(1).to(torch.uint8)
