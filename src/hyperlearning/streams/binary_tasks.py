"""Tasks that tell one class from a few others: many of them, each a small problem of its own, drawn from one data set.

Source: dissertation, section 2.4.2 (Split MNIST with 50 tasks and more). The shares are those of the authors' code.
"""

from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.data.images import ImageSet


class BinaryTask(NamedTuple):
    """One class against a few others.

    Attributes:
        positive: The class that is label 1.
        negatives: The classes that are label 0.
    """

    positive: int
    negatives: tuple[int, ...]

    @property
    def title(self) -> str:
        """Such as "3 or 1, 8"."""
        return f"{self.positive} or {', '.join(map(str, self.negatives))}"


class TaskData(NamedTuple):
    """Examples of a task.

    Attributes:
        images: From 0 to 1.
        labels: 0 or 1.
    """

    images: Float[Tensor, "N C H W"]
    labels: Int64[Tensor, " N"]


def draw_binary_tasks(
    num_tasks: int, source: torch.Generator, *, num_classes: int = 10, num_negatives: int = 2
) -> tuple[BinaryTask, ...]:
    """Draws different tasks.

    Args:
        num_tasks: How many.
        source: Source of the choice.
        num_classes: Classes that there are.
        num_negatives: Classes that the positive one is told from.

    Raises:
        ValueError: If there are not so many.
    """
    available = [
        BinaryTask(positive, negatives)
        for positive in range(num_classes)
        for negatives in combinations([other for other in range(num_classes) if other != positive], num_negatives)
    ]
    if not 0 < num_tasks <= len(available):
        raise ValueError(
            f"Expected 1 to {len(available)} tasks of one class against {num_negatives} of the other {num_classes - 1}, "
            f"but got {num_tasks}."
        )
    return tuple(available[place] for place in torch.randperm(len(available), generator=source)[:num_tasks].tolist())


def examples_of(
    images: ImageSet, task: BinaryTask, *, negative_share: float = 0.4, most: int | None = None
) -> TaskData:
    """Takes a task's examples: all of the positive class, and of each negative one the first `negative_share`.

    Args:
        images: Where classes come from.
        task: The task.
        negative_share: How much of a negative class is taken, at least one image.
        most: The most images of the positive class; of negative ones the share of so many. All if absent.
    """
    picks = [torch.nonzero(images.labels == task.positive)[:most, 0]]
    for label in task.negatives:
        found = torch.nonzero(images.labels == label)[:most, 0]
        picks.append(found[: max(1, int(len(found) * negative_share))])
    places = torch.cat(picks)
    return TaskData(images.images[places].float() / 255, (images.labels[places] == task.positive).long())
