"""Task networks side by side: the same weights and scores as one after another, with a compiled kernel and without one."""

import copy
from collections.abc import Callable

import pytest
import torch
from benchmarks.selfnet import network_floor
from torch import nn
from torch.nn.utils import parameters_to_vector
from torch.utils.flop_counter import FlopCounterMode

from hyperlearning.core.seeding import generator
from hyperlearning.learners.classifier_chains import spec_of
from hyperlearning.networks.weight_codec.hashed import CodedNetwork
from hyperlearning.networks.weight_codec.masked import MaskedNetwork
from hyperlearning.networks.weight_codec.rewritten import RewrittenNetwork
from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.systems.selfnet.settings import TaskTraining
from hyperlearning.systems.selfnet.task_networks import (
    ColourNetwork,
    TaskNetwork,
    accuracy,
    train_by_adam,
    train_task,
)
from hyperlearning.systems.selfnet.together import accuracies, order_of, train_together, train_together_by_adam

SIZES = (70, 130, 33, 1)
TRAINING = TaskTraining(task_epochs=2, task_lr=0.05, pull=3.0)


def unpooled(source: torch.Generator) -> nn.Module:
    """A network that no kernel is built for."""
    torch.manual_seed(int(torch.randint(1000, (1,), generator=source)))
    return nn.Sequential(nn.Conv2d(1, 2, 5, stride=3), nn.Tanh(), nn.Flatten(), nn.Linear(128, 2))


MAKES: dict[str, tuple[Callable[[torch.Generator], nn.Module], tuple[int, ...]]] = {
    "task": (TaskNetwork, (1, 28, 28)),
    "colour": (ColourNetwork, (3, 32, 32)),
    "no kernel": (unpooled, (1, 28, 28)),
}
every_network = pytest.mark.parametrize("name", MAKES)


def made(name: str) -> tuple[nn.Module, list[TaskData]]:
    source, (make, shape) = generator(0, "examples"), MAKES[name]
    images = [torch.randn(size, *shape, generator=source, dtype=torch.float64) for size in SIZES]
    labels = [torch.randint(2, (size,), generator=source) for size in SIZES]
    return make(source).double(), [TaskData(*pair) for pair in zip(images, labels, strict=True)]


def check_equal(alone: list[nn.Module], side_by_side: list[nn.Module], *, atol: float) -> None:
    for one, other in zip(alone, side_by_side, strict=True):
        for wanted, got in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=atol)


@every_network
@pytest.mark.parametrize("pulled", [False, True])
def test_descent_side_by_side_is_that_of_one_after_another(name: str, pulled: bool):
    base, data = made(name)
    towards = {key: 0.9 * tensor.detach() for key, tensor in base.named_parameters()} if pulled else None
    alone, both = ([copy.deepcopy(base) for _ in data] for _ in range(2))
    source = generator(0, "order")
    for network, own in zip(alone, data, strict=True):
        train_task(network, own, TRAINING, source, towards=towards)
    orders_source = generator(0, "order")
    orders = [order_of(own, TRAINING.task_epochs, orders_source) for own in data]
    train_together(both, data, TRAINING, orders, towards=towards)
    assert torch.equal(source.get_state(), orders_source.get_state())
    check_equal(alone, both, atol=1e-13)


@every_network
@pytest.mark.parametrize("kind", ["coded", "masked"])
def test_adam_side_by_side_is_that_of_one_after_another(name: str, kind: str):
    base, data = made(name)

    def networks() -> list[RewrittenNetwork]:
        if kind == "coded":
            return [CodedNetwork(base, code_size=16).double() for _ in data]
        return [MaskedNetwork(base, generator=generator(at, "scores")).double() for at in range(len(data))]

    alone, both, source = networks(), networks(), generator(0, "order")
    for network, own in zip(alone, data, strict=True):
        train_by_adam(network, own, source, lr=0.02, num_epochs=2, batch=32)
    source = generator(0, "order")
    train_together_by_adam(both, data, [order_of(own, 2, source) for own in data], lr=0.02, batch=32)
    check_equal(alone, both, atol=1e-9)


@every_network
def test_scores_side_by_side_are_those_of_one_after_another(name: str):
    base, data = made(name)
    networks = [copy.deepcopy(base) for _ in data]
    source = generator(0, "noise")
    with torch.no_grad():
        for network in networks:
            for tensor in network.parameters():
                tensor += 0.05 * torch.randn(tensor.shape, generator=source)
    vectors = torch.stack([parameters_to_vector(network.parameters()).detach().float() for network in networks])
    single = [TaskData(own.images.float(), own.labels) for own in data]
    expected = [accuracy(network.float(), own) for network, own in zip(networks, single, strict=True)]
    assert accuracies(vectors, single, networks[0]) == expected


def test_task_and_colour_networks_have_a_kernel_and_others_none():
    has = {name: spec_of(base, data[0].images) is not None for name in MAKES for base, data in [made(name)]}
    assert has == {"task": True, "colour": True, "no kernel": False}


@pytest.mark.parametrize(
    ("at", "layer"),
    [
        (0, nn.Conv2d(1, 10, 5, stride=2)),
        (0, nn.Conv2d(1, 10, 5, padding=1)),
        (1, nn.MaxPool2d(3)),
        (1, nn.AvgPool2d(2)),
        (2, nn.Tanh()),
        (8, nn.Identity()),
        (7, nn.Linear(320, 50, bias=False)),
    ],
)
def test_a_network_that_differs_in_one_layer_has_no_kernel(at: int, layer: nn.Module):
    network = TaskNetwork(generator(0, "network"))
    network[at] = layer
    assert spec_of(network, torch.zeros(1, 1, 28, 28)) is None


def test_orders_of_other_tasks_are_refused():
    base, data = made("task")
    orders = [order_of(own, 2, generator(0, "order")) for own in data]
    with pytest.raises(ValueError, match="Expected an order of 2 x 70 examples"):
        train_together([copy.deepcopy(base) for _ in data], data, TRAINING, orders[::-1])


def test_as_many_networks_as_tasks_are_asked_for():
    base, data = made("task")
    with pytest.raises(ValueError, match="but got 1, 4 and 0"):
        train_together([base], data, TRAINING, [])
    with pytest.raises(ValueError, match="Expected `data` of 1 networks, but got 4"):
        accuracies(torch.zeros(1, 21_432), data, base)


def test_the_benchmarks_floor_of_a_test_counts_the_products_that_pytorch_makes():
    with FlopCounterMode(display=False) as counter:
        TaskNetwork(generator(0, "network"))(torch.zeros(3, 1, 28, 28))
    assert 2 * network_floor(3, steps=0).multiply_adds == counter.get_total_flops()
