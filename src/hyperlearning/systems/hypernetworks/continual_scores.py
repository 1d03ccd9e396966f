"""How networks of tasks do: each on its own task, and where the task of an image has to be inferred.

Shape suffixes: T tasks, M images, O outputs, K networks, N numbers of one.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.hypernet_continual.task_inference import said_of, surest
from hyperlearning.networks.hypernetworks.running import run_many
from hyperlearning.systems.hypernetworks.continual_tasks import Scores, Tasks

_AT_ONCE = 8000
"""Images times networks of a call."""


class Found(NamedTuple):
    """How well tasks are inferred, a share of its images for every task.

    Attributes:
        found: The task is the right one.
        domain: The label is the right one of a task's.
        right: Both.
    """

    found: tuple[float, ...]
    domain: tuple[float, ...]
    right: tuple[float, ...]


@torch.no_grad()
def known_scores(tasks: Tasks, own: Callable[[Tensor, int], Tensor], num_tasks: int) -> tuple[float, ...]:
    """Tests the networks of the first tasks, each on its own task."""
    data = [tasks.test(number) for number in range(num_tasks)]
    return tuple(_share(own(one.images, number).argmax(1) == one.labels) for number, one in enumerate(data))


@torch.no_grad()
def own_scores(tasks: Tasks, scores: Scores, num_tasks: int) -> tuple[tuple[float, ...], Found]:
    """Tests the networks of the first tasks: with the task known, and with the surest network's.

    Args:
        tasks: The tasks.
        scores: What all their networks say.
        num_tasks: How many have been learned.

    Returns:
        The share of each task's images that its own network gets right; and how it is where tasks are inferred.
    """
    known, found = [], []
    for number in range(num_tasks):
        data, said = tasks.test(number), []
        for images in data.images.split(max(1, _AT_ONCE // num_tasks)):
            said.append(scores(images))
        scores_TMO = torch.cat(said, 1)
        known.append(_share(scores_TMO[number].argmax(-1) == data.labels))
        found.append(shares(scores_TMO, surest(scores_TMO), data.labels, number))
    return tuple(known), Found(*(tuple(own) for own in zip(*found, strict=True)))


def shares(
    scores_TMO: Float[Tensor, "T M O"], chosen_M: Tensor, labels_M: Tensor, task: int
) -> tuple[float, float, float]:
    """The shares of one task's images whose task is found, whose label is right, and both."""
    found, right = chosen_M == task, said_of(scores_TMO, chosen_M) == labels_M
    return _share(found), _share(right), _share(found & right)


def _share(right: Tensor) -> float:
    return round(float(right.double().mean()), 5)


def vector_scores(tasks: Tasks, vectors_KN: Float[Tensor, "K N"]) -> Scores:
    """What networks say whose weights are vectors, all on the same images."""
    network = tasks.network()
    shapes = {name: tensor.shape for name, tensor in network.named_parameters()}
    parts = vectors_KN.split([shape.numel() for shape in shapes.values()], 1)
    weights: Params = {
        name: part.reshape(-1, *shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }

    def scores(images: Tensor) -> Tensor:
        return run_many(network, weights, {}, images, same_inputs=True, own_buffers=False)

    return scores


def own_of_vectors(tasks: Tasks, vectors_KN: Float[Tensor, "K N"], images: Tensor, task: int) -> Tensor:
    """What the network of one task says, whose weights are one of the vectors."""
    return vector_scores(tasks, vectors_KN[task : task + 1])(images)[0]
