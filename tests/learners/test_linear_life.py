"""Lives of a linear readout in closed form are those of plain SGD, update by update."""

import pytest
import torch

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import stack_members
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.linear_life import predictions_of_linear_lives
from hyperlearning.learners.optimizers import sgd
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.backbones import RadialBasisNetwork

DOMAIN = (-1.0, 1.0)


def bumps(num_features: int = 40, width: float = 0.2) -> RadialBasisNetwork:
    return RadialBasisNetwork(num_features, width=width, domain=DOMAIN).double()


def features(network: RadialBasisNetwork, points: torch.Tensor) -> torch.Tensor:
    return torch.exp(-((points[..., None] - network.centres) ** 2) / (2 * network.width**2)) * network.scale


@pytest.mark.parametrize("batch_size", [1, 3])
def test_it_is_the_autograd_loop(batch_size: int):
    source, network = torch.Generator().manual_seed(0), bumps()
    inputs, targets = torch.rand((2, 12, 5, batch_size, 1), generator=source, dtype=torch.float64) * 2 - 1
    grid = torch.linspace(*DOMAIN, 9, dtype=torch.float64).expand(5, 9)[..., None]
    births = {name: value.detach() for name, value in network.named_parameters()}
    forward = population_forward(network, births)
    learner, births = Learner(forward, mean_squared_error, sgd(), 0.5), stack_members(births, 5)
    life = live(learner, births, {}, inputs, targets, every=4)
    wanted = torch.stack([forward(plastic, {}, grid)[..., 0].detach() for plastic in life])

    def exact(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return features(network, first) @ features(network, second).mT

    found = torch.stack(list(predictions_of_linear_lives(exact, inputs, targets, grid, inner_lr=0.5, every=4)))
    assert len(found) == 4
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("num_features", [40, 1000])
def test_the_kernels_table_is_as_near_as_linear_interpolation_promises(num_features: int):
    network = bumps(num_features)
    points = torch.linspace(*DOMAIN, 501, dtype=torch.float64)
    exact = features(network, points) @ features(network, points).mT
    assert (network.kernel()(points, points) - exact).abs().max() <= (1 / 128) ** 2 / 16 * exact.max()
