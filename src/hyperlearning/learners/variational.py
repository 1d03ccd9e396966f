"""The loss of a variational network: of its classes, of the image that it draws again, and of how far its latent is from noise.

Shape suffixes: B images, L numbers of a latent.
"""

from typing import Literal, NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hyperlearning.core.losses import cross_entropy_of_one
from hyperlearning.networks.variational.network import Said

Divergence = Literal["code", "text"]
"""What beta multiplies: the divergence of a latent's number on average, as in the code of the dissertation's chapter 3, or of all
its numbers together, as in its equations. With 60 numbers a beta of .1 in the first is one of .1/60 in the second."""

_TINY = 1e-8
"""Added to the variance before its logarithm, as in the code."""


class VariationalLoss(NamedTuple):
    """The loss and what it is made of.

    Attributes:
        total: What is minimized.
        classification: Cross-entropy, the mean of the images.
        reconstruction: Binary cross-entropy of a pixel, the mean of all; 0 without a decoder.
        divergence: As beta multiplies it, the mean of the images.
    """

    total: Tensor
    classification: Tensor
    reconstruction: Tensor
    divergence: Tensor


def kl_from_standard_normal(mu: Float[Tensor, "B L"], scale: Float[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """The Kullback-Leibler divergence of every number of a latent from a standard normal one.

    `KL = (mu^2 + scale^2 - 1 - log(1e-8 + scale^2)) / 2`; the sign of `scale` does not matter.

    Source: Kingma and Welling, "Auto-Encoding Variational Bayes" (2013), appendix B.
    """
    variance = scale.square()
    return 0.5 * (mu.square() + variance - 1 - (_TINY + variance).log())


def variational_loss(
    said: Said,
    labels: Int64[Tensor, " B"],
    images: Float[Tensor, "B C S S"],
    *,
    beta: float = 0.1,
    divergence: Divergence = "code",
) -> VariationalLoss:
    """`cross-entropy + binary cross-entropy of pixels + beta * KL`; without a decoder the second is absent.

    Args:
        said: What the network made of images with labels, its latents drawn.
        labels: Classes from 0.
        images: What is to be drawn again, values from 0 to 1: those that the network saw, or cleaner ones.
        beta: Weight of the divergence, from 0.
        divergence: What beta multiplies.

    Raises:
        ValueError: If `beta` is negative, or what is drawn has another shape than the images.

    Source: dissertation, equations 3.1 (with a decoder) and 3.2 (without), their signs turned. The equations sum the pixels'
    terms; text and code alike are trained with their mean here, as the code has it.
    """
    if beta < 0:
        raise ValueError(f"Expected `beta` to be non-negative, but got {beta}.")
    classification = cross_entropy_of_one(said.logits, labels)
    each_BL = kl_from_standard_normal(said.mu, said.scale)
    own = each_BL.mean() if divergence == "code" else each_BL.sum(1).mean()
    if said.reconstruction is None:
        return VariationalLoss(classification + beta * own, classification, own.new_zeros(()), own)
    if said.reconstruction.shape != images.shape:
        raise ValueError(
            f"Expected images of shape {tuple(said.reconstruction.shape)} to compare with, but got {tuple(images.shape)}."
        )
    reconstruction = binary_cross_entropy_with_logits(said.reconstruction, images)
    return VariationalLoss(classification + reconstruction + beta * own, classification, reconstruction, own)
