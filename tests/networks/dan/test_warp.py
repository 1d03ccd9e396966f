"""Warp layers: PyTorch's own linear layers per member, gradients, counts that match a network of DANs."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.networks.dan import classifiers
from torch import Tensor, nn

from hyperlearning.core.params import partition
from hyperlearning.learners.population import population_forward, split_forward
from hyperlearning.networks.dan.image_networks import dan_classifier
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.dan.phenotypes import MLPPhenotype
from hyperlearning.networks.dan.warp import WarpNetwork, matched_warp
from hyperlearning.networks.parameter_counts import count_parameters, without_allocating
from hyperlearning.networks.trunk import TrunkNetwork


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _randn(*shape: int, seed: int = 1):
    return torch.randn(*shape, generator=_seeded(seed), dtype=torch.float64)


def _network(**options: Any):
    settings: dict[str, Any] = {"drive_sizes": (6, 5, 4), "skips": ((0, 3), (1, 3)), **options}
    return WarpNetwork((3, 4, 2, 4), generator=_seeded(), **settings).double()


def _members(network: nn.Module, is_innate: Any, num_members: int):
    plastic, innate = partition(network, is_innate)
    return {name: _randn(num_members, *p.shape, seed=i) for i, (name, p) in enumerate(plastic.items())}, innate


def _linear(weight: Tensor, bias: Tensor):
    layer = nn.Linear(*weight.shape).double()
    layer.weight.data, layer.bias.data = weight.T, bias
    return layer


def _one_member(network: WarpNetwork, params: dict[str, Tensor], inputs: Tensor):
    """The same network of `nn.Linear`."""
    nodes = [inputs]
    for layer in range(1, len(network.layer_sizes)):
        heard = [source for source in reversed(range(layer)) if (source, layer) in network.maps]
        synapses = _linear(params[f"synapses.{layer - 1}.weight"], params[f"synapses.{layer - 1}.bias"])
        drive = synapses(torch.cat([nodes[source] for source in heard], dim=1))
        drive = _linear(params[f"warp_weights.{layer - 1}"], params[f"warp_biases.{layer - 1}"])(drive)
        nodes.append(drive if layer == 3 else nn.functional.leaky_relu(drive))
    return nodes[-1]


@pytest.mark.parametrize("options", [{}, {"skips": ()}])
def test_a_population_equals_separate_networks_of_linear_layers(options: dict[str, Any]):
    network = _network(**options)
    plastic, innate = _members(network, network.is_innate, 3)
    inputs = _randn(3, 5, 3)
    outputs = population_forward(network, plastic)(plastic, innate, inputs)
    for member in range(3):
        params = {**{name: tensor[member] for name, tensor in plastic.items()}, **innate}
        torch.testing.assert_close(
            outputs[member], _one_member(network, params, inputs[member]), rtol=1e-12, atol=1e-12
        )


def test_the_population_is_batched_not_vmapped(monkeypatch: pytest.MonkeyPatch):
    network = _network()
    plastic, innate = _members(network, network.is_innate, 2)
    monkeypatch.setattr(torch, "vmap", None)
    assert population_forward(network, plastic)(plastic, innate, _randn(2, 5, 3)).shape == (2, 5, 4)


@pytest.mark.parametrize("skips", [((0, 2),), ()])
def test_a_population_of_classifiers_equals_its_members_one_by_one(skips: tuple[tuple[int, int], ...]):
    trunk = InputDANs((1, 8, 8), maps=(2, 3), generator=_seeded())
    head = WarpNetwork((trunk.num_features, 5, 4), drive_sizes=(6, 7), skips=skips, generator=_seeded())
    network = TrunkNetwork(trunk, head).double()
    plastic, innate = _members(network, network.is_innate, 3)
    images = _randn(3, 4, 1, 8, 8)
    prepare, forward = split_forward(network, plastic, input_ndim=3)
    outputs = forward(plastic, innate, prepare(innate, images))
    for member in range(3):
        params = {**{name: tensor[member] for name, tensor in plastic.items()}, **innate}
        expected = torch.func.functional_call(network, params, (images[member],))
        torch.testing.assert_close(outputs[member], expected, rtol=1e-12, atol=1e-12)


def test_a_warp_that_is_the_identity_leaves_an_ordinary_network():
    network = WarpNetwork((3, 4, 2), drive_sizes=(4, 2), generator=_seeded()).double()
    params = dict(network.named_parameters())
    ordinary = nn.Sequential(
        _linear(params["synapses.0.weight"].data, params["synapses.0.bias"].data),
        nn.LeakyReLU(),
        _linear(params["synapses.1.weight"].data, params["synapses.1.bias"].data),
    )
    identity = {
        "warp_weights.0": torch.eye(4).double(),
        "warp_weights.1": torch.eye(2).double(),
        "warp_biases.0": torch.zeros(4).double(),
        "warp_biases.1": torch.zeros(2).double(),
    }
    inputs = _randn(5, 3)
    outputs = torch.func.functional_call(network, {**params, **identity}, (inputs,))
    torch.testing.assert_close(outputs, ordinary(inputs), rtol=1e-12, atol=1e-12)


def test_gradients_equal_finite_differences():
    network = _network()
    names = [name for name, _ in network.named_parameters()]

    def outputs(*tensors: Tensor):
        return torch.func.functional_call(network, dict(zip(names, tensors, strict=True)), (_randn(2, 3),))

    assert torch.autograd.gradcheck(outputs, tuple(network.parameters()))


@pytest.mark.parametrize("build", [classifiers.classifier, classifiers.medium, classifiers.large])
def test_a_match_has_the_total_of_the_dan_network(build: Any):
    dans = without_allocating(build)
    warps = matched_warp(dans)
    wanted, got = (count_parameters(network, network.is_innate) for network in (dans, warps))
    assert got.total == pytest.approx(wanted.total, rel=0.02)
    assert got.plastic == pytest.approx(wanted.plastic, rel=0.2)
    assert all(tensor.is_meta for tensor in warps.parameters())


def test_where_phenotypes_are_large_both_parts_match():
    dans = without_allocating(classifiers.authors)
    warps = matched_warp(dans)
    wanted, got = (count_parameters(network, network.is_innate) for network in (dans, warps))
    assert got.total == pytest.approx(wanted.total, rel=0.02)
    assert got.plastic == pytest.approx(wanted.plastic, rel=0.1)
    assert got.innate == pytest.approx(wanted.innate, rel=0.1)


@given(
    hidden=st.lists(st.integers(1, 30), min_size=1, max_size=2), channels=st.integers(4, 20), maps=st.integers(2, 12)
)
def test_any_match_is_within_two_percent_and_has_no_fewer_nodes(hidden: list[int], channels: int, maps: int):
    def build():
        trunk = InputDANs((1, 28, 28), maps=(maps, maps))
        return dan_classifier(
            trunk, num_classes=10, hidden_sizes=hidden, num_channels=channels, phenotype=partial(MLPPhenotype)
        )

    dans = without_allocating(build)
    warps = matched_warp(dans)
    wanted, got = (count_parameters(network, network.is_innate) for network in (dans, warps))
    assert isinstance(warps.head, WarpNetwork)
    assert got.total == pytest.approx(wanted.total, rel=0.02)
    assert all(size >= dan for size, dan in zip(warps.head.layer_sizes[1:-1], hidden, strict=True))


def test_a_match_begins_with_the_same_trunk_in_a_copy():
    dans = classifiers.classifier(generator=_seeded())
    warps = matched_warp(dans, generator=_seeded())
    for one, other in zip(dans.trunk.parameters(), warps.trunk.parameters(), strict=True):
        assert one is not other
        assert torch.equal(one, other)
    assert warps(torch.zeros(2, 1, 28, 28)).shape == (2, 25)


def test_only_a_dan_network_can_be_matched():
    with pytest.raises(TypeError, match="DANNetwork"):
        matched_warp(TrunkNetwork(InputDANs((1, 8, 8), maps=(2,)), nn.Linear(32, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drive_sizes": (6, 5)}, "drive_sizes"),
        ({"drive_sizes": (6, 0, 4)}, "drive_sizes"),
        ({"skips": ((2, 3),)}, "skips"),
    ],
)
def test_sizes_that_make_no_network_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        _network(**options)
