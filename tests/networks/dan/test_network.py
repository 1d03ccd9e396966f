"""DAN networks: counts of the papers, equations 5.2 and 5.3 as plain loops, folding, the member axis."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hyperlearning.core.params import count, partition, stack_members
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import DenseSkipPhenotype, MLPPhenotype

ALL_SKIPS = ((0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (2, 4))
SMALL_MLP = partial(MLPPhenotype, hidden_sizes=(3, 2))
SMALL_DENSE = partial(DenseSkipPhenotype, hidden_sizes=(3, 2))


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _network(**options: Any):
    settings = {"num_channels": 4, "skips": ((0, 2), (1, 3)), "phenotype": SMALL_MLP, "generator": _seeded()}
    return DANNetwork(options.pop("layer_sizes", (2, 3, 5, 2)), **(settings | options)).double()


def _inputs(*shape: int, seed: int = 1):
    return torch.randn(*shape, generator=_seeded(seed)).double()


def test_the_papers_network_has_75280_synapse_numbers_and_752_innate_ones():
    network = DANNetwork((1, 40, 40, 1), num_channels=40, skips=((0, 2), (1, 3)))
    plastic, innate = partition(network, network.is_innate)
    assert (count(plastic), count(innate)) == (75_280, 752)


def test_the_notebooks_network_has_17000_synapse_numbers():
    network = DANNetwork(
        (1, 10, 10, 10, 1), num_channels=40, skips=ALL_SKIPS, phenotype=DenseSkipPhenotype, synaptic_activation="tanh"
    )
    plastic, _ = partition(network, network.is_innate)
    assert count(plastic) == 17_000


@pytest.mark.parametrize(("sharing", "num_types"), [("network", 1), ("layer", 3), ("neuron", 81)])
def test_a_sharing_scheme_has_as_many_phenotypes_as_the_dissertation_counts(sharing: str, num_types: int):
    network = DANNetwork((1, 40, 40, 1), num_channels=40, sharing=sharing)
    _, innate = partition(network, network.is_innate)
    assert count(innate) == num_types * 752


def _by_equations(network: DANNetwork, inputs: Tensor):
    """Equations 5.2 and 5.3 neuron by neuron: drive = sum_maps sum_i activation_i theta_i + b, then the phenotype."""
    channels = network.num_channels
    activations = [[inputs[i] for i in range(len(inputs))]]
    for layer in range(1, len(network.layer_sizes)):
        outputs = []
        for neuron in range(network.layer_sizes[layer]):
            own = slice(neuron * channels, (neuron + 1) * channels)
            drive = torch.zeros(channels, dtype=torch.float64)
            for source, target in network.maps:
                if target == layer:
                    synapses = network.synapses[f"{source}_{target}"]
                    drive = drive + synapses.bias[own]
                    for i, activation in enumerate(activations[source]):
                        drive = drive + activation * synapses.weight[i, own]
            if network.synaptic_activation == "tanh":
                drive = torch.tanh(drive)
            outputs.append(network.phenotype_of(layer)(drive))
        activations.append(outputs)
    return torch.stack(activations[-1]) * network.output_scale


@pytest.mark.parametrize("sharing", ["network", "layer"])
@pytest.mark.parametrize("phenotype", [SMALL_MLP, SMALL_DENSE], ids=["mlp", "dense_skip"])
@pytest.mark.parametrize(("drive", "scale"), [("identity", 1.0), ("tanh", 5.0)])
def test_a_network_equals_the_equations_neuron_by_neuron(
    sharing: str, phenotype: Callable[..., nn.Module], drive: str, scale: float
):
    network = _network(sharing=sharing, phenotype=phenotype, synaptic_activation=drive, output_scale=scale)
    inputs = _inputs(6, 2)
    expected = torch.stack([_by_equations(network, row) for row in inputs])
    torch.testing.assert_close(network(inputs), expected, rtol=1e-12, atol=1e-13)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    channels=st.integers(1, 12),
    hidden=st.integers(1, 4),
    batch=st.integers(1, 20),
    members=st.sampled_from([None, 1, 3]),
)
def test_folding_changes_no_number(
    sizes: Sequence[int], channels: int, hidden: tuple[int, ...], batch: int, members: int | None
):
    options = {"num_channels": channels, "phenotype": partial(MLPPhenotype, hidden_sizes=(hidden, 2))}
    folded = DANNetwork(sizes, fold=True, generator=_seeded(), **options).double()
    plain = DANNetwork(sizes, fold=False, generator=_seeded(), **options).double()
    plastic, innate = partition(plain, plain.is_innate)
    if members:
        plastic = stack_members(plastic, members)
    inputs = _inputs(*((members,) if members else ()), batch, sizes[0])
    first, second = (torch.func.functional_call(n, {**plastic, **innate}, (inputs,)) for n in (folded, plain))
    torch.testing.assert_close(first, second, rtol=1e-11, atol=1e-13)


def test_folding_is_used_where_it_takes_fewer_operations():
    network = DANNetwork((1, 16, 16, 1), num_channels=16)
    assert not network._folds(2, [1], num_samples=1)
    assert network._folds(2, [1], num_samples=32)


@pytest.mark.parametrize("sharing", ["network", "layer", "neuron"])
@pytest.mark.parametrize("phenotype", [SMALL_MLP, SMALL_DENSE], ids=["mlp", "dense_skip"])
@pytest.mark.parametrize("batch", [1, 30])
def test_members_on_an_axis_equal_separate_networks(sharing: str, phenotype: Callable[..., nn.Module], batch: int):
    network = _network(sharing=sharing, phenotype=phenotype)
    plastic, innate = partition(network, network.is_innate)
    stacked = {name: p + _inputs(*p.shape, seed=len(name)) for name, p in stack_members(plastic, 3).items()}
    inputs = _inputs(3, batch, 2)
    together = torch.func.functional_call(network, {**stacked, **innate}, (inputs,))
    alone = [
        torch.func.functional_call(network, {**{n: t[m] for n, t in stacked.items()}, **innate}, (inputs[m],))
        for m in range(3)
    ]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-11, atol=1e-12)


def test_a_single_example_equals_a_batch_of_one():
    network, inputs = _network(), _inputs(1, 2)
    torch.testing.assert_close(network(inputs[0]), network(inputs)[0], rtol=1e-12, atol=1e-14)


def test_a_phenotype_that_is_tanh_of_its_one_channel_gives_an_ordinary_mlp():
    network = _network(
        layer_sizes=(2, 3, 1),
        num_channels=1,
        skips=(),
        phenotype=partial(MLPPhenotype, hidden_sizes=(1,), hidden_activation="identity"),
    )
    phenotype = network.phenotypes[0]
    with torch.no_grad():
        for weight, bias in zip(phenotype.weights, phenotype.biases, strict=True):
            weight.fill_(1.0)
            bias.fill_(0.0)
    first, second = network.synapses["0_1"], network.synapses["1_2"]
    inputs = _inputs(7, 2)
    hidden = torch.tanh(torch.nn.functional.linear(inputs, first.weight.T, first.bias))
    expected = torch.tanh(torch.nn.functional.linear(hidden, second.weight.T, second.bias))
    torch.testing.assert_close(network(inputs), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("initializer", "bound"), [("xavier_uniform", (6 / (5 + 12)) ** 0.5), ("lecun_uniform", 5**-0.5)]
)
def test_synapses_start_within_their_initializers_bound(initializer: str, bound: float):
    network = DANNetwork((5, 3), num_channels=4, initializer=initializer, generator=_seeded())
    synapses = network.synapses["0_1"]
    assert 0.8 * bound < synapses.weight.abs().max() <= bound
    assert synapses.bias.abs().max() <= 5**-0.5


def test_the_same_generator_gives_the_same_network():
    first, second = dict(_network().named_parameters()), dict(_network().named_parameters())
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("sizes", "channels", "skips", "message"),
    [
        ((3,), 4, (), r"`layer_sizes` to be two or more positive sizes, but got \(3,\)"),
        ((3, 0, 1), 4, (), r"`layer_sizes` to be two or more positive sizes, but got \(3, 0, 1\)"),
        ((1, 2), 0, (), "`num_channels` to be positive, but got 0"),
        ((1, 2, 1), 4, ((0, 1),), "`skips` to go forward over at least one of 3 layers, but got 0->1"),
        ((1, 2, 1), 4, ((2, 0),), "`skips` to go forward .* but got 2->0"),
        ((1, 2, 1), 4, ((0, 3),), "`skips` to go forward .* but got 0->3"),
        ((1, 2, 1), 4, ((-1, 2),), "`skips` to go forward .* but got -1->2"),
    ],
)
def test_a_topology_that_makes_no_network_is_refused(
    sizes: Sequence[int], channels: int, skips: Sequence[tuple[int, int]], message: str
):
    with pytest.raises(ValueError, match=message):
        DANNetwork(sizes, num_channels=channels, skips=skips)


def test_the_summary_counts_every_layer_and_the_total():
    text = DANNetwork((1, 40, 40, 1), num_channels=40, skips=((0, 2), (1, 3))).summary()
    assert text.splitlines() == [
        "DAN network 1-40-40-1, 40 channels, skips 0->2, 1->3",
        "  layer 1: 40 neurons, 3,200 plastic, 752 innate (shared)",
        "  layer 2: 40 neurons, 68,800 plastic, 752 innate (shared)",
        "  layer 3: 1 neurons, 3,280 plastic, 752 innate (shared)",
        "  total: 75,280 plastic + 752 innate = 76,032 parameters",
    ]
