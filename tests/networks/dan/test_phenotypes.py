"""Phenotypes: counts of the papers, plain loops, bad input."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from hyperlearning.core.params import count
from hyperlearning.networks.dan.phenotypes import DenseSkipPhenotype, MLPPhenotype, PerNeuronPhenotypes


def _params(module: nn.Module):
    return dict(module.named_parameters())


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def test_the_papers_phenotype_of_40_channels_has_752_numbers():
    assert count(_params(MLPPhenotype(40))) == 752


def test_the_notebooks_phenotype_has_its_10004_numbers_less_the_biases_that_parallel_maps_share():
    # The notebook gives each of ten maps a bias; we keep one a layer. Layers 2, 3 and 4 have 1, 2 and 3 maps too many.
    merged = 1 * 40 + 2 * 40 + 3 * 1
    assert count(_params(DenseSkipPhenotype(40))) == 10_004 - merged == 9_881


def test_an_mlp_phenotype_equals_its_layers_written_out():
    phenotype = MLPPhenotype(4, hidden_sizes=(3, 2), generator=_seeded()).double()
    drive = torch.randn(5, 4, generator=_seeded(1)).double()
    (w1, w2, w3), (b1, b2, b3) = phenotype.weights, phenotype.biases
    expected = torch.tanh(torch.tanh(torch.tanh(drive @ w1 + b1) @ w2 + b2) @ w3 + b3)[:, 0]
    torch.testing.assert_close(phenotype(drive), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "function"), [("tanh", torch.tanh), ("relu", torch.relu), ("identity", lambda values: values)]
)
def test_an_mlp_phenotype_applies_the_activations_named(name: str, function: Any):
    phenotype = MLPPhenotype(
        2, hidden_sizes=(3,), hidden_activation=name, output_activation=name, generator=_seeded()
    ).double()
    drive = torch.randn(5, 2, generator=_seeded(1)).double()
    (w1, w2), (b1, b2) = phenotype.weights, phenotype.biases
    expected = function(function(drive @ w1 + b1) @ w2 + b2)[:, 0]
    torch.testing.assert_close(phenotype(drive), expected, rtol=1e-12, atol=1e-14)


def test_a_dense_skip_phenotype_equals_a_sum_of_one_map_per_pair_of_layers():
    phenotype = DenseSkipPhenotype(4, hidden_sizes=(3, 2), generator=_seeded()).double()
    drive = torch.randn(5, 4, generator=_seeded(1)).double()
    layers = [drive]
    for weight, bias in zip(phenotype.weights, phenotype.biases, strict=True):
        first, total = 0, bias.expand(5, -1)
        for layer in layers:
            total = total + layer @ weight[first : first + layer.shape[1]]
            first += layer.shape[1]
        layers.append(torch.tanh(total))
    torch.testing.assert_close(phenotype(drive), layers[-1][:, 0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", [MLPPhenotype, DenseSkipPhenotype])
def test_initial_weights_lie_within_pytorchs_bounds(make: Callable[..., nn.Module]):
    phenotype = make(16, hidden_sizes=(9, 4), generator=_seeded())
    first = phenotype.weights[0].abs()
    assert 0.9 * 16**-0.5 < first.max() <= 16**-0.5


@pytest.mark.parametrize("make", [MLPPhenotype, DenseSkipPhenotype])
def test_the_same_generator_gives_the_same_phenotype(make: Callable[..., nn.Module]):
    first, second = make(4, generator=_seeded()), make(4, generator=_seeded())
    torch.testing.assert_close(_params(first), _params(second), rtol=0, atol=0)


@pytest.mark.parametrize(
    "make", [partial(MLPPhenotype, hidden_sizes=(3, 2)), partial(DenseSkipPhenotype, hidden_sizes=(3, 2))]
)
@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)])
def test_per_neuron_phenotypes_equal_a_loop_over_neurons(make: Callable[..., nn.Module], shape: tuple[int, ...]):
    alone = [make(4, generator=_seeded(neuron)).double() for neuron in range(5)]
    drive = torch.randn(*shape, 4, generator=_seeded(9)).double()
    expected = torch.stack([alone[neuron](drive[..., neuron, :]) for neuron in range(5)], dim=-1)
    torch.testing.assert_close(PerNeuronPhenotypes(alone)(drive), expected, rtol=1e-12, atol=1e-14)


def test_per_neuron_phenotypes_hold_one_set_of_numbers_per_neuron():
    alone = [MLPPhenotype(40) for _ in range(5)]
    assert count(_params(PerNeuronPhenotypes(alone))) == 5 * 752


@pytest.mark.parametrize("make", [MLPPhenotype, DenseSkipPhenotype])
@pytest.mark.parametrize(("channels", "hidden"), [(0, (3,)), (4, ()), (4, (3, 0)), (4, (-1,))])
def test_sizes_that_make_no_network_are_refused(make: Callable[..., nn.Module], channels: int, hidden: tuple[int, ...]):
    with pytest.raises(ValueError, match=f"all positive, but got {channels} and"):
        make(channels, hidden_sizes=hidden)
