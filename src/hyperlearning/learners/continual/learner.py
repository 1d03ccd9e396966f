"""A network that learns tasks one after another by SGD, with a remedy against forgetting."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector

from hyperlearning.core.params import Params
from hyperlearning.kernels.classifiers import ClassifierKernel
from hyperlearning.learners.classifier_chains import kernel_of
from hyperlearning.networks.many_headed import ManyHeaded

Images = Float[Tensor, "N ..."]
Labels = Int64[Tensor, " N"]


class Sgd(NamedTuple):
    """How a task is learned.

    Attributes:
        num_epochs: Passes over its images.
        batch: Images of an update.
        lr: Rate.
        momentum: Momentum; it begins anew with every task.
    """

    num_epochs: int
    batch: int
    lr: float
    momentum: float = 0.0

    @property
    def reach(self) -> float:
        """How far a constant gradient of 1 moves a parameter an update, once momentum has built up."""
        return self.lr / (1 - self.momentum)

    def batches(
        self, images: Shaped[Tensor, "N ..."], labels: Labels, source: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All batches of all passes, each pass in an order of its own."""
        for places in self.places(len(labels), source):
            yield images[places], labels[places]

    def places(self, num_images: int, source: torch.Generator) -> Iterator[Int64[Tensor, " batch"]]:
        """Likewise, places of images."""
        for _ in range(self.num_epochs):
            yield from torch.randperm(num_images, generator=source).split(self.batch)


class PlainGradients:
    """Gradients of cross-entropy as a compiled kernel has them, in a fifth of the time.

    Args:
        kernel: The kernel of a task's chain of layers.
        chain: The chain; its parameters get gradients.
        images: The task's images.
        labels: Their labels.
    """

    def __init__(self, kernel: ClassifierKernel, chain: nn.Sequential, images: Images, labels: Labels) -> None:
        self._kernel, self._weights = kernel, list(chain.parameters())
        self._sizes = [tensor.numel() for tensor in self._weights]
        self._examples = kernel.examples([images], [labels])

    @classmethod
    def of(cls, network: ManyHeaded, images: Images, labels: Labels, task: int) -> "PlainGradients | None":
        """Finds them for a task, if there is a kernel."""
        chain = network.chain(task)
        kernel = None if chain is None else kernel_of(chain, images)
        return None if chain is None or kernel is None else cls(kernel, chain, images, labels)

    def backward(self, places: Int64[Tensor, " batch"]) -> None:
        """Gives every parameter its gradient of the mean loss over a batch, in place of what it had."""
        row_1P = parameters_to_vector(self._weights).detach()[None]
        _, slopes_1P = self._kernel.gradients(row_1P, self._examples, [places])
        for tensor, part in zip(self._weights, slopes_1P[0].split(self._sizes), strict=True):
            tensor.grad = part.view_as(tensor)


def below(part: str, tensors: Params) -> Params:
    """Those whose names begin with a part's, without it."""
    start = f"{part}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


class Remedy:
    """What keeps a network from forgetting. This one does nothing: plain SGD.

    A remedy is told before and after every task and every update; what it keeps from task to task are named tensors.
    """

    def before_task(self, network: ManyHeaded) -> None:
        """A task begins; the network has its head already."""

    def loss(self, network: ManyHeaded, images: Tensor, labels: Tensor, task: int) -> Tensor:
        """What an update minimizes."""
        return cross_entropy(network(images, task), labels)

    def before_update(self, network: ManyHeaded) -> None:
        """Gradients are there; parameters have not moved."""

    def after_update(self, network: ManyHeaded, sgd: Sgd) -> None:
        """Parameters have moved."""

    def after_task(self, network: ManyHeaded, images: Images, labels: Labels, source: torch.Generator) -> None:
        """The newest task has been learned."""

    def tensors(self) -> Params:
        """Everything that it keeps from task to task, in the types in which it is kept."""
        return {}

    def restore(self, tensors: Params) -> None:
        """Goes on from them."""


class ContinualLearner:
    """One network, learning.

    Args:
        network: The network at birth; it is not changed.
        remedy: What keeps it from forgetting.
        sgd: How a task is learned.
        own_heads: Whether every task has a last layer of its own.
    """

    def __init__(self, network: nn.Module, remedy: Remedy, sgd: Sgd, *, own_heads: bool = True) -> None:
        self._network, self._remedy, self._sgd = ManyHeaded(network, own_heads=own_heads), remedy, sgd

    @property
    def num_tasks(self) -> int:
        """Tasks learned so far."""
        return self._network.num_tasks

    def learn(self, images: Images, labels: Labels, source: torch.Generator) -> None:
        """Learns one more task.

        Args:
            images: Its images.
            labels: Their labels.
            source: Source of their order.
        """
        network, remedy, task = self._network, self._remedy, self._network.num_tasks
        network.add_task()
        remedy.before_task(network)
        moving = [*network.body.parameters(), *network.head(task).parameters()]
        optimizer = torch.optim.SGD(moving, lr=self._sgd.lr, momentum=self._sgd.momentum)
        plain = type(remedy).loss is Remedy.loss
        fast = PlainGradients.of(network, images, labels, task) if plain else None
        for places in self._sgd.places(len(labels), source):
            if fast is not None:
                fast.backward(places)
            else:
                optimizer.zero_grad()
                remedy.loss(network, images[places], labels[places], task).backward()
            remedy.before_update(network)
            optimizer.step()
            remedy.after_update(network, self._sgd)
        remedy.after_task(network, images, labels, source)

    @torch.no_grad()
    def scores(self, images: Images, task: int) -> Float[Tensor, "N outputs"]:
        """What the network says as a task has it."""
        return self._network(images, task)

    def tensors(self) -> Params:
        """Everything that recollecting and going on need: the network with its heads, and what the remedy keeps."""
        network = {f"network/{name}": tensor.detach() for name, tensor in self._network.state_dict().items()}
        return network | {f"remedy/{name}": tensor for name, tensor in self._remedy.tensors().items()}

    def restore(self, tensors: Params, num_tasks: int) -> None:
        """Goes on where `tensors` was asked for, after so many tasks."""
        self._network.restore(below("network", tensors), num_tasks)
        self._remedy.restore(below("remedy", tensors))
