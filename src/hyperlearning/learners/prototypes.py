"""Prototypes: a class is the mean of its examples' features, and an image belongs to the nearest. Nothing to forget.

The strongest cheap baseline of class-incremental learning from few examples: an embedding is meta-trained, and a life keeps
means alone.

Source: Snell et al., "Prototypical Networks for Few-shot Learning", equations 1 and 2, squared Euclidean distance.

Shape suffixes: M members (lives), T tasks, B examples of a class, Q queries, F features, K labels.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, detach
from hyperlearning.learners.hyper_step import HyperBatch, HyperLosses, HyperState, HyperStep
from hyperlearning.learners.optimizers import Optimizer, clip_by_global_norm

SCALE = "scale"
"""Name of the innate number that distances are multiplied by before the softmax."""

_FAR = -1e6
"""Score of a label without examples: finite, so that the gradient of what multiplies it is 0 and not NaN."""


def prototype_logits(
    support: Float[Tensor, "T M B F"],
    labels: Int64[Tensor, "T M B"],
    queries: Float[Tensor, "M Q F"],
    *,
    num_labels: int,
) -> Float[Tensor, "M Q K"]:
    """Scores queries by minus the mean squared distance to each class's mean; labels without examples score far below any other.

    Args:
        support: Features of the examples, task by task; a task is one class.
        labels: Their labels, from 0 to `num_labels` - 1.
        queries: Features of what is to be classified.
        num_labels: Labels in all, K.

    Raises:
        ValueError: If a label is out of range.
    """
    sums_MKF, counts_MK = class_sums(support, labels, num_labels=num_labels)
    return distance_logits(queries, sums_MKF / counts_MK.clamp(min=1)[..., None], counts_MK > 0)


def class_sums(
    support: Float[Tensor, "T M B F"], labels: Int64[Tensor, "T M B"], *, num_labels: int
) -> tuple[Float[Tensor, "M K F"], Float[Tensor, "M K"]]:
    """Sums the features of each class's examples, and counts them.

    Raises:
        ValueError: If a label is out of range.
    """
    if int(labels.min()) < 0 or int(labels.max()) >= num_labels:
        raise ValueError(
            f"Expected labels from 0 to {num_labels - 1}, but got {int(labels.min())} to {int(labels.max())}."
        )
    flat_MNF = support.permute(1, 0, 2, 3).flatten(1, 2)
    onehot_MNK = torch.nn.functional.one_hot(labels.permute(1, 0, 2).flatten(1), num_labels).to(support.dtype)
    return onehot_MNK.transpose(1, 2) @ flat_MNF, onehot_MNK.sum(1)


def distance_logits(
    queries: Float[Tensor, "M Q F"], means: Float[Tensor, "M K F"], known: Bool[Tensor, "M K"]
) -> Float[Tensor, "M Q K"]:
    """Minus the mean squared distance of each query to each mean; far below any other where a class is not `known`."""
    squares = queries.square().mean(-1)[..., None] + means.square().mean(-1)[:, None]
    distances_MQK = squares - 2 * queries @ means.transpose(1, 2) / queries.shape[-1]
    return (-distances_MQK).masked_fill(~known[:, None], _FAR)


def make_prototype_step(
    embed: Callable[[Params, Tensor], Tensor], outer: Optimizer, *, num_labels: int, max_grad_norm: float | None = None
) -> HyperStep:
    """Makes an outer step that trains an embedding so that class means classify what the hyper-batch holds.

    It takes the same streams as a hyper step does: the tasks' batches are the examples, hyper-inputs the queries.

    Args:
        embed: Maps innate parameters and images (..., M, B, C, S, S) to features (..., M, B, F).
        outer: The outer optimizer.
        num_labels: Labels in all.
        max_grad_norm: Bound on the gradient's norm; none if absent.

    Returns:
        The step. Among the innate parameters, `scale` (no dimensions) multiplies distances; nothing is plastic.
    """

    def step(state: HyperState, batch: HyperBatch, outer_lr: Tensor) -> tuple[HyperState, HyperLosses]:
        innate = {name: tensor.detach().requires_grad_() for name, tensor in state.innate.items()}
        logits = prototype_logits(
            embed(innate, batch.inputs),
            batch.targets,
            embed(innate, batch.hyper_inputs[0]),
            num_labels=num_labels,
        )
        losses = cross_entropy(logits * innate[SCALE], batch.hyper_targets[0])
        grads = list(torch.autograd.grad(losses.mean(), list(innate.values())))
        with torch.no_grad():
            grads = clip_by_global_norm(grads, max_grad_norm) if max_grad_norm is not None else grads
            learned, moments = outer.update(detach(innate), grads, state.outer_moments, outer_lr)
        return state._replace(innate=learned, outer_moments=moments), HyperLosses(losses.detach(), losses.detach())

    return step
