"""Features centred and whitened by the spread within meta-train classes.

Shape suffixes: K classes, n images, F features.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from hyperlearning.evaluation.recognition import ClassFeatures


class SplitFeatures(NamedTuple):
    """Features of both splits."""

    meta_train: ClassFeatures
    meta_test: ClassFeatures


def whitened(features: SplitFeatures, shrinkage: float) -> SplitFeatures:
    """Centres and whitens features by the spread within meta-train classes, and scales each to the length sqrt(F).

    The spread is `S = 1/N sum_i (f_i - m_c(i)) (f_i - m_c(i))'` with m_c the class means, shrunk towards a sphere:
    `(1 - a) S + a tr(S)/F I`. A feature becomes `sqrt(F) g / |g|` with `g = S^(-1/2) (f - m)`, m the mean of all. All of it
    is innate: nothing of it is of the classes tested.

    Args:
        features: Features of both splits.
        shrinkage: The share a of the sphere, above 0: the spread has directions of next to none.
    """
    train = torch.cat((features.meta_train.train, features.meta_train.held_out), dim=1).double()
    mean_F = train.mean((0, 1))
    within = (train - train.mean(1, keepdim=True)).flatten(0, 1)
    spread_FF = within.T @ within / len(within)
    ball = torch.eye(len(mean_F), dtype=torch.float64, device=mean_F.device) * spread_FF.diagonal().mean()
    values, vectors = torch.linalg.eigh((1 - shrinkage) * spread_FF + shrinkage * ball)
    root = (vectors / values.clamp(min=1e-12).sqrt()) @ vectors.T

    def changed(some: Float[Tensor, "K n F"]) -> Float[Tensor, "K n F"]:
        return (normalize((some.double() - mean_F) @ root, dim=-1) * len(mean_F) ** 0.5).float()

    return SplitFeatures(
        *(replace(part, train=changed(part.train), held_out=changed(part.held_out)) for part in features)
    )
