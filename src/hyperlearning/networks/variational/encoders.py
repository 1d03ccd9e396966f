"""Encoders: what maps images to features, for a variational network, for Barlow Twins, or by itself.

An encoder is any module that maps images (B, C, S, S) to features (B, D); `num_features_of` says how many they are.

Shape suffixes: B images, C channels, S side, D features.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from hyperlearning.networks.first_weights import WeightRule, draw_weights
from hyperlearning.networks.variational.residual import stage

_VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the convolutions before each pooling."""


def lenet(
    source: torch.Generator, *, side: int, num_channels: int = 1, widths: tuple[int, int, int, int] = (6, 16, 120, 84)
) -> nn.Sequential:
    """Makes LeNet-5 up to its last hidden layer, with ReLU and the largest of every 2 x 2: 84 features, 60,856 weights.

    Neither the dissertation nor its code says which LeNet it means. Images of 28 x 28 get a border of two, as the original's
    input is of 32 x 32.

    Args:
        source: Source of first weights.
        side: Of the images, 28 or 32.
        num_channels: Of the images.
        widths: Channels of the two convolutions, units of the two dense layers, the last of which are the features.

    Raises:
        ValueError: If the side is another.

    Source: LeCun et al., "Gradient-based learning applied to document recognition" (1998), figure 2.
    """
    if side not in (28, 32):
        raise ValueError(f"Expected images of 28 x 28 or 32 x 32 for LeNet, but got a `side` of {side}.")
    first, second, third, last = widths
    network = nn.Sequential(
        nn.Conv2d(num_channels, first, 5, padding=(32 - side) // 2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * 25, third),
        nn.ReLU(),
        nn.Linear(third, last),
        nn.ReLU(),
    )
    draw_weights(network, source)
    return network


def vgg16(source: torch.Generator, *, num_channels: int = 3, rule: WeightRule = "kaiming") -> nn.Sequential:
    """Makes the thirteen convolutions of VGG16, each with batch norm, for images of 32 x 32: 512 features, 14,723,136 weights.

    Args:
        source: Source of first weights.
        num_channels: Of the images.
        rule: How first weights are drawn. The code of the dissertation's chapter 3 has "kaiming" for CIFAR-10 and "uniform" for
            CIFAR-100.

    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks" (2014), table 1, D.
    """
    layers: list[nn.Module] = []
    before = num_channels
    for widths in _VGG16:
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        layers.append(nn.MaxPool2d(2))
    network = nn.Sequential(*layers, nn.Flatten())
    draw_weights(network, source, rule=rule)
    return network


def small_resnet(
    source: torch.Generator, *, num_channels: int = 3, widths: Sequence[int] = (16, 32, 64), num_blocks: int = 3
) -> nn.Sequential:
    """Makes a convolution, stages of residual blocks of which all but the first halve the side, and the mean over places.

    As it stands it is ResNet-20 with activations before convolutions: 64 features, 271,632 weights. With one block a stage,
    77,200 weights train 2.8 times as fast on a CPU.

    Args:
        source: Source of first weights.
        num_channels: Of the images.
        widths: Channels of each stage; the last are the features.
        num_blocks: Blocks of each stage.

    Raises:
        ValueError: If there is no stage, no block, or a width is not positive.

    Source: He et al., "Deep Residual Learning" (2015), section 4.2, and "Identity Mappings" (2016).
    """
    if not widths:
        raise ValueError("Expected `widths` of one stage or more, but got none.")
    stages = [stage(before, after, num_blocks, stride=2) for before, after in pairwise(widths)]
    network = nn.Sequential(
        nn.Conv2d(num_channels, widths[0], 3, padding=1, bias=False),
        stage(widths[0], widths[0], num_blocks),
        *stages,
        nn.BatchNorm2d(widths[-1]),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    draw_weights(network, source, rule="kaiming")
    return network


def strided(source: torch.Generator, *, num_channels: int = 3, widths: Sequence[int] = (32, 64, 128)) -> nn.Sequential:
    """Makes pairs of 3 x 3 convolutions, the first of which halves the side, with batch norm and ReLU, and the mean over places.

    Nothing is computed at an image's full size: 128 features, 287,456 weights of colour images, 1.8 times as fast to train on a
    CPU as the smallest residual network with 64 features.

    Args:
        source: Source of first weights.
        num_channels: Of the images.
        widths: Channels of each pair; the last are the features.

    Raises:
        ValueError: If there is no pair, or a width is not positive.
    """
    if not widths or min(widths) < 1:
        raise ValueError(f"Expected one or more positive `widths`, but got {tuple(widths)}.")
    layers: list[nn.Module] = []
    for before, after in pairwise((num_channels, *widths)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    draw_weights(network, source, rule="kaiming")
    return network


@torch.no_grad()
def num_features_of(encoder: nn.Module, shape: tuple[int, int, int]) -> int:
    """Runs an encoder on a black image, as it stands and without training, to see how many features it gives.

    Args:
        encoder: Any module.
        shape: Of an image: channels, rows, columns.

    Raises:
        ValueError: If what comes out is not (1, D).
    """
    was_training = {module: module.training for module in encoder.modules()}
    first = next(encoder.parameters(), torch.empty(0))
    try:
        features = encoder.eval()(torch.zeros(1, *shape, dtype=first.dtype, device=first.device))
    finally:
        for module, training in was_training.items():
            module.training = training
    if features.ndim != 2 or len(features) != 1:
        raise ValueError(
            f"Expected an encoder that maps images to features (B, D), but of one it made {tuple(features.shape)}."
        )
    return features.shape[1]
