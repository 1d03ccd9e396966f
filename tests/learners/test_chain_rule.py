"""Gradients that are written out are those of autograd, for every chain that they are for, and for no other."""

import pytest
import torch
from torch import nn

from hyperlearning.learners.chain_rule import chain_gradients

CHAINS = {
    "tanh": [nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)],
    "relu": [nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)],
    "mixed": [nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8, bias=False), nn.Linear(8, 2), nn.Tanh()],
    "linear": [nn.Linear(3, 2)],
}


@pytest.mark.parametrize(
    "innate", [(), ("0.weight",), ("0.bias",)], ids=["all plastic", "weight innate", "bias innate"]
)
@pytest.mark.parametrize("layers", CHAINS.values(), ids=CHAINS)
def test_they_are_autograds(layers: list[nn.Module], innate: tuple[str, ...]):
    network = nn.Sequential(*layers).double()
    source = torch.Generator().manual_seed(0)
    x, y = (torch.randn(5, size, generator=source, dtype=torch.float64) for size in (3, 2))
    plastic = {name: parameter for name, parameter in network.named_parameters() if name not in innate}
    gradients = chain_gradients(network, plastic)
    assert gradients is not None
    outputs, found = gradients(x, y)
    expected = torch.autograd.grad(nn.functional.mse_loss(network(x), y), list(plastic.values()))
    torch.testing.assert_close(outputs, network(x))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_other_networks_are_left_to_autograd():
    shared = nn.Linear(3, 3)
    for network in (
        nn.Linear(3, 2),
        nn.Sequential(nn.Linear(3, 2), nn.Dropout()),
        nn.Sequential(nn.Tanh(), nn.Linear(3, 2)),
        nn.Sequential(shared, nn.Tanh(), shared),
        nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.ReLU()),
        nn.Sequential(),
    ):
        assert chain_gradients(network, ()) is None
