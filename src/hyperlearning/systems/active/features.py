"""Features of a pool that need no label.

Shape suffixes: N images of the pool, T tests, D features.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.systems.active.problem import Problem


class PoolFeatures(NamedTuple):
    """Features of all images.

    Attributes:
        pool_ND: Of what can be asked about.
        test_TD: Of tests.
    """

    pool_ND: Float[Tensor, "images features"]
    test_TD: Float[Tensor, "tests features"]


def pixel_features(problem: Problem, num_features: int) -> PoolFeatures:
    """Principal components of pixels, each over its standard deviation in the pool, and all over the root of their number.

    Args:
        problem: Pool and tests.
        num_features: Components; as many as there are pixels at most.
    """
    flat_ND, tests_TD = problem.images.flatten(1).double(), problem.test_images.flatten(1).double()
    mean_D = flat_ND.mean(0)
    covariance = (flat_ND - mean_D).T @ (flat_ND - mean_D) / len(flat_ND)
    values, axes = torch.linalg.eigh(covariance)
    kept = values.flip(0)[:num_features] > 1e-10 * values[-1]
    axes_DF = axes.flip(1)[:, :num_features][:, kept] / values.flip(0)[:num_features][kept].sqrt()
    scale = axes_DF.shape[1] ** -0.5
    return PoolFeatures(*(((own - mean_D) @ axes_DF * scale).float() for own in (flat_ND, tests_TD)))
