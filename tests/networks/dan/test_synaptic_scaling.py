"""Synaptic scaling and the residual phenotype: closed forms, members apart, folding, gradients."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.core.params import partition, stack_members
from hyperlearning.networks.dan.network import DANNetwork, Synapses
from hyperlearning.networks.dan.phenotypes import MLPPhenotype, ResidualPhenotype


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _draw(*shape: int, seed: int = 1):
    return torch.randn(*shape, generator=_seeded(seed), dtype=torch.float64)


@given(scaling=st.floats(0.01, 10), growth=st.floats(0, 100))
def test_each_channels_synapses_act_with_norm_n_over_the_root_of_n_squared_and_scaling_squared(
    scaling: float, growth: float
):
    synapses = Synapses(5, 3, 2, scaling=scaling, generator=_seeded()).double()
    synapses.weight.data.mul_(growth)
    norms = synapses.weight.norm(dim=0)
    expected = norms / (norms**2 + scaling**2).sqrt()
    torch.testing.assert_close(synapses.effective_weight().norm(dim=0), expected, rtol=1e-12, atol=1e-12)


def test_scaled_synapses_equal_the_sum_written_out():
    synapses = Synapses(4, 3, 2, scaling=0.7, generator=_seeded()).double()
    inputs = _draw(5, 4)
    for place in range(6):
        weight = synapses.weight[:, place]
        expected = (inputs * weight).sum(1) / (weight.square().sum() + 0.49).sqrt() + synapses.bias[place]
        torch.testing.assert_close(synapses(inputs)[:, place], expected, rtol=1e-12, atol=1e-13)


def test_without_scaling_weights_act_as_they_are():
    synapses = Synapses(4, 3, 2, generator=_seeded())
    assert synapses.effective_weight() is synapses.weight


def test_synapses_at_zero_act_as_zero_and_have_the_gradient_of_unscaled_ones_over_the_scaling():
    synapses = Synapses(4, 3, 2, initializer="zeros", scaling=0.5, generator=_seeded()).double()
    inputs = _draw(5, 4)
    outputs = synapses(inputs)
    assert torch.count_nonzero(outputs) == 0
    outputs.sum().backward()
    expected = inputs.sum(0)[:, None].expand(-1, 6) / 0.5
    torch.testing.assert_close(synapses.weight.grad, expected, rtol=1e-12, atol=1e-12)


def test_negative_scaling_is_refused():
    with pytest.raises(ValueError, match="Expected `scaling` to be non-negative, but got -1"):
        Synapses(4, 3, 2, scaling=-1.0)


def _network(**options: Any):
    phenotype = partial(MLPPhenotype, hidden_sizes=(3, 2))
    defaults: dict[str, Any] = {"num_channels": 4, "skips": ((0, 2),), "phenotype": phenotype, "synaptic_scaling": 0.3}
    return DANNetwork((6, 5, 2), generator=_seeded(), **(defaults | options)).double()


@pytest.mark.parametrize("phenotype", [partial(MLPPhenotype, hidden_sizes=(3, 2)), ResidualPhenotype])
@pytest.mark.parametrize("batch", [1, 40])
def test_scaled_members_on_an_axis_equal_separate_networks(phenotype: Any, batch: int):
    network = _network(phenotype=phenotype)
    plastic, innate = partition(network, network.is_innate)
    members = {name: p + _draw(3, *p.shape[1:], seed=2) for name, p in stack_members(plastic, 3).items()}
    inputs = _draw(3, batch, 6)
    together = torch.func.functional_call(network, {**members, **innate}, (inputs,))
    for member in range(3):
        own = {name: tensor[member] for name, tensor in members.items()}
        alone = torch.func.functional_call(network, {**own, **innate}, (inputs[member],))
        torch.testing.assert_close(together[member], alone, rtol=1e-12, atol=1e-12)


def test_folding_scaled_synapses_changes_no_number_and_no_gradient():
    inputs, results = _draw(200, 6), []
    for fold in (True, False):
        network = _network(fold=fold)
        outputs = network(inputs)
        results.append([outputs, *torch.autograd.grad(outputs.square().sum(), list(network.parameters()))])
    assert _network()._folds(1, [0], 200)
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)


def test_zero_output_synapses_leave_the_hidden_ones_as_they_are():
    network = _network(output_initializer="zeros")
    into_outputs = [p for name, p in network.synapses.named_parameters() if name.split(".")[0].endswith("_2")]
    assert all(torch.count_nonzero(p) == 0 for p in into_outputs)
    assert torch.count_nonzero(network.synapses["0_1"].weight) == 6 * 20


def test_a_residual_phenotype_equals_its_parts_written_out():
    phenotype = ResidualPhenotype(4, hidden_sizes=(3,), generator=_seeded()).double()
    drive = _draw(5, 4)
    (w1, w2), (b1, b2) = phenotype.bend.weights, phenotype.bend.biases
    expected = drive @ phenotype.gains + (torch.tanh(drive @ w1 + b1) @ w2 + b2)[:, 0]
    torch.testing.assert_close(phenotype(drive), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("num_channels", [1, 9, 25])
def test_a_residual_phenotype_starts_nearly_as_the_sum_of_its_channels_over_their_root(num_channels: int):
    phenotype = ResidualPhenotype(num_channels, generator=_seeded()).double()
    drive = _draw(1000, num_channels)
    linear = drive.sum(1) / num_channels**0.5
    assert (phenotype(drive) - linear).square().mean() < 0.02 * linear.square().mean()


def test_the_gradients_of_a_residual_phenotype_equal_finite_differences():
    phenotype = ResidualPhenotype(4, hidden_sizes=(3,), generator=_seeded()).double()
    names = [name for name, _ in phenotype.named_parameters()]

    def run(drive: torch.Tensor, *values: torch.Tensor):
        return torch.func.functional_call(phenotype, dict(zip(names, values, strict=True)), (drive,))

    values = [p.detach().clone().requires_grad_() for p in phenotype.parameters()]
    drive = _draw(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(run, (drive, *values))
    assert torch.autograd.gradgradcheck(run, (drive, *values))


@pytest.mark.parametrize("sizes", [(), (0,)])
def test_a_residual_phenotype_needs_hidden_units(sizes: tuple[int, ...]):
    with pytest.raises(ValueError, match="positive"):
        ResidualPhenotype(4, hidden_sizes=sizes)
