"""Linear detectors of what is none of ours, on features: one of classes and a further one, and one for every class alone.

Both are fitted to all examples at once, from zeros, so that nothing about them is random.

Shape suffixes: L labelled images, R rejected ones, N images, D features, C classes of ours.

Sources: Ning et al. (2022), "Active learning for open-set annotation", for the class C + 1 and its temperature; Safaei et al.
(2024), "Entropic open-set active learning", with the losses of its code, for a classifier a class.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid, one_hot

DECAY = 0.01
"""Of weights, half their squares, beside a mean over examples."""
_TEMPERATURE = 0.5
_STEPS = 300
_RATE = 0.05
_SHARE_OF_OTHERS = 0.8
"""How much images that are none of ours count in the loss of classifiers of one class each, and ours the rest."""


class Linear(NamedTuple):
    """Weights of features that are centred and scaled first.

    Attributes:
        mean_D: What becomes 0.
        scale: What becomes 1.
        weights_DC: Of features.
        biases_C: Added.
    """

    mean_D: Float[Tensor, " features"]
    scale: Float[Tensor, ""]
    weights_DC: Float[Tensor, "features outputs"]
    biases_C: Float[Tensor, " outputs"]

    def __call__(self, features_ND: Float[Tensor, "images features"]) -> Float[Tensor, "images outputs"]:
        """Logits."""
        return ((features_ND - self.mean_D) / self.scale) @ self.weights_DC + self.biases_C


def fit_detector(
    features_LD: Float[Tensor, "labelled features"],
    labels_L: Int64[Tensor, " labelled"],
    rejected_RD: Float[Tensor, "rejected features"],
    num_classes: int,
) -> Linear:
    """Fits a classifier of our classes and, as the last one, of what was rejected; of its logits twofold, at temperature .5.

    Args:
        features_LD: Of labelled images.
        labels_L: Their classes.
        rejected_RD: Features of images that are none of ours; there may be none yet.
        num_classes: Of ours.
    """
    targets = torch.cat([labels_L, labels_L.new_full((len(rejected_RD),), num_classes)])
    return _fitted(
        torch.cat([features_LD, rejected_RD]), num_classes + 1, lambda said: cross_entropy(said / _TEMPERATURE, targets)
    )


def fit_own_detectors(
    features_LD: Float[Tensor, "labelled features"],
    labels_L: Int64[Tensor, " labelled"],
    rejected_RD: Float[Tensor, "rejected features"],
    num_classes: int,
) -> Linear:
    """Fits a classifier of every class against all else: sure of labelled images, and undecided about rejected ones.

    Of a labelled image the loss is that of its own class and of the other class which it is taken for most; of a rejected one the
    mean over classes of what yes and no cost, least where both are as likely. Without rejected images the first is all.

    Args:
        features_LD: Of labelled images.
        labels_L: Their classes.
        rejected_RD: Features of images that are none of ours; there may be none yet.
        num_classes: Of ours.
    """
    own_LC, num_labelled = one_hot(labels_L, num_classes).bool(), len(labels_L)
    ours = 1 - _SHARE_OF_OTHERS if len(rejected_RD) else 1.0

    def loss(said: Tensor) -> Tensor:
        yes_LC, no_LC = -logsigmoid(said), -logsigmoid(-said)
        own_L = yes_LC[:num_labelled][own_LC]
        hardest_L = no_LC[:num_labelled].masked_fill(own_LC, 0).amax(1)
        total = ours * (own_L + hardest_L).mean()
        if len(rejected_RD):
            total = total + _SHARE_OF_OTHERS * (yes_LC + no_LC)[num_labelled:].mean()
        return total / 2

    return _fitted(torch.cat([features_LD, rejected_RD]), num_classes, loss)


@torch.enable_grad()
def _fitted(features_ND: Tensor, num_outputs: int, loss: Callable[[Tensor], Tensor]) -> Linear:
    """Lowers a loss of the logits and the squares of weights by as many steps of Adam, in double precision."""
    features_ND = features_ND.double()
    mean_D = features_ND.mean(0)
    centred_ND = features_ND - mean_D
    scale = centred_ND.square().mean().sqrt().clamp(min=1e-12)
    weights_DC = features_ND.new_zeros(features_ND.shape[1], num_outputs).requires_grad_()
    biases_C = features_ND.new_zeros(num_outputs).requires_grad_()
    optimizer = torch.optim.Adam([weights_DC, biases_C], _RATE)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        said = (centred_ND / scale) @ weights_DC + biases_C
        (loss(said) + DECAY / 2 * weights_DC.square().sum()).backward()
        optimizer.step()
    return Linear(mean_D, scale, weights_DC.detach(), biases_C.detach())
