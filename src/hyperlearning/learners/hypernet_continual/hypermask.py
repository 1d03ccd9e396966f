"""HyperMask: a hypernetwork emits a mask a task on one network that learns too, slowly where masks let it be seen.

Source: Książek and Spurek, "HyperMask: Adaptive Hypernetwork-based Masks for Continual Learning" (2023), equations 3 to 6.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.functional import cross_entropy

from hyperlearning.core.params import Params
from hyperlearning.learners.hypernet_continual.learner import KeepOutputs, Update, emitting
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty
from hyperlearning.networks.hypernetworks.emissions import MaskEmission
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork


class KeepMasks(KeepOutputs):
    """The objective of HyperMask: a task's loss, the penalty on numbers that masks are made of, and one on what moves under them.

    The last is `hold * sum_l || m_l * (theta_l - theta*_l) ||_2` over the network's masked tensors l, with `theta*` as it was
    before the task. The share of zeros grows from 0 to what it is at the end in the course of the first task.

    Args:
        penalty: On what is emitted.
        hold: The paper's lambda.
        zeros: The share of a tensor's weights that masks make 0, once the first task has been learned.
        num_outputs: Outputs of a task; the network has as many for every one of them, side by side.

    Raises:
        ValueError: If `hold` is negative.
    """

    def __init__(self, penalty: OutputPenalty, *, hold: float, zeros: float, num_outputs: int) -> None:
        super().__init__(penalty)
        if hold < 0:
            raise ValueError(f"Expected `hold` to be 0 or more, but got {hold}.")
        self._hold, self._zeros, self._num_outputs = hold, zeros, num_outputs
        self._before: Tensor | None = None

    def moving(self, hyper: Hypernetwork) -> list[nn.Parameter]:
        """The masked network learns as well."""
        return [*emitting(hyper), *_of_network(hyper)]

    def before_task(self, hyper: Hypernetwork, task: int) -> None:
        """Notes where the network is."""
        super().before_task(hyper, task)
        hyper.emission = MaskEmission(self._zeros if task else 0.0)
        self._before = hyper.get_parameter("targets.target.base").detach().clone() if task else None

    def backward(self, hyper: Hypernetwork, update: Update) -> None:
        """Makes more of the masks 0 in the first task, and goes on."""
        if not update.task:
            hyper.emission = MaskEmission(self._zeros * update.progress)
        super().backward(hyper, update)

    def _task_loss(self, hyper: Hypernetwork, own_1N: Tensor, update: Update) -> Tensor:
        loss = cross_entropy(self._own(hyper, own_1N, update.images, update.task), update.labels)
        if self._before is None or not self._hold:
            return loss
        assert isinstance(hyper.emission, MaskEmission)
        apart = hyper.get_parameter("targets.target.base") - self._before
        sizes = [tensor.size for tensor in hyper.tensors()]
        with torch.no_grad():
            masks = [hyper.emission.mask(piece)[0] for piece in own_1N[:, : sum(sizes)].split(sizes, 1)]
        moved = [vector_norm(mask * own) for mask, own in zip(masks, apart.split(sizes), strict=True)]
        return loss + self._hold * torch.stack(moved).sum()

    def _inputs(self, hyper: Hypernetwork, own_1N: Tensor) -> Sequence[Tensor]:
        return [own_1N, *_of_network(hyper)]

    def _own(self, hyper: Hypernetwork, emitted_1N: Tensor, images: Tensor, task: int) -> Tensor:
        weights = {name: tensor[0] for name, tensor in hyper.weights_of(emitted_1N).items()}
        first = task * self._num_outputs
        return hyper.run_one(weights, images, task)[:, first : first + self._num_outputs]

    def after_task(self, hyper: Hypernetwork, task: int) -> None:
        """Masks have all their zeros."""
        hyper.emission = MaskEmission(self._zeros)

    def scores(self, hyper: Hypernetwork, images: Tensor, task: int) -> Tensor:
        """What the masked network says at the task's own outputs."""
        hyper.emission = MaskEmission(self._zeros)
        return self._own(hyper, hyper.emitted(hyper.embed(task)), images, task)

    def all_scores(self, hyper: Hypernetwork, images: Tensor, num_tasks: int) -> Tensor:
        """Likewise of all tasks."""
        hyper.emission = MaskEmission(self._zeros)
        scores = hyper.on_all(images, torch.arange(num_tasks)).unflatten(-1, (-1, self._num_outputs))
        return torch.stack([scores[task, :, task] for task in range(num_tasks)])

    def kept(self, hyper: Hypernetwork, num_tasks: int) -> Params:
        """The network is kept too."""
        own = dict(hyper.named_parameters())
        network = {name: tensor.detach() for name, tensor in own.items() if name.startswith("targets.")}
        return super().kept(hyper, num_tasks) | network


def _of_network(hyper: Hypernetwork) -> list[nn.Parameter]:
    return [tensor for name, tensor in hyper.named_parameters() if name.startswith("targets.")]
