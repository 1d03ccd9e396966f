"""Small variational networks to test with."""

from typing import Any

import torch
from torch import nn

from hyperlearning.networks.variational.decoders import ResidualDecoder
from hyperlearning.networks.variational.network import VariationalNetwork


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn_images(num: int = 6, channels: int = 1, side: int = 8, seed: int = 7) -> torch.Tensor:
    return torch.rand(num, channels, side, side, generator=seeded(seed))


def small_network(*, with_decoder: bool = False, seed: int = 0, **settings: Any) -> VariationalNetwork:
    """On grey images of 8 x 8: a smooth encoder of ten features, three classes, a latent of four."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Tanh())
    source = seeded(seed)
    for tensor in encoder.parameters():
        nn.init.uniform_(tensor, -0.2, 0.2, generator=source)
    decoder = ResidualDecoder(source, latent_size=4, side=8, num_channels=1, widths=(4, 4, 3, 2), num_blocks=1)
    return VariationalNetwork(
        source,
        encoder,
        num_features=10,
        num_classes=3,
        latent_size=4,
        decoder=decoder if with_decoder else None,
        **settings,
    )
