"""Prototypes that unlabelled images refine: one step of soft k-means.

Source: Ren et al., "Meta-Learning for Semi-Supervised Few-Shot Classification", section 3.1.1, equations 3 and 4.

Shape suffixes: M members (lives), T tasks, B images of a class, F features, K labels.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.learners.prototypes import class_sums, distance_logits, prototype_logits


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
    sums_MKF, counts_MK = class_sums(labelled, labels, num_labels=num_labels)
    means_MKF = sums_MKF + share_MUK.transpose(1, 2) @ unlabelled
    means_MKF = means_MKF / (counts_MK + share_MUK.sum(1)).clamp(min=1)[..., None]
    return distance_logits(queries, means_MKF, counts_MK > 0)
