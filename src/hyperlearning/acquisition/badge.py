"""BADGE: images whose gradients of the last layer are large and unlike one another.

The gradient that an image would have if its likeliest class were right is (p - onehot(argmax p)) x h, of C D numbers. Lengths and
inner products of such are products of those of the two factors, so that none of them is ever written down.

Shape suffixes: K draws of a system, N images of the pool, C classes, D features, M images of a block, R rows.

Source: Ash et al. (2020), "Deep batch active learning by diverse, uncertain gradient lower bounds", algorithm 1.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.distances import without_noise
from hyperlearning.acquisition.plus_plus import draw_apart
from hyperlearning.acquisition.query import Query, Views, highest


def badge(views: Views, num: int, source: torch.Generator) -> Query:
    """Chooses the longest gradient, and then in proportion to squared distances to the nearest of those chosen (k-means++).

    Looks at `probabilities_KNC`, of which it takes the mean over draws, and at `features_ND`, which should be what the last layer
    sees. A score is the squared distance that an image was drawn in proportion to, the first one's its squared length; images at
    0, as when every prediction is certain or there is one class, are drawn evenly after all others.

    Cost: O(B N (C + D)), by products of matrices. Memory: N C numbers and blocks of 32 columns.
    """
    features_ND = views.need("features_ND")
    slopes_NC = slopes(views.need("probabilities_KNC").mean(0)).to(features_ND.dtype)
    lengths_N = slopes_NC.square().sum(-1) * features_ND.square().sum(-1)

    def between(
        rows_R: Int64[Tensor, " rows"] | None, others_M: Int64[Tensor, " others"]
    ) -> Float[Tensor, "rows others"]:
        left_RC, left_RD, left_R = (
            own if rows_R is None else own[rows_R] for own in (slopes_NC, features_ND, lengths_N)
        )
        products_RM = (left_RC @ slopes_NC[others_M].T).mul_(left_RD @ features_ND[others_M].T)
        return without_noise(products_RM, left_R, lengths_N[others_M])

    first = highest(lengths_N, 1, source)
    found = draw_apart(first.indices_B, between, num, source, num_all=len(lengths_N))
    scores_B = found.squares_B.to(lengths_N.dtype)
    scores_B[0] = first.scores_B[0]
    return Query(found.indices_B, scores_B, first.num_tied if num == 1 else found.num_tied)


def slopes(probabilities_NC: Float[Tensor, "pool classes"]) -> Float[Tensor, "pool classes"]:
    """What the loss of the likeliest class is differentiated to at the logits: p - onehot(argmax p)."""
    likeliest_N1 = probabilities_NC.argmax(-1, keepdim=True)
    return probabilities_NC.scatter_add(-1, likeliest_N1, -torch.ones_like(probabilities_NC[:, :1]))
