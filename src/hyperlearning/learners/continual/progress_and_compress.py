"""Progress and compress: a new column learns a task with the help of the network, which then learns it from the column.

Source: Schwarz et al., "Progress & Compress: A scalable framework for continual learning" (2018), sections 2 to 4.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.core.params import Params
from hyperlearning.learners.continual.distillation import divergence
from hyperlearning.learners.continual.learner import Images, Labels, Sgd, below
from hyperlearning.learners.continual.quadratic import Quadratic
from hyperlearning.networks.many_headed import ManyHeaded

_ADAPTED = nn.Conv2d | nn.Linear


class Column(nn.Module):
    """A network whose every layer but the first also hears what the same layer of another network hears.

    Layer i computes `layer_i(h) + U_i(a_i relu(V_i(k)))`, where `h` and `k` are what it and the other one's layer get; `V_i` goes
    from channels to as many channels, `U_i` has the form of the layer (equation 1).

    Args:
        network: The column at birth, a plain sequence of layers.
        other: What it hears; of the same layers but for the last.
        source: Source of first weights of `U` and `V`.

    Raises:
        ValueError: If it is no sequence of layers.
    """

    def __init__(self, network: nn.Module, other: nn.Module, source: torch.Generator) -> None:
        super().__init__()
        if not isinstance(network, nn.Sequential) or not isinstance(other, nn.Sequential):
            raise ValueError(f"Expected a Sequential, but got {type(network).__name__}.")
        self.layers = copy.deepcopy(network)
        self._other = [other]  # A list: it is no part of the column.
        self.adapters = nn.ModuleDict()
        places = [place for place, layer in enumerate(network) if isinstance(layer, _ADAPTED)]
        for place in places[1:]:
            self.adapters[str(place)] = _Adapter(network[place], source)

    def forward(self, images: Tensor) -> Tensor:
        """Runs both."""
        own, heard = images, images
        for place, layer in enumerate(self.layers):
            made = layer(own)
            if str(place) in self.adapters:
                made = made + self.adapters[str(place)](heard)
            own = made
            with torch.no_grad():
                heard = self._other[0][place](heard)
        return own


class _Adapter(nn.Module):
    def __init__(self, layer: nn.Module, source: torch.Generator) -> None:
        super().__init__()
        self.outwards = copy.deepcopy(layer)
        if isinstance(layer, nn.Conv2d):
            self.inwards: nn.Module = nn.Conv2d(layer.in_channels, layer.in_channels, 1)
        elif isinstance(layer, nn.Linear):
            self.inwards = nn.Linear(layer.in_features, layer.in_features)
        for made in (self.outwards, self.inwards):
            _draw(made, source)
        self.scale = nn.Parameter(torch.full((), 0.1))

    def forward(self, heard: Tensor) -> Tensor:
        return self.outwards(self.scale * self.inwards(heard).relu())


@torch.no_grad()
def _draw(layer: nn.Module, source: torch.Generator) -> None:
    weight = layer.get_parameter("weight")
    reach = weight[0].numel() ** -0.5
    for tensor in layer.parameters():
        tensor.uniform_(-reach, reach, generator=source)


class ProgressAndCompress:
    """A network that learns from columns, each of which is forgotten after its task.

    The column and the network are each trained as long as any other learner trains its one network.

    Args:
        network: Both at birth; it is not changed.
        sgd: How a task is learned, by the column and from it.
        strength: Of online EWC, which keeps the network from forgetting while it learns from the column.
        own_heads: Whether every task has a last layer of its own.
    """

    def __init__(self, network: nn.Module, sgd: Sgd, *, strength: float, own_heads: bool = True) -> None:
        self._first, self._sgd = copy.deepcopy(network), sgd
        self._network = ManyHeaded(network, own_heads=own_heads)
        self._pull = Quadratic("fisher", strength=strength)

    @property
    def num_tasks(self) -> int:
        """Tasks learned so far."""
        return self._network.num_tasks

    def learn(self, images: Images, labels: Labels, source: torch.Generator) -> None:
        """Learns one more task: first a column does, then the network from it."""
        network, task = self._network, self._network.num_tasks
        teacher = self._progress(images, labels, source) if task else None
        network.add_task()
        moving = [*network.body.parameters(), *network.head(task).parameters()]
        optimizer = torch.optim.SGD(moving, lr=self._sgd.lr, momentum=self._sgd.momentum)
        for some_images, some_labels in self._sgd.batches(images, labels, source):
            said = network(some_images, task)
            loss = (
                cross_entropy(said, some_labels) if teacher is None else divergence(said, _told(teacher, some_images))
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self._pull.after_update(network, self._sgd)
        self._pull.after_task(network, images, labels, source)

    def _progress(self, images: Images, labels: Labels, source: torch.Generator) -> Column:
        column = Column(self._first, self._network.body, source)
        optimizer = torch.optim.SGD(column.parameters(), lr=self._sgd.lr, momentum=self._sgd.momentum)
        for some_images, some_labels in self._sgd.batches(images, labels, source):
            optimizer.zero_grad()
            cross_entropy(column(some_images), some_labels).backward()
            optimizer.step()
        return column

    @torch.no_grad()
    def scores(self, images: Images, task: int) -> Tensor:
        """What the network says as a task has it."""
        return self._network(images, task)

    def tensors(self) -> Params:
        """The network with its heads, and the pull; columns are born anew."""
        network = {f"network/{name}": tensor.detach() for name, tensor in self._network.state_dict().items()}
        return network | {f"pull/{name}": tensor for name, tensor in self._pull.tensors().items()}

    def restore(self, tensors: Params, num_tasks: int) -> None:
        """Goes on where `tensors` was asked for, after so many tasks."""
        self._network.restore(below("network", tensors), num_tasks)
        self._pull.restore(below("pull", tensors))


@torch.no_grad()
def _told(teacher: Column, images: Tensor) -> Tensor:
    return teacher(images)
