"""Learning without forgetting: a network keeps saying of new images what it said of them as earlier tasks had them."""

import copy

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from hyperlearning.learners.continual.learner import Remedy
from hyperlearning.networks.many_headed import ManyHeaded

_TEMPERATURE = 2.0


class Distillation(Remedy):
    """Adds the divergence from what earlier heads said before the task, summed over them, at a temperature of 2.

    Args:
        strength: What it is multiplied by.

    Raises:
        ValueError: If `strength` is negative.

    Source: Li and Hoiem, "Learning without forgetting" (2017), equation 2.
    """

    def __init__(self, *, strength: float) -> None:
        if strength < 0:
            raise ValueError(f"Expected `strength` to be 0 or more, but got {strength}.")
        self._strength = strength
        self._old: ManyHeaded | None = None

    def before_task(self, network: ManyHeaded) -> None:
        """Copies the network as it is, but for the newest head."""
        self._old = copy.deepcopy(network).requires_grad_(False) if network.num_tasks > 1 else None

    def loss(self, network: ManyHeaded, images: Tensor, labels: Tensor, task: int) -> Tensor:
        """Cross-entropy of the new labels, and the divergence of the old."""
        if self._old is None:
            return cross_entropy(network(images, task), labels)
        features = network.body(images)
        loss = cross_entropy(network.head(task)(features), labels)
        with torch.no_grad():
            old_features = self._old.body(images)
        for earlier in range(task if network.own_heads else 1):
            with torch.no_grad():
                said = self._old.head(earlier)(old_features)
            loss = loss + self._strength * divergence(network.head(earlier)(features), said, temperature=_TEMPERATURE)
        return loss


def divergence(scores: Tensor, wanted: Tensor, *, temperature: float = 1.0) -> Tensor:
    """The mean Kullback-Leibler divergence of softmaxes from wanted ones, times the square of the temperature.

    Args:
        scores: Scores before the softmax, (N, outputs).
        wanted: Likewise; no gradient flows to them.
        temperature: What both are divided by.
    """
    target = (wanted.detach() / temperature).log_softmax(1)
    made = (scores / temperature).log_softmax(1)
    return temperature**2 * (target.exp() * (target - made)).sum(1).mean()
