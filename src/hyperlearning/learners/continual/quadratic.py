"""Remedies that pull parameters to where they were: `strength / 2 * sum_k I_k (theta - theta_k)^2`, over tasks k.

All are kept in two numbers a parameter, however many tasks there are: but for a constant the sum is `A theta^2 - 2 B theta`,
with `A = sum_k I_k` and `B = sum_k I_k theta_k`. They differ in what makes a parameter important, and in whether all anchors
count or the newest alone.

The pull is taken as the exact minimum along each parameter after every update, a proximal step, so that no strength is too large
to be stable; where a plain gradient step is stable both come to rest at the same place.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.continual.fisher import fisher_diagonal
from hyperlearning.learners.continual.learner import Images, Labels, Remedy, Sgd, below
from hyperlearning.networks.many_headed import ManyHeaded

Importance = Literal["ones", "fisher", "path"]
_DAMPING = 0.1
"""Of synaptic intelligence, xi (Zenke et al., section 4)."""


class Quadratic(Remedy):
    """Pulls to earlier parameters.

    Args:
        importance: Of every parameter: 1; the diagonal of the Fisher information; or what it took off the loss on its way,
            over the square of the way.
        strength: What the pull is multiplied by, lambda.
        every_anchor: Whether parameters are pulled to where every task ended, each as that task has it, or to where the last
            one ended alone.
        num_images: The most images of a task that the Fisher information is taken of, the first in a random order.

    | importance | every anchor | last anchor |
    | --- | --- | --- |
    | ones | L2 | online L2, where importance does not grow either |
    | fisher | EWC | online EWC |
    | path | - | synaptic intelligence |

    Raises:
        ValueError: If `strength` is negative, or `importance` is none of these.

    Source: Kirkpatrick et al. (2017), equation 3; Huszar, "On quadratic penalties in elastic weight consolidation" (2018);
    Schwarz et al., "Progress & Compress" (2018), section 4; Zenke et al., "Continual learning through synaptic
    intelligence" (2017).
    """

    def __init__(
        self, importance: Importance, *, strength: float, every_anchor: bool = False, num_images: int = 500
    ) -> None:
        if strength < 0:
            raise ValueError(f"Expected `strength` to be 0 or more, but got {strength}.")
        if importance not in get_args(Importance):
            raise ValueError(
                f"Expected `importance` to be one of {', '.join(get_args(Importance))}, but got {importance!r}."
            )
        self._importance: Importance = importance
        self._strength, self._every_anchor, self._num_images = strength, every_anchor, num_images
        self._weight: Params = {}
        self._target: Params = {}
        self._begun: Params = {}
        self._before: Params = {}
        self._path: Params = {}

    def before_task(self, network: ManyHeaded) -> None:
        """Notes where the way begins."""
        if self._importance == "path":
            self._begun = _copied(network.shared())
            self._path = {name: torch.zeros_like(tensor) for name, tensor in self._begun.items()}

    def before_update(self, network: ManyHeaded) -> None:
        """Notes where the update begins."""
        if self._importance == "path":
            self._before = _copied(network.shared())

    @torch.no_grad()
    def after_update(self, network: ManyHeaded, sgd: Sgd) -> None:
        """Pulls, and counts what the update took off the loss."""
        shared = network.shared()
        if self._weight and self._strength:
            reach = sgd.reach * self._strength
            for name, tensor in shared.items():
                tensor.add_(self._target[name], alpha=reach).div_(1 + reach * self._weight[name])
        for name, path in self._path.items():
            path.sub_(_slope(shared[name]) * (shared[name] - self._before[name]))

    def after_task(self, network: ManyHeaded, images: Images, labels: Labels, source: torch.Generator) -> None:
        """Takes the task in."""
        task, now = network.num_tasks - 1, _copied(network.shared())
        if self._importance == "fisher":
            some = torch.randperm(len(images), generator=source)[: self._num_images]
            new = fisher_diagonal(network, images[some], task)
        elif self._importance == "path":
            new = {
                name: path.clamp(min=0) / ((now[name] - self._begun[name]).square() + _DAMPING)
                for name, path in self._path.items()
            }
            self._begun, self._before, self._path = {}, {}, {}
        else:
            new = {name: torch.ones_like(tensor) for name, tensor in now.items()}
        self._take(new, now)

    def _take(self, new: Params, now: Params) -> None:
        if self._every_anchor:
            self._target = {name: self._target.get(name, 0) + new[name] * now[name] for name in now}
            self._weight = {name: self._weight.get(name, 0) + new[name] for name in now}
        else:
            if self._importance != "ones":
                new = {name: self._weight.get(name, 0) + new[name] for name in now}
            self._weight, self._target = new, {name: new[name] * now[name] for name in now}

    def tensors(self) -> Params:
        """Two numbers a parameter."""
        return {f"weight/{name}": tensor for name, tensor in self._weight.items()} | {
            f"target/{name}": tensor for name, tensor in self._target.items()
        }

    def restore(self, tensors: Params) -> None:
        """Goes on from them."""
        self._weight, self._target = below("weight", tensors), below("target", tensors)


def _copied(params: Params) -> Params:
    return {name: tensor.detach().clone() for name, tensor in params.items()}


def _slope(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
