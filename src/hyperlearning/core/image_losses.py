"""Losses on images that are reconstructed, alone and beside labels; all keep the member axis.

Outputs are logits of brightness: an image is their sigmoid, so that every pixel is from 0 to 1.

Shape suffixes: M members, B batch, K classes, P pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.losses import LossFn, mean_squared_error

NUM_LABEL_COLUMNS = 2
"""Columns of packed targets before the pixels: the label, and 1 where it is known."""


def pixel_error(
    logits: Float[Tensor, "members batch pixels"], images: Float[Tensor, "members batch pixels"]
) -> Float[Tensor, " members"]:
    """Mean squared error of every member's images: `L_m = mean((sigmoid(logit) - pixel)**2)`.

    Raises:
        ValueError: If the shapes differ.

    Source: dissertation, equation 6.2, of one image per target.
    """
    return mean_squared_error(torch.sigmoid(logits), images)


def summed_pixel_error(
    logits: Float[Tensor, "members batch pixels"], images: Float[Tensor, "members batch pixels"]
) -> Float[Tensor, " members"]:
    """Half the squared error of an image, `P / 2 * pixel_error`: a pixel's gradient does not shrink with their number."""
    return pixel_error(logits, images) * (images.shape[-1] / 2)


def pack_targets(
    labels: Float[Tensor, "*shape"], known: Float[Tensor, "*shape"], images: Float[Tensor, "*shape pixels"]
) -> Float[Tensor, "*shape columns"]:
    """Puts label, whether it is known, and pixels side by side, (..., 2 + P)."""
    return torch.cat([labels[..., None], known[..., None], images], dim=-1)


def semi_supervised_loss(num_classes: int, *, pixel_weight: float, temperature: float = 1.0) -> LossFn:
    """Makes the loss of a network with both outputs: `L = NLL over known labels + pixel_weight * MSE over all images`.

    `NLL = sum_b known_b * T * -log softmax(logits_b / T)[label_b] / sum_b known_b`, and 0 where no label is known. An unknown
    label is never looked at.

    Args:
        num_classes: The first outputs, K, are logits of classes; the rest are logits of pixels.
        pixel_weight: Weight of the reconstruction, lambda, from 0.
        temperature: T, as for `tempered_cross_entropy`.

    Returns:
        The loss of outputs (M, B, K + P) and of targets that `pack_targets` made, one per member.

    Raises:
        ValueError: If a setting is out of range; when called, if the shapes do not belong together.
    """
    if num_classes < 1 or pixel_weight < 0 or not temperature > 0:
        raise ValueError(
            "Expected positive `num_classes` and `temperature` and a non-negative `pixel_weight`, "
            f"but got {num_classes}, {temperature} and {pixel_weight}."
        )

    def loss(
        outputs: Float[Tensor, "members batch outputs"], targets: Float[Tensor, "members batch columns"]
    ) -> Float[Tensor, " members"]:
        expected = (*outputs.shape[:-1], outputs.shape[-1] - num_classes + NUM_LABEL_COLUMNS)
        if targets.shape != expected:
            raise ValueError(f"Expected packed targets of shape {expected}, but got {tuple(targets.shape)}.")
        known_MB = targets[..., 1]
        labels_MB = (targets[..., 0] * known_MB).long()
        chances_MBK = torch.log_softmax(outputs[..., :num_classes] / temperature, dim=-1)
        losses_MB = -temperature * chances_MBK.gather(-1, labels_MB[..., None])[..., 0]
        of_labels = (losses_MB * known_MB).sum(-1) / known_MB.sum(-1).clamp(min=1)
        if not pixel_weight:
            return of_labels
        return of_labels + pixel_weight * pixel_error(outputs[..., num_classes:], targets[..., NUM_LABEL_COLUMNS:])

    return loss
