"""Convolutional networks side by side: against one after another, outputs and gradients in float64, and what is no chain."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.networks.hypernetworks.chains import is_chain, run_chain

NETWORKS: dict[str, nn.Sequential] = {
    "pooled": nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)),
    "maps": nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, stride=2), nn.Tanh(), nn.Conv2d(4, 1, 3, bias=False)),
    "same": nn.Sequential(nn.Conv2d(2, 3, 3, padding="same", dilation=2), nn.ELU(), nn.AvgPool2d(2)),
    "batch": nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ),
    "running": nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2, bias=False)).eval(),
    "plain": nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Sigmoid()).eval(),
}


def state(network: nn.Module, num: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    source = torch.Generator().manual_seed(0)
    weights, buffers = (
        {
            name: torch.rand(num, *tensor.shape, dtype=torch.float64, generator=source) + 0.1
            for name, tensor in named
            if tensor.is_floating_point()
        }
        for named in (network.named_parameters(), network.named_buffers())
    )
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}, buffers


@pytest.mark.parametrize("same_inputs", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_side_by_side_are_each_ones_own(name: str, same_inputs: bool):
    network, num = NETWORKS[name].double(), 3
    weights, buffers = state(network, num)
    assert is_chain(network)
    images = torch.randn(num, 5, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    given = images[0] if same_inputs else images
    together = run_chain(network, weights, buffers, given, same_inputs=same_inputs)
    alone = torch.stack(
        [
            functional_call(
                network,
                {key: tensor[at] for key, tensor in (weights | buffers).items()},
                (given if same_inputs else given[at],),
            )
            for at in range(num)
        ]
    )
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    slopes = torch.autograd.grad(together.square().sum(), list(weights.values()))
    wanted = torch.autograd.grad(alone.square().sum(), list(weights.values()))
    for slope, want in zip(slopes, wanted, strict=True):
        torch.testing.assert_close(slope, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "network",
    [
        nn.Linear(3, 2),
        nn.Sequential(nn.Linear(3, 2)),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.Linear(6, 2)),
        nn.Sequential(nn.Conv2d(2, 4, 3, groups=2)),
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular")),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.Sequential(nn.ReLU())),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(2)),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4)),
    ],
)
def test_what_is_no_chain_goes_another_way(network: nn.Module):
    assert not is_chain(network)
