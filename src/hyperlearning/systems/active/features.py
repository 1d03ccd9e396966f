"""Features of a pool that need no label.

Shape suffixes: N images of the pool, T tests, P pixels, D features.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64
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


@runtime_checkable
class Embedder(Protocol):
    """Turns images into features, and can be kept."""

    def __call__(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N D"]:
        """Features of images."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All that it follows from."""
        ...


@dataclass(frozen=True, eq=False)
class PixelComponents:
    """Principal components of pixels, each over its standard deviation, and all over the root of their number.

    Attributes:
        mean_P: Of the images that they were found on.
        axes_PD: Each over its standard deviation.
    """

    mean_P: Float64[Tensor, " P"]
    axes_PD: Float64[Tensor, "P D"]

    def __call__(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N D"]:
        """Features of images."""
        return ((images.flatten(1).double() - self.mean_P) @ self.axes_PD * self.axes_PD.shape[1] ** -0.5).float()

    def tensors(self) -> dict[str, Tensor]:
        """Mean and axes."""
        return {"mean_P": self.mean_P, "axes_PD": self.axes_PD}


def find_pixel_components(images: Float[Tensor, "N C S S"], num_features: int) -> PixelComponents:
    """Principal components of images' pixels.

    Args:
        images: Those that they are found on.
        num_features: Components; as many as there are pixels or images at most.

    Raises:
        ValueError: If all images are the same.
    """
    flat_NP = images.flatten(1).double()
    mean_P = flat_NP.mean(0)
    values, axes = _principal_axes(flat_NP - mean_P)
    kept = values[:num_features] > 1e-10 * values[0]
    if not bool(kept.any()):
        raise ValueError(
            f"Expected images that differ, but all {len(images)} are the same once they have been resized."
        )
    axes_PD = axes[:, :num_features][:, kept] / values[:num_features][kept].sqrt()
    return PixelComponents(mean_P, axes_PD)


def _principal_axes(centred_NP: Float64[Tensor, "N P"]) -> tuple[Tensor, Tensor]:
    """Variances, the largest first, and axes; by the smaller of the two products, which have the same variances."""
    num, num_pixels = centred_NP.shape
    if num >= num_pixels:
        values, axes = torch.linalg.eigh(centred_NP.T @ centred_NP / num)
        return values.flip(0), axes.flip(1)
    values, rows = torch.linalg.eigh(centred_NP @ centred_NP.T / num)
    lengths = (values * num).clamp(min=torch.finfo(torch.float64).tiny).sqrt()
    return values.flip(0), (centred_NP.T @ rows / lengths).flip(1)


def pixel_features(problem: Problem, num_features: int) -> PoolFeatures:
    """Principal components of pixels, each over its standard deviation in the pool, and all over the root of their number.

    Args:
        problem: Pool and tests.
        num_features: Components; as many as there are pixels at most.
    """
    components = find_pixel_components(problem.images, num_features)
    return PoolFeatures(components(problem.images), components(problem.test_images))
