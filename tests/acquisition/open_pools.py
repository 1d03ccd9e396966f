"""Pools half of which is none of ours."""

import torch
from torch import Tensor

from hyperlearning.acquisition.query import Views


def open_pool(
    *, pool: int = 200, labelled: int = 60, rejected: int = 40, classes: int = 3, seed: int = 0
) -> tuple[Views, Tensor]:
    """Classes around axes of their own, and others around two further ones, between which and ours nothing lies.

    Returns:
        What a system says, and of which images of the pool it is true that they are ours.
    """
    source = torch.Generator().manual_seed(seed)
    centres = 3 * torch.eye(classes + 2, 8, dtype=torch.float64)

    def features(labels: Tensor) -> Tensor:
        noise = 0.7 * torch.randn(len(labels), 8, generator=source, dtype=torch.float64)
        return centres[labels] + noise

    is_ours = torch.rand(pool, generator=source) < 0.5
    kinds = torch.randint(classes, (pool,), generator=source)
    others = classes + torch.randint(2, (pool,), generator=source)
    own = torch.randint(classes, (labelled,), generator=source)
    pool_features, own_features = features(torch.where(is_ours, kinds, others)), features(own)
    views = Views(
        probabilities_KNC=(pool_features @ centres[:classes].T).softmax(-1)[None],
        features_ND=pool_features,
        labelled_features_LD=own_features,
        labels_L=own,
        labelled_probabilities_LC=(own_features @ centres[:classes].T).softmax(-1),
        open_features_ND=pool_features,
        open_labelled_LD=own_features,
        rejected_features_RD=features(classes + torch.randint(2, (rejected,), generator=source)),
    )
    return views, is_ours
