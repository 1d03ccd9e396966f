"""One network for many tasks: a body that all of them share, and a last layer for each."""

import copy

from torch import Tensor, nn

from hyperlearning.core.params import Params


class ManyHeaded(nn.Module):
    """Any network whose last layer is dense, with as many last layers as there are tasks, or one for all.

    Args:
        network: The network; it is not changed. Its first weights are those of the body, and of every head.
        own_heads: Whether every task has a last layer of its own.

    Raises:
        ValueError: If the network has no dense layer.

    Example:
        >>> network = ManyHeaded(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))
        >>> network.add_task()
        >>> network.add_task()
        >>> network(torch.zeros(3, 4), task=1).shape
        torch.Size([3, 2])
    """

    def __init__(self, network: nn.Module, *, own_heads: bool = True) -> None:
        super().__init__()
        dense = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
        if not dense:
            raise ValueError(
                f"Expected a network that ends in a dense layer, but got {type(network).__name__} without one."
            )
        self.own_heads, self.num_tasks = own_heads, 0
        self.body = copy.deepcopy(network)
        self._first_head = [copy.deepcopy(network.get_submodule(dense[-1]))]  # A list: it is no part of the state.
        self.body.set_submodule(dense[-1], nn.Identity())
        self.heads = nn.ModuleList()

    def add_task(self) -> None:
        """Makes room for one more task."""
        if self.own_heads or not self.num_tasks:
            self.heads.append(copy.deepcopy(self._first_head[0]))
        self.num_tasks += 1

    def head(self, task: int) -> nn.Module:
        """The last layer of a task."""
        return self.heads[task if self.own_heads else 0]

    def chain(self, task: int) -> nn.Sequential | None:
        """The layers that a task goes through, the same ones, if they are a plain sequence."""
        layers = list(self.body.children()) if isinstance(self.body, nn.Sequential) else []
        if not layers or not isinstance(layers[-1], nn.Identity):
            return None
        return nn.Sequential(*layers[:-1], self.head(task))

    def forward(self, images: Tensor, task: int) -> Tensor:
        """Runs the network as a task has it."""
        return self.head(task)(self.body(images))

    def shared(self) -> Params:
        """Parameters that more than one task moves, by name."""
        return {
            name: tensor for name, tensor in self.named_parameters() if name.startswith("body.") or not self.own_heads
        }

    def restore(self, tensors: Params, num_tasks: int) -> None:
        """Takes over what `state_dict` of a network with so many tasks gave."""
        self.heads, self.num_tasks = nn.ModuleList(), 0
        for _ in range(num_tasks):
            self.add_task()
        self.load_state_dict(tensors)
