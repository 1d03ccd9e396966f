"""A linear head that is solved for all labelled images at once, with its precision and its confidence chosen without others.

What the head would say of an image, had it not seen it, follows from one decomposition for every precision: with features U s V',
fitted values are U s^2 / (s^2 + precision) U' Y, and what is left out errs by (y - fitted) / (1 - leverage). The precision that
errs least is taken, and the temperature under which those answers are likeliest.

Sources: Allen (1974) for what is left out (PRESS); Guo et al. (2017) for the temperature.

Shape suffixes: L labelled images, N images, D features, C classes, K draws, P precisions, R ranks.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot, pad

_PRECISIONS = torch.logspace(-4, 3, 29, dtype=torch.float64)
"""In units of the mean square of a singular value."""
_TEMPERATURES = torch.logspace(-2.5, 1, 141, dtype=torch.float64)
_UNTRIED_TEMPERATURE = 0.1
"""Of a head of which no answer can be left out: scores lie between 0 and 1."""


class RidgeHead(NamedTuple):
    """Weights, and how far to trust them.

    Attributes:
        weights_DC: The last row is of a constant feature.
        precision: Of the prior on weights.
        temperature: Scores over it are logits.
        noise: Mean squared error of what is left out.
        singular_R: Of the labelled features.
        axes_RD: Their right singular vectors.
    """

    weights_DC: Float[Tensor, "features classes"]
    precision: float
    temperature: float
    noise: float
    singular_R: Float[Tensor, " ranks"]
    axes_RD: Float[Tensor, "ranks features"]

    def probabilities(self, features_ND: Float[Tensor, "images features"]) -> Float[Tensor, "images classes"]:
        """What the head says of images."""
        return (_with_constant(features_ND) @ self.weights_DC / self.temperature).softmax(-1)

    def draws(
        self, features_ND: Float[Tensor, "images features"], num: int, source: torch.Generator
    ) -> Float[Tensor, "draws images classes"]:
        """What heads say that are drawn from the posterior of the weights, under a normal prior and normal errors."""
        shape = (num, *self.weights_DC.shape)
        normal_KDC = torch.randn(shape, dtype=self.weights_DC.dtype, generator=source)
        along_R = (self.singular_R.square() + self.precision).rsqrt() - self.precision**-0.5
        moved_KDC = self.precision**-0.5 * normal_KDC + self.axes_RD.T @ (
            along_R[:, None] * (self.axes_RD @ normal_KDC)
        )
        weights_KDC = self.weights_DC + self.noise**0.5 * moved_KDC
        return (_with_constant(features_ND) @ weights_KDC / self.temperature).softmax(-1)


def fit_ridge_head(
    features_LD: Float[Tensor, "labelled features"],
    labels_L: Int64[Tensor, " labelled"],
    num_classes: int,
    *,
    balanced: bool = False,
    num_others: int = 0,
) -> RidgeHead:
    """Solves a head in double precision.

    Args:
        features_LD: Of labelled images.
        labels_L: Their classes, from 0.
        num_classes: Classes that there are, labelled or not.
        balanced: Whether every class that has labels counts the same, however many it has: one may have one label and another
            three, by chance or because they were asked for.
        num_others: How many of the last classes count by their labels nevertheless, such as one of all that is none of ours: it
            is as large as its share, and not as a class.

    Raises:
        ValueError: If nothing is labelled.
    """
    if not len(labels_L):
        raise ValueError("Expected labelled images, but got none.")
    roots_L1 = _roots(labels_L, num_classes - num_others if balanced else 0)[:, None]
    all_LD = roots_L1 * _with_constant(features_LD.double())
    targets_LC = roots_L1 * one_hot(labels_L, num_classes).double()
    left_LR, singular_R, axes_RD = torch.linalg.svd(all_LD, full_matrices=False)
    within_RC = left_LR.T @ targets_LC
    precisions_P = _PRECISIONS * singular_R.square().mean()
    shrunk_PR = singular_R.square() / (singular_R.square() + precisions_P[:, None])
    fitted_PLC = left_LR @ (shrunk_PR[..., None] * within_RC)
    leverage_PL = shrunk_PR @ left_LR.square().T
    without_PLC = targets_LC - (targets_LC - fitted_PLC) / (1 - leverage_PL)[..., None].clamp(min=1e-9)
    errors_P = (without_PLC - targets_LC).square().mean((1, 2))
    best = int(errors_P.argmin())
    weights_DC = axes_RD.T @ ((singular_R / (singular_R.square() + precisions_P[best]))[:, None] * within_RC)
    return RidgeHead(
        weights_DC,
        float(precisions_P[best]),
        _temperature(without_PLC[best] / roots_L1, labels_L),
        float(errors_P[best]),
        singular_R,
        axes_RD,
    )


def _roots(labels_L: Tensor, num_balanced: int) -> Float[Tensor, " labelled"]:
    """Roots of what images count, whose mean is 1: least squares of rows times these are weighted least squares.

    Args:
        labels_L: Of images.
        num_balanced: The first so many classes count the same.
    """
    roots_L = torch.ones(len(labels_L), dtype=torch.float64)
    balanced_L = labels_L < num_balanced
    counts_B = 1 / labels_L.bincount()[labels_L[balanced_L]].double()
    roots_L[balanced_L] = (counts_B / counts_B.mean()).sqrt()
    return roots_L


def _temperature(without_LC: Tensor, labels_L: Tensor) -> float:
    """The likeliest, by images whose class has others."""
    can_know_L = labels_L.bincount()[labels_L] > 1
    if not bool(can_know_L.any()):
        return _UNTRIED_TEMPERATURE
    scores_LC, own_L = without_LC[can_know_L], labels_L[can_know_L]
    nats = [float(cross_entropy(scores_LC / temperature, own_L)) for temperature in _TEMPERATURES]
    return float(_TEMPERATURES[int(torch.tensor(nats).argmin())])


def _with_constant(features_ND: Tensor) -> Tensor:
    return pad(features_ND.double(), (0, 1), value=1.0)
