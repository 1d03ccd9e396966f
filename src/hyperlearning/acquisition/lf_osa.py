"""LfOSA: asks for what a detector's largest activation says is of a known class, learning from what was rejected.

Sources: Ning, Zhao, Li and Huang (2022), "Active learning for open-set annotation", equations 2 to 4, and its code.

Shape suffixes: N images of the pool, C classes.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.detector import fit_detector
from hyperlearning.acquisition.gaussian_pairs import fit_pairs
from hyperlearning.acquisition.query import Query, Views, highest


def lf_osa(views: Views, num: int, source: torch.Generator) -> Query:
    """Asks for the highest odds that the largest activation is of the higher of two Gaussians of its class.

    What the detector takes for none of ours comes last, as does what alone is taken for its class. While nothing is rejected, the
    detector knows our classes alone. The order is by log odds, of which fewer are equal than of probabilities near 1.

    Needs features, those of labelled and rejected images, labels, and probabilities for the number of classes. Cost: O(N C D).
    """
    features_ND, num_classes = views.need("open_features_ND"), views.need("probabilities_KNC").shape[-1]
    detector = fit_detector(
        views.need("open_labelled_LD"), views.need("labels_L"), views.need("rejected_features_RD"), num_classes
    )
    return highest(known_odds(detector(features_ND.double()), num_classes), num, source)


def known_odds(logits_NC: Float[Tensor, "pool outputs"], num_classes: int) -> Float[Tensor, " pool"]:
    """Log odds of being known, by what is taken for the same class; minus infinity of what is taken for no class of ours.

    Args:
        logits_NC: Of our classes and what is none of ours.
        num_classes: Of ours.
    """
    activation_N, said_N = logits_NC.max(1)
    numbers_CM, there_CM, turn_N = _by_class(activation_N, said_N, num_classes)
    odds_CM = fit_pairs(numbers_CM, there_CM).log_odds_of_higher(numbers_CM)
    alone_N = (there_CM.sum(1) < 2)[said_N.clamp(max=num_classes - 1)]
    odds_N = odds_CM[said_N.clamp(max=num_classes - 1), turn_N]
    return odds_N.masked_fill((said_N >= num_classes) | alone_N, -torch.inf)


def _by_class(
    activation_N: Tensor, said_N: Int64[Tensor, " pool"], num_classes: int
) -> tuple[Float[Tensor, "classes most"], Tensor, Int64[Tensor, " pool"]]:
    """Activations a row a class, which of them there are, and where in its row each image is."""
    one_hot_NC = torch.nn.functional.one_hot(said_N, num_classes + 1)
    turn_N = (one_hot_NC.cumsum(0) - 1).gather(1, said_N[:, None])[:, 0]
    most = int(one_hot_NC.sum(0).max())
    numbers_CM = activation_N.new_zeros(num_classes + 1, most)
    there_CM = torch.zeros_like(numbers_CM, dtype=torch.bool)
    numbers_CM[said_N, turn_N] = activation_N
    there_CM[said_N, turn_N] = True
    return numbers_CM[:num_classes], there_CM[:num_classes], turn_N
