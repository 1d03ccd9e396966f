"""Prototypes that unlabelled images refine: one step of soft k-means.

Source: Ren et al., "Meta-Learning for Semi-Supervised Few-Shot Classification", section 3.1.1, equations 3 and 4.

Shape suffixes: M members (lives), T tasks, B images of a class, F features, K labels.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.learners.prototypes import prototype_logits


def refined_prototype_logits(
    labelled: Float[Tensor, "T M B F"],
    labels: Int64[Tensor, "T M B"],
    unlabelled: Float[Tensor, "M U F"],
    queries: Float[Tensor, "M Q F"],
    *,
    num_labels: int,
    scale: float,
) -> Float[Tensor, "M Q K"]:
    """Scores queries by minus the mean squared distance to each class's refined mean.

    `p'_c = (sum_i x_i [y_i = c] + sum_j z_jc u_j) / (n_c + sum_j z_jc)` with `z_jc = softmax_c(scale * logit_jc)`, the logits
    being those of the means of the labelled images alone.

    Args:
        labelled: Features of labelled images, task by task.
        labels: Their labels.
        unlabelled: Features of unlabelled images; whose class they are is not told.
        queries: Features of what is to be classified.
        num_labels: Labels in all, K; those without examples are never chosen.
        scale: What distances are multiplied by before the softmax.

    Raises:
        ValueError: If a label is out of range.
    """
    share_MUK = torch.softmax(scale * prototype_logits(labelled, labels, unlabelled, num_labels=num_labels), dim=-1)
    flat_MNF = labelled.permute(1, 0, 2, 3).flatten(1, 2)
    onehot_MNK = torch.nn.functional.one_hot(labels.permute(1, 0, 2).flatten(1), num_labels).to(labelled.dtype)
    counts_MK = onehot_MNK.sum(1) + share_MUK.sum(1)
    sums_MKF = onehot_MNK.transpose(1, 2) @ flat_MNF + share_MUK.transpose(1, 2) @ unlabelled
    means_MKF = sums_MKF / counts_MK.clamp(min=1)[..., None]
    squares = queries.square().mean(-1)[..., None] + means_MKF.square().mean(-1)[:, None]
    logits_MQK = 2 * queries @ means_MKF.transpose(1, 2) / queries.shape[-1] - squares
    absent_MK = onehot_MNK.sum(1) == 0
    return logits_MQK.masked_fill(absent_MK[:, None], -1e6)
