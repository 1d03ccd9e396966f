"""Whether a system is right as often as it says.

Shape suffixes: N images, C classes.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

_TINY = 1e-12


class Calibration(NamedTuple):
    """How probabilities fare.

    Attributes:
        accuracy: The share of images whose likeliest class is right.
        nats: Mean negative log likelihood; a probability of 0 counts as 1e-12.
        ece: Expected calibration error: the mean gap of confidence and accuracy over equal intervals of confidence, by images.
    """

    accuracy: float
    nats: float
    ece: float


def calibration(
    probabilities_NC: Float[Tensor, "images classes"], labels_N: Int64[Tensor, " images"], *, num_intervals: int = 15
) -> Calibration:
    """Compares what is said with what is right.

    Args:
        probabilities_NC: Of classes.
        labels_N: True ones.
        num_intervals: Of confidence, from 0 to 1, open below (Guo et al., 2017: 15).

    Raises:
        ValueError: If there are no images, or not as many labels.
    """
    if not len(labels_N) or len(labels_N) != len(probabilities_NC):
        raise ValueError(f"Expected one label an image, and one image at least, but got {len(labels_N)} labels.")
    sure_N, said_N = probabilities_NC.double().max(1)
    right_N = (said_N == labels_N).double()
    interval_N = (sure_N * num_intervals).ceil().long().clamp(1, num_intervals) - 1
    gap_I = torch.zeros(num_intervals, dtype=torch.float64).index_add(0, interval_N, sure_N - right_N)
    own_N = probabilities_NC.double().gather(1, labels_N[:, None]).clamp(min=_TINY)
    return Calibration(float(right_N.mean()), float(-own_N.log().mean()), float(gap_I.abs().sum() / len(labels_N)))
