"""Task networks of several tasks, trained and tested side by side, each with the examples it would have had alone.

Where a network has a compiled kernel (`kernels/classifiers`), all members go through it in one call a step; any other network is
taken alone.
Members are ordered by their steps, the most first, so that those which still have some are the first ones.

Shape suffixes: K networks, N numbers of a network, E epochs, I images.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from hyperlearning.core.params import Params
from hyperlearning.core.weight_vectors import Weights, weights_of, with_weights
from hyperlearning.learners.classifier_chains import kernel_of
from hyperlearning.networks.weight_codec.rewritten import RewrittenNetwork
from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.systems.selfnet.settings import TaskTraining

Order = Int64[Tensor, "_ _"]
"""Places of a task's examples, a row an epoch; tasks have different numbers of them."""


def order_of(data: TaskData, num_epochs: int, source: torch.Generator) -> Order:
    """Draws the order of a task's examples, a row an epoch, as training alone does.

    Args:
        data: The task's examples.
        num_epochs: Passes over them.
        source: Source of the order.
    """
    return torch.stack([torch.randperm(len(data.labels), generator=source) for _ in range(num_epochs)])


def train_together(
    networks: Sequence[nn.Module],
    data: Sequence[TaskData],
    training: TaskTraining,
    orders: Sequence[Order],
    *,
    towards: Params | None = None,
) -> None:
    """Trains networks of one architecture, each on a task of its own, in place: what `train_task` does to one after another.

    Args:
        networks: The networks.
        data: Each one's examples; how many differs.
        training: How; `task_epochs` is the number of rows of an order.
        orders: The order of each one's examples (`order_of`).
        towards: What all weights are pulled to, by name, if anything.

    Raises:
        ValueError: If there are not as many networks as data and orders, or an order has other epochs.
    """
    _check(networks, data, orders, training.task_epochs)
    kernel = kernel_of(networks[0], data[0].images)
    if kernel is None:
        for network, own, order in zip(networks, data, orders, strict=True):
            _train_alone(network, own, training, order, towards)
        return
    ranked = _by_steps(orders)
    weights_KN = torch.stack([parameters_to_vector(networks[at].parameters()).detach() for at in ranked])
    velocities_KN = torch.zeros_like(weights_KN)
    pulled = training.pull if towards is not None else 0.0
    examples = kernel.examples(*_ranked_data(data, ranked))
    for places in _batches([orders[at] for at in ranked], training.task_batch):
        kernel.descend(
            weights_KN[: len(places)],
            velocities_KN[: len(places)],
            examples,
            places,
            lr=training.task_lr,
            momentum=training.task_momentum,
            pull=pulled,
            towards=parameters_to_vector(towards.values()).detach() if towards is not None and pulled else None,
        )
    for row, at in zip(weights_KN, ranked, strict=True):
        vector_to_parameters(row.clone(), networks[at].parameters())


def train_together_by_adam(
    networks: Sequence[nn.Module],
    data: Sequence[TaskData],
    orders: Sequence[Order],
    *,
    lr: float,
    batch: int,
) -> None:
    """Trains what networks, coded, masked or whole, have of parameters, in place: what `train_by_adam` does to one after another.

    Args:
        networks: The networks, of one architecture.
        data: Each one's examples; how many differs.
        orders: The order of each one's examples, a row an epoch (`order_of`).
        lr: The highest rate; it falls to 0 in a straight line.
        batch: Examples of an update.

    Raises:
        ValueError: If there are not as many networks as data and orders.
    """
    _check(networks, data, orders, None)
    plain, ranked = _plain(networks[0]), _by_steps(orders)
    kernel = kernel_of(plain, data[0].images)
    learners = [networks[at] for at in ranked]
    adams = [torch.optim.Adam(learner.parameters(), lr=lr, fused=True) for learner in learners]
    orders = [orders[at] for at in ranked]
    steps = [_num_steps(order, batch) for order in orders]
    ranked_data = _ranked_data(data, ranked)
    examples = kernel.examples(*ranked_data) if kernel else None
    for step, places in enumerate(_batches(orders, batch)):
        flats = [parameters_to_vector(_weights(learner)) for learner in learners[: len(places)]]
        if kernel and examples:
            _, slopes = kernel.gradients(torch.stack(flats).detach(), examples, places)
        else:
            slopes = _slopes(plain, flats, *ranked_data, places)
        for flat, slope, adam, most in zip(flats, slopes, adams, steps, strict=False):
            adam.param_groups[0]["lr"] = lr * (1 - step / most)
            adam.zero_grad()
            flat.backward(slope)
            adam.step()


