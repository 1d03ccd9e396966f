"""What codes images in a few numbers: principal components, an autoencoder, and hypernetworks that write a network for each.

Shape suffixes: B images, C channels, S side, P points, Z numbers of a code.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.networks.first_weights import draw_weights
from hyperlearning.networks.hypernetworks.emissions import FullEmission, ResidualEmission
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.implicit.siren import ModulatedSiren, is_modulation, siren
from hyperlearning.systems.hypernetworks.image_settings import CoderName, CoderSettings


@runtime_checkable
class Coder(Protocol):
    """Codes images, and gives them back at any points."""

    def encode(self, images_BCSS: Float[Tensor, "B C S S"]) -> Float[Tensor, "B Z"]:
        """Makes codes."""
        ...

    def decode(self, codes_BZ: Float[Tensor, "B Z"], points_P2: Float[Tensor, "P 2"]) -> Float[Tensor, "B P C"]:
        """Gives brightness at points from -1 to 1, rows first."""
        ...


class CoderKind(NamedTuple):
    """A way of coding.

    Attributes:
        title: What tables call it.
        note: What it is, in a clause.
        build: Makes it, untrained, given settings, shape of an image and source of first weights; absent: it is solved.
        is_written: Whether a hypernetwork writes or moves a network for each image.
    """

    title: str
    note: str
    build: "Callable[[CoderSettings, tuple[int, int, int], torch.Generator], LearnedCoder] | None"
    is_written: bool


def pixel_points(side: int, *, device: torch.device | None = None) -> Float[Tensor, "P 2"]:
    """The middles of pixels of a square image, row by row, which lies between -1 and 1 along both axes."""
    axis = (torch.arange(side, device=device) + 0.5) * (2 / side) - 1
    return torch.cartesian_prod(axis, axis)


class PrincipalCoder:
    """Codes by principal components of pixels, and gives back pixels alone.

    Args:
        images: What they are found on.
        num_components: How many.

    Raises:
        ValueError: If there are fewer pixels or images.
    """

    def __init__(self, images: Float[Tensor, "N C S S"], num_components: int) -> None:
        flat = images.flatten(1).double()
        if num_components > min(flat.shape):
            raise ValueError(f"Expected at most {min(flat.shape)} components, but got {num_components}.")
        self.shape = tuple(images.shape[1:])
        self.mean = flat.mean(0)
        centred = flat - self.mean
        self.axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -num_components:]

    def encode(self, images_BCSS: Float[Tensor, "B C S S"]) -> Float[Tensor, "B Z"]:
        """Projects."""
        return ((images_BCSS.flatten(1).double() - self.mean) @ self.axes).float()

    def decode(self, codes_BZ: Float[Tensor, "B Z"], points_P2: Float[Tensor, "P 2"]) -> Float[Tensor, "B P C"]:
        """Gives all pixels back; points have to be those of pixels."""
        pixels = (codes_BZ.double() @ self.axes.T + self.mean).float()
        return pixels.unflatten(1, self.shape).flatten(2).transpose(1, 2)

    @property
    def num_numbers(self) -> int:
        """What it stores."""
        return self.axes.numel() + self.mean.numel()


class PixelAutoencoder(nn.Module):
    """Codes by convolutions, and gives back all pixels by dense layers.

    Args:
        settings: Sizes; the decoder has as many weights as a hypernetwork of the first SIREN.
        shape: Of an image.
        source: Of first weights.
    """

    def __init__(self, settings: CoderSettings, shape: tuple[int, int, int], source: torch.Generator) -> None:
        super().__init__()
        channels, side, _ = shape
        self.encoder = image_encoder(settings.code_size, shape, source)
        layers: list[nn.Module] = []
        before = settings.code_size
        for size in settings.hidden:
            layers += [nn.Linear(before, size), nn.ReLU()]
            before = size
        self.decoder = nn.Sequential(*layers, nn.Linear(before, channels * side**2), nn.Unflatten(1, (channels, -1)))
        draw_weights(self.decoder, source)

    def encode(self, images_BCSS: Float[Tensor, "B C S S"]) -> Float[Tensor, "B Z"]:
        """Makes codes."""
        return self.encoder(images_BCSS)

    def decode(self, codes_BZ: Float[Tensor, "B Z"], points_P2: Float[Tensor, "P 2"]) -> Float[Tensor, "B P C"]:
        """Gives all pixels back; points have to be those of pixels."""
        return self.decoder(codes_BZ).transpose(1, 2)


class WrittenImages(nn.Module):
    """Codes by convolutions; a hypernetwork writes of a code a network from points to brightness.

    Args:
        encoder: From images to codes.
        hyper: From codes to networks.
    """

    def __init__(self, encoder: nn.Module, hyper: Hypernetwork) -> None:
        super().__init__()
        self.encoder, self.hyper = encoder, hyper

    def encode(self, images_BCSS: Float[Tensor, "B C S S"]) -> Float[Tensor, "B Z"]:
        """Makes codes."""
        return self.encoder(images_BCSS)

    def decode(self, codes_BZ: Float[Tensor, "B Z"], points_P2: Float[Tensor, "P 2"]) -> Float[Tensor, "B P C"]:
        """Writes networks, and runs them at points."""
        return self.hyper.on_all(points_P2, codes_BZ)


LearnedCoder = PixelAutoencoder | WrittenImages
"""A coder that descends."""


def image_encoder(code_size: int, shape: tuple[int, int, int], source: torch.Generator) -> nn.Sequential:
    """Makes three convolutions, each of which halves the side, and a dense layer."""
    channels, side, _ = shape
    layers: list[nn.Module] = []
    before = channels
    for width in (32, 64, 64):
        layers += [nn.Conv2d(before, width, 3, stride=2, padding=1), nn.ReLU()]
        before, side = width, (side + 1) // 2
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side**2, code_size))
    draw_weights(network, source)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _written(settings: CoderSettings, shape: tuple[int, int, int], source: torch.Generator) -> WrittenImages:
    target = siren(_sizes(settings, shape), first_frequency=settings.first_frequency, generator=source)
    return _with(
        settings, shape, source, Hypernetwork(target, _identity(), emission=FullEmission(), **_of(settings, source))
    )


def _residual(settings: CoderSettings, shape: tuple[int, int, int], source: torch.Generator) -> WrittenImages:
    target = siren(_sizes(settings, shape), first_frequency=settings.first_frequency, generator=source)
    emission = ResidualEmission(gain=settings.gain)
    return _with(settings, shape, source, Hypernetwork(target, _identity(), emission=emission, **_of(settings, source)))


def _modulated(settings: CoderSettings, shape: tuple[int, int, int], source: torch.Generator) -> WrittenImages:
    first, *hidden, last = _sizes(settings, shape)
    sizes = (first, *(2 * size for size in hidden), last)
    target = ModulatedSiren(sizes, first_frequency=settings.first_frequency, generator=source)
    emission = ResidualEmission(gain=1.0)
    hyper = Hypernetwork(target, _identity(), emission=emission, emits=is_modulation, **_of(settings, source))
    return _with(settings, shape, source, hyper)


def _identity() -> nn.Module:
    return nn.Identity()


def _of(settings: CoderSettings, source: torch.Generator) -> dict:
    return {"embedding_size": settings.code_size, "hidden": settings.hidden, "generator": source}


def _sizes(settings: CoderSettings, shape: tuple[int, int, int]) -> tuple[int, ...]:
    return (2, *settings.signal_sizes, shape[0])


def _with(
    settings: CoderSettings, shape: tuple[int, int, int], source: torch.Generator, hyper: Hypernetwork
) -> WrittenImages:
    return WrittenImages(image_encoder(settings.code_size, shape, source), hyper)


CODERS: Mapping[CoderName, CoderKind] = {
    "principal": CoderKind("principal components", "of pixels, solved", None, False),
    "autoencoder": CoderKind(
        "autoencoder", "the same encoder, and a decoder that gives all pixels at once", PixelAutoencoder, False
    ),
    "written": CoderKind("hypernetwork", "writes all weights of a SIREN for each image", _written, True),
    "residual": CoderKind("hypernetwork, residual", "moves the weights of a SIREN that all share", _residual, True),
    "modulated": CoderKind(
        "hypernetwork, modulation", "scales and shifts the units of a SIREN that all share", _modulated, True
    ),
}
"""All that codes, by name."""
