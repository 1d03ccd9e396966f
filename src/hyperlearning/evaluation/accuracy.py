"""How many images of a life's classes are recognised, as pure functions: memory, generalization, forgetting.

Shape suffixes: L lives, T tasks, n images of a task, K outputs.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


class LifeAccuracy(NamedTuple):
    """What lives were worth: shares of images classified rightly.

    Attributes:
        memory: (L, T + 1, T), on the very images learned, after so many tasks, of each task; argmax over all outputs.
        generalization: Likewise on other images of the same classes.
        memory_of_life: (L, T), at the end, argmax over the life's classes alone.
        generalization_of_life: Likewise.
    """

    memory: Float[Tensor, "lives stages tasks"]
    generalization: Float[Tensor, "lives stages tasks"]
    memory_of_life: Float[Tensor, "lives tasks"]
    generalization_of_life: Float[Tensor, "lives tasks"]


def recognised(logits: Float[Tensor, "L images K"], labels: Int64[Tensor, "L T"]) -> Float[Tensor, "L T n"]:
    """Says of each image whether the largest logit is its task's label, 1 or 0; images stand task by task.

    Args:
        logits: Of as many images of every task.
        labels: Each task's label.
    """
    chosen_LTn = logits.argmax(-1).unflatten(1, (labels.shape[1], -1))
    return (chosen_LTn == labels[..., None]).to(logits.dtype)


def among_own(logits: Float[Tensor, "L images K"], labels: Int64[Tensor, "L T"]) -> Float[Tensor, "L images K"]:
    """Leaves every life the logits of its own labels alone."""
    own_L1K: Bool[Tensor, "L 1 K"] = torch.nn.functional.one_hot(labels, logits.shape[-1]).sum(1).bool()[:, None]
    return logits.masked_fill(~own_L1K, -torch.inf)


def life_accuracy(
    looks: Float[Tensor, "L stages T n"], of_life: Float[Tensor, "L T n"], num_learned: int
) -> LifeAccuracy:
    """Splits what is recognised into memory and generalization.

    Args:
        looks: What `recognised` says after so many tasks.
        of_life: Likewise at the end, `among_own` logits.
        num_learned: Images of each task that were met; the first ones.
    """
    return LifeAccuracy(
        memory=looks[..., :num_learned].mean(-1),
        generalization=looks[..., num_learned:].mean(-1),
        memory_of_life=of_life[..., :num_learned].mean(-1),
        generalization_of_life=of_life[..., num_learned:].mean(-1),
    )


def forgetting(accuracy: Float[Tensor, "*lives stages tasks"]) -> Float[Tensor, "*lives"]:
    """How much accuracy fell since each task was learned: `1/T sum_{j<T} (A[j+1, j] - A[T, j])`, A[i] after i tasks.

    It is minus the backward transfer of the source but for the mean: there over the first T - 1 tasks, here over all T, of
    which the last adds 0. Of errors, minus this is how much they rose.

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", section 2.
    """
    after_own_task = torch.diagonal(accuracy[..., 1:, :], dim1=-2, dim2=-1)
    return (after_own_task - accuracy[..., -1, :]).mean(-1)