def _plain(network: nn.Module) -> nn.Module:
    return network.plain() if isinstance(network, RewrittenNetwork) else network


def _weights(network: nn.Module) -> Iterable[Tensor]:
    return network.weights().values() if isinstance(network, RewrittenNetwork) else network.parameters()


@torch.no_grad()
def accuracies(vectors_KN: Float[Tensor, "networks numbers"], data: Sequence[TaskData], like: nn.Module) -> list[float]:
    """The share of each task's examples that a vector of weights gets right, the first vector on the first task and so on.

    Args:
        vectors_KN: The weights, in the order of a network's parameters.
        data: Each one's examples; how many differs.
        like: A network of the vectors' architecture.

    Raises:
        ValueError: If there are not as many vectors as data.
    """
    if len(vectors_KN) != len(data):
        raise ValueError(f"Expected `data` of {len(vectors_KN)} networks, but got {len(data)}.")
    if not data:
        return []
    kernel = kernel_of(like, data[0].images)
    if kernel is None:
        header = weights_of(like).header
        networks = (with_weights(like, Weights(header, vector, {})) for vector in vectors_KN)
        logits = [network(own.images) for network, own in zip(networks, data, strict=True)]
    else:
        logits = kernel.logits(vectors_KN.detach(), [own.images for own in data])
    return [float((made.argmax(1) == own.labels).float().mean()) for made, own in zip(logits, data, strict=True)]


def _check(
    networks: Sequence[nn.Module], data: Sequence[TaskData], orders: Sequence[Order], epochs: int | None
) -> None:
    if not networks or not len(networks) == len(data) == len(orders):
        got = f"{len(networks)}, {len(data)} and {len(orders)}"
        raise ValueError(f"Expected as many networks as data and orders, and at least one, but got {got}.")
    for own, order in zip(data, orders, strict=True):
        if order.shape[1] != len(own.labels) or epochs not in (None, len(order)):
            wanted = f"{'E' if epochs is None else epochs} x {len(own.labels)}"
            raise ValueError(f"Expected an order of {wanted} examples, but got shape {tuple(order.shape)}.")


def _by_steps(orders: Sequence[Order]) -> list[int]:
    """Places of networks, those of the most examples first; the first of equals stays first."""
    return sorted(range(len(orders)), key=lambda at: -orders[at].numel())


def _ranked_data(data: Sequence[TaskData], ranked: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
    return [data[at].images for at in ranked], [data[at].labels for at in ranked]


def _num_steps(order: Order, batch: int) -> int:
    return len(order) * -(-order.shape[1] // batch)


def _batches(orders: Sequence[Order], size: int) -> Iterator[list[Tensor]]:
    """What every network sees next, step after step: places among its examples; those which are done have none."""
    batches = [[places for epoch in order for places in epoch.split(size)] for order in orders]
    for step in range(len(batches[0])):
        yield [own[step] for own in batches if step < len(own)]


def _train_alone(
    network: nn.Module, data: TaskData, training: TaskTraining, order: Order, towards: Params | None
) -> None:
    sgd = torch.optim.SGD(network.parameters(), lr=training.task_lr, momentum=training.task_momentum)
    size = sum(parameter.numel() for parameter in network.parameters())
    for (places,) in _batches([order], training.task_batch):
        loss = cross_entropy(network(data.images[places]), data.labels[places])
        if towards is not None and training.pull:
            apart = sum((own - towards[name]).square().sum() for name, own in network.named_parameters())
            loss = loss + training.pull * apart / size
        sgd.zero_grad()
        loss.backward()
        sgd.step()


def _slopes(
    plain: nn.Module, flats: Sequence[Tensor], images: Sequence[Tensor], labels: Sequence[Tensor], places: list[Tensor]
) -> list[Tensor]:
    """Gradients of losses by networks' weights, one network after another."""
    shapes = {name: tensor.shape for name, tensor in plain.named_parameters()}
    slopes = []
    for own, seen, named, at in zip(flats, images, labels, places, strict=False):
        flat = own.detach().requires_grad_()
        parts = flat.split([shape.numel() for shape in shapes.values()])
        weights = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        loss = cross_entropy(functional_call(plain, weights, (seen[at],)), named[at])
        slopes.append(torch.autograd.grad(loss, flat)[0])
    return slopes
