"""Four convolutions, the embedding that few-shot learners are compared on."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Statistics = Literal["running", "batch"]
_NUM_BLOCKS = 4


class Conv4(nn.Module):
    """Four blocks of a 3 x 3 convolution, 2 x 2 max-pooling, batch normalisation and ReLU.

    Pooling stands before normalisation, which takes half the time of the usual order, and differs from it in what statistics
    are of. Convolutions run in channels-last order.

    Args:
        width: Maps of each block.
        in_channels: Channels of an image.
        side: Height and width of an image, 16 or more.
        statistics: What evaluation normalises by: running averages of training, or the batch at hand (as MAML does).
        last_relu: Whether the last block ends in ReLU; without it, features point in all directions.
        generator: Source of first weights (He et al., 2015).

    Raises:
        ValueError: If images are too small.

    Source: Vinyals et al., "Matching Networks for One Shot Learning" (2016), section 4.1; Snell et al. (2017), section 3.1.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        in_channels: int = 1,
        side: int = 28,
        statistics: Statistics = "running",
        last_relu: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if side < 2**_NUM_BLOCKS:
            raise ValueError(f"Expected images of {2**_NUM_BLOCKS} pixels a side or more, but got {side}.")
        self.num_features = width * (side // 2**_NUM_BLOCKS) ** 2
        self.last_relu = last_relu
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for block in range(_NUM_BLOCKS):
            convolution = nn.Conv2d(width if block else in_channels, width, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, generator=generator)
            weight = convolution.weight.detach().contiguous(memory_format=torch.channels_last)
            convolution.weight = nn.Parameter(weight)
            self.convolutions.append(convolution)
            self.norms.append(nn.BatchNorm2d(width, track_running_stats=statistics == "running"))

    def forward(self, images: Float[Tensor, "N C H H"]) -> Float[Tensor, "N features"]:
        """Embeds images."""
        maps = images.contiguous(memory_format=torch.channels_last)
        for block, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            maps = norm(torch.max_pool2d(convolution(maps), 2))
            if self.last_relu or block + 1 < _NUM_BLOCKS:
                maps = maps.relu()
        return maps.flatten(1)


def spread_features(network: nn.Module, images: Float[Tensor, "*lead C H H"]) -> Float[Tensor, "*lead features"]:
    """Embeds images with any number of leading axes in one call."""
    lead = images.shape[:-3]
    return network(images.flatten(0, -4)).unflatten(0, lead)
