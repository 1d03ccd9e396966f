"""A network that classifies images by a latent which it is not certain of, and that may draw the image from it again.

Shape suffixes: B images, C channels, S side, D features, L numbers of a latent, K draws.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from hyperlearning.networks.first_weights import draw_weights

Scale = Literal["softplus", "signed"]
"""How the standard deviation of a latent is made of a dense layer's output: positive, or that output itself, which may be
negative and is meant by its square, as in the code of the dissertation's chapter 3."""


class Said(NamedTuple):
    """What a variational network makes of images.

    Attributes:
        mu: Means of the latent, (B, L).
        scale: Its standard deviations, (B, L); with "signed" they may be negative.
        z: The latent that was drawn, (B, L), or the means.
        logits: Of the classes, (B, classes).
        reconstruction: Logits of brightness, (B, C, S, S), of a network with a decoder.
    """

    mu: Tensor
    scale: Tensor
    z: Tensor
    logits: Tensor
    reconstruction: Tensor | None


class VariationalNetwork(nn.Module):
    """An encoder, a normal distribution of the latent, a linear classifier of it and, in M2, a decoder: `z = mu + scale * eps`.

    The layers of mu, scale and logits are linear and have no bias, as in the code.

    Args:
        source: Source of the first weights of mu, scale and logits.
        encoder: Any module that maps images to features (B, D).
        num_features: D.
        num_classes: Classes.
        latent_size: L.
        decoder: Maps latents (B, L) to logits of brightness (B, C, S, S): M2. Without one it is M1.
        scale: How standard deviations are made.

    Raises:
        ValueError: If a size is not positive; when called, if the encoder gives something else than features (B, D).

    Example:
        >>> source = torch.Generator().manual_seed(0)
        >>> network = VariationalNetwork(source, nn.Flatten(), num_features=64, num_classes=10, latent_size=8)
        >>> network(torch.zeros(5, 1, 8, 8), source).logits.shape
        torch.Size([5, 10])

    Source: dissertation, section 3.3.2.1, after Mundt et al., "Unified Probabilistic Deep Continual Learning" (2019).
    """

    def __init__(
        self,
        source: torch.Generator,
        encoder: nn.Module,
        *,
        num_features: int,
        num_classes: int,
        latent_size: int = 60,
        decoder: nn.Module | None = None,
        scale: Scale = "softplus",
    ) -> None:
        super().__init__()
        if min(num_features, num_classes, latent_size) < 1:
            raise ValueError(
                "Expected positive `num_features`, `num_classes` and `latent_size`, but got "
                f"{num_features}, {num_classes} and {latent_size}."
            )
        self.num_features, self._scale = num_features, scale
        self.encoder = encoder
        self.mu = nn.Linear(num_features, latent_size, bias=False)
        self.scale = nn.Linear(num_features, latent_size, bias=False)
        self.classifier = nn.Linear(latent_size, num_classes, bias=False)
        for layer in (self.mu, self.scale, self.classifier):
            draw_weights(layer, source)
        self.decoder = decoder

    def forward(self, images: Float[Tensor, "B C S S"], source: torch.Generator | None = None) -> Said:
        """Encodes images, draws a latent of each, and reads it.

        Args:
            images: (B, C, S, S).
            source: Of the draws, on the device of the images; without one the means are read.
        """
        mu, scale = self.posterior(images)
        z = mu if source is None else sample(mu, scale, source)
        return Said(mu, scale, z, self.classifier(z), None if self.decoder is None else self.decoder(z))

    def posterior(self, images: Float[Tensor, "B C S S"]) -> tuple[Float[Tensor, "B L"], Float[Tensor, "B L"]]:
        """Means and standard deviations of the latents of images.

        Raises:
            ValueError: If the encoder gives something else than features (B, D).
        """
        features = self.encoder(images)
        if features.shape != (len(images), self.num_features):
            raise ValueError(
                f"Expected an encoder that makes features of shape {(len(images), self.num_features)}, but got "
                f"{tuple(features.shape)}."
            )
        raw = self.scale(features)
        return self.mu(features), softplus(raw) if self._scale == "softplus" else raw

    @torch.no_grad()
    def probabilities(
        self, images: Float[Tensor, "B C S S"], *, num_draws: int, source: torch.Generator | None = None
    ) -> Float[Tensor, "K B classes"]:
        """Probabilities of the classes, for each of several latents drawn of every image; the encoder runs once.

        Batch norm and dropout are as they stand: call `eval` before.

        Args:
            images: (B, C, S, S).
            num_draws: K; with 0 there is one reading, of the means.
            source: Of the draws, on the device of the images.

        Raises:
            ValueError: If `num_draws` is negative, or positive without a source.
        """
        return self.probabilities_of(*self.posterior(images), num_draws=num_draws, source=source)

    @torch.no_grad()
    def probabilities_of(
        self,
        mu: Float[Tensor, "B L"],
        scale: Float[Tensor, "B L"],
        *,
        num_draws: int,
        source: torch.Generator | None = None,
    ) -> Float[Tensor, "K B classes"]:
        """Probabilities of the classes for latents that are known by `posterior`; otherwise as `probabilities`."""
        if num_draws < 0 or (num_draws and source is None):
            raise ValueError(f"Expected no draws, or some and their `source`, but got {num_draws} and {source}.")
        if source is None or not num_draws:
            return self.classifier(mu).softmax(-1)[None]
        return self.classifier(sample(mu.expand(num_draws, -1, -1), scale, source)).softmax(-1)


def sample(
    mu: Float[Tensor, "*draws B L"], scale: Float[Tensor, "B L"], source: torch.Generator
) -> Float[Tensor, "*draws B L"]:
    """Draws latents, differentiable in mean and standard deviation: `mu + scale * eps` with eps standard normal.

    Args:
        mu: (..., B, L).
        scale: (B, L).
        source: On the device of the means.
    """
    return mu + scale * torch.randn(mu.shape, generator=source, dtype=mu.dtype, device=mu.device)
