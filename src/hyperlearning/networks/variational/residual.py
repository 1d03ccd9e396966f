"""Residual blocks whose activations come before their convolutions."""

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Batch norm, ReLU, convolution, twice, added to the input, or to a 1 x 1 convolution of it where sizes differ.

    Args:
        num_before: Channels of the input.
        num_after: Channels of the output.
        stride: Of the first convolution.
        eps: Of the batch norms.

    Source: Zagoruyko and Komodakis, "Wide Residual Networks" (2016), figure 1 b; their shortcut, too, begins after the first ReLU
    where it is a convolution.
    """

    def __init__(self, num_before: int, num_after: int, *, stride: int = 1, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_before, eps=eps)
        self.conv1 = nn.Conv2d(num_before, num_after, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(num_after, eps=eps)
        self.conv2 = nn.Conv2d(num_after, num_after, 3, padding=1, bias=False)
        alike = num_before == num_after and stride == 1
        self.shortcut = None if alike else nn.Conv2d(num_before, num_after, 1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C', H', W')."""
        active = torch.relu(self.norm1(images))
        beside = images if self.shortcut is None else self.shortcut(active)
        return beside + self.conv2(torch.relu(self.norm2(self.conv1(active))))


def stage(num_before: int, num_after: int, num_blocks: int, *, stride: int = 1, eps: float = 1e-5) -> nn.Sequential:
    """Makes blocks of equal width, of which the first has the stride.

    Raises:
        ValueError: If there is no block, or a width is not positive.
    """
    if min(num_before, num_after, num_blocks) < 1:
        raise ValueError(f"Expected blocks and positive widths, but got {num_blocks}, {num_before} and {num_after}.")
    first = ResidualBlock(num_before, num_after, stride=stride, eps=eps)
    rest = (ResidualBlock(num_after, num_after, eps=eps) for _ in range(num_blocks - 1))
    return nn.Sequential(first, *rest)
