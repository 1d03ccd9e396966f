"""Decoders: what draws an image from its latent.

Shape suffixes: B images, L numbers of a latent, C channels, S side.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hyperlearning.networks.first_weights import draw_weights
from hyperlearning.networks.variational.residual import stage

_EPS = 5e-5


class ResidualDecoder(nn.Module):
    """A dense layer, three stages of residual blocks, after two of which the side doubles, and a convolution.

    As it stands it is the decoder of the dissertation's chapter 3, for colour images of 32 x 32: what its code calls depth 16 and
    width 10, and its text a decoder of 14 layers, which it has: one dense, twelve convolutions in blocks, one at the end. It has
    7,610,416 weights.

    Args:
        source: Source of first weights.
        latent_size: L.
        side: Of the images, a multiple of 4.
        num_channels: Of the images.
        widths: Channels after the dense layer and after each stage.
        num_blocks: Blocks of each stage, two convolutions each.

    Raises:
        ValueError: If a size is not positive, or the side no multiple of 4.

    Source: dissertation, section 3.4.1, and its code.
    """

    def __init__(
        self,
        source: torch.Generator,
        *,
        latent_size: int = 60,
        side: int = 32,
        num_channels: int = 3,
        widths: tuple[int, int, int, int] = (512, 320, 160, 16),
        num_blocks: int = 2,
    ) -> None:
        super().__init__()
        if side < 4 or side % 4:
            raise ValueError(f"Expected `side` to be a multiple of 4, but got {side}.")
        self._first = (widths[0], side // 4, side // 4)
        self.dense = nn.Linear(latent_size, widths[0] * (side // 4) ** 2, bias=False)
        self.stage1 = stage(widths[0], widths[1], num_blocks, eps=_EPS)
        self.stage2 = stage(widths[1], widths[2], num_blocks, eps=_EPS)
        self.stage3 = stage(widths[2], widths[3], num_blocks, eps=_EPS)
        self.norm = nn.BatchNorm2d(widths[3], eps=_EPS)
        self.last = nn.Conv2d(widths[3], num_channels, 3, padding=1, bias=False)
        draw_weights(self, source)

    def forward(self, latents: Float[Tensor, "B L"]) -> Float[Tensor, "B C S S"]:
        """Maps latents to logits of brightness: an image is their sigmoid."""
        maps = self.dense(latents).unflatten(1, self._first)
        maps = interpolate(self.stage1(maps), scale_factor=2.0)
        maps = interpolate(self.stage2(maps), scale_factor=2.0)
        return self.last(torch.relu(self.norm(self.stage3(maps))))


def small_decoder(
    source: torch.Generator, *, latent_size: int = 60, side: int = 28, num_channels: int = 1
) -> ResidualDecoder:
    """Makes a decoder of one block a stage and few channels, for grey characters of 28 x 28 on a CPU: 70,984 weights."""
    widths = (16, 32, 16, 8)
    return ResidualDecoder(
        source, latent_size=latent_size, side=side, num_channels=num_channels, widths=widths, num_blocks=1
    )
