"""Task networks: a small convolutional network a task, its training, and how well it does."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.core.params import Params
from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.systems.selfnet.settings import TaskTraining

_SIDE = 28
_MEAN, _SPREAD = 0.1307, 0.3081
"""Of MNIST's pixels."""


class TaskNetwork(nn.Sequential):
    """Two convolutions of 5 x 5 with pooling and 50 hidden units, for images of 28 x 28: 21,432 weights with two outputs.

    Args:
        source: Source of first weights.
        num_outputs: Outputs.

    Source: dissertation, section 2.4.2; without the dropout of the authors' code.
    """

    def __init__(self, source: torch.Generator, *, num_outputs: int = 2) -> None:
        super().__init__(
            nn.Conv2d(1, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(320, 50),
            nn.ReLU(),
            nn.Linear(50, num_outputs),
        )
        _draw(self, source)


class ColourNetwork(nn.Sequential):
    """Two convolutions of 5 x 5 with pooling and three dense layers, for colour images of 32 x 32: 62,006 weights.

    Args:
        source: Source of first weights.
        num_outputs: Outputs.

    Source: dissertation, section 2.4.5, with the sizes of the authors' code and without its dropout.
    """

    def __init__(self, source: torch.Generator, *, num_outputs: int = 10) -> None:
        super().__init__(
            nn.Conv2d(3, 6, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_outputs),
        )
        _draw(self, source)


class PatchNetwork(nn.Module):
    """A small transformer for images of 28 x 28: patches of 4 x 4, one block of attention, the mean of its outputs.

    It stands for a network of a user's, one that the text does not have: 12,802 weights with two outputs.

    Args:
        source: Source of first weights.
        num_outputs: Outputs.
    """

    def __init__(self, source: torch.Generator, *, num_outputs: int = 2) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.empty(49, 32).uniform_(-0.2, 0.2, generator=source))
        self.embedding, self.heads = nn.Linear(16, 32), nn.Linear(32, 96)
        self.first_norm, self.second_norm = nn.LayerNorm(32), nn.LayerNorm(32)
        self.joining = nn.Linear(32, 32)
        self.between = nn.Sequential(nn.Linear(32, 96), nn.GELU(), nn.Linear(96, 32))
        self.output = nn.Linear(32, num_outputs)
        _draw(self, source)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, 1, 28, 28) to logits (N, outputs)."""
        patches = images.unfold(2, 4, 4).unfold(3, 4, 4).reshape(len(images), 49, 16)
        hidden = self.embedding(patches) + self.places
        query, key, value = self.heads(self.first_norm(hidden)).view(len(images), 49, 3, 4, 8).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-1, -2) / math.sqrt(8)).softmax(-1)
        seen = (weights @ value).transpose(1, 2).reshape(len(images), 49, 32)
        hidden = hidden + self.joining(seen)
        hidden = hidden + self.between(self.second_norm(hidden))
        return self.output(hidden.mean(1))


@torch.no_grad()
def _draw(network: nn.Module, source: torch.Generator) -> None:
    """Draws first weights as PyTorch does, from a source."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            reach = layer.weight[0].numel() ** -0.5
            for tensor in layer.parameters():
                tensor.uniform_(-reach, reach, generator=source)


def standardised(images: Tensor) -> Tensor:
    """Brings images from 0 to 1 to 28 x 28, and their pixels to about mean 0 and variance 1."""
    if images.shape[-1] != _SIDE:
        images = nn.functional.interpolate(images, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False)
    return (images - _MEAN) / _SPREAD


def train_task(
    network: nn.Module,
    data: TaskData,
    training: TaskTraining,
    source: torch.Generator,
    *,
    towards: Params | None = None,
) -> None:
    """Trains a network on a task, in place.

    Args:
        network: The network.
        data: The task's examples.
        training: How.
        source: Source of their order.
        towards: What its weights are pulled to, by name, if anything.
    """
    sgd = torch.optim.SGD(network.parameters(), lr=training.task_lr, momentum=training.task_momentum)
    size = sum(parameter.numel() for parameter in network.parameters())
    for images, labels in _batches(data, training.task_batch, training.task_epochs, source):
        loss = cross_entropy(network(images), labels)
        if towards is not None and training.pull:
            apart = sum((own - towards[name]).square().sum() for name, own in network.named_parameters())
            loss = loss + training.pull * apart / size
        sgd.zero_grad()
        loss.backward()
        sgd.step()


def train_by_adam(
    network: nn.Module, data: TaskData, source: torch.Generator, *, lr: float, num_epochs: int, batch: int
) -> None:
    """Trains what a network has of parameters on a task, in place; the rate falls from its highest to 0 in a straight line.

    Args:
        network: The network, such as a coded or a masked one.
        data: The task's examples.
        source: Source of their order.
        lr: The highest rate.
        num_epochs: Passes over the examples.
        batch: Examples of an update.
    """
    adam = torch.optim.Adam(network.parameters(), lr=lr)
    steps = num_epochs * math.ceil(len(data.labels) / batch)
    for step, (images, labels) in enumerate(_batches(data, batch, num_epochs, source)):
        for group in adam.param_groups:
            group["lr"] = lr * (1 - step / steps)
        adam.zero_grad()
        cross_entropy(network(images), labels).backward()
        adam.step()


def _batches(data: TaskData, size: int, num_epochs: int, source: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(num_epochs):
        for places in torch.randperm(len(data.labels), generator=source).split(size):
            yield data.images[places], data.labels[places]


@torch.no_grad()
def accuracy(network: nn.Module, data: TaskData) -> float:
    """The share of a task's examples that a network gets right."""
    return float((network(data.images).argmax(1) == data.labels).float().mean())
