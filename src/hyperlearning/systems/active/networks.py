"""Networks of active learners, and how they are trained on what is labelled."""

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.learners.barlow_twins import barlow_twins_loss
from hyperlearning.learners.variational import variational_loss
from hyperlearning.networks.first_weights import draw_weights
from hyperlearning.networks.projector import projector
from hyperlearning.networks.variational.decoders import ResidualDecoder, small_decoder
from hyperlearning.networks.variational.encoders import lenet, num_features_of, small_resnet, strided, vgg16
from hyperlearning.networks.variational.network import VariationalNetwork
from hyperlearning.streams.views import CHARACTERS, SMALL_PHOTOS, ShiftAndFlip, two_views
from hyperlearning.systems.active.settings import RecipeSettings

_CHECKS = 10
"""Checkpoints that the best is chosen among."""
_FALLS = (2 / 3, 5 / 6)
_FALL = 0.1
_PROJECTIONS = (512, 512, 512)
_SGD_MOMENTUM = 0.9
_AT_A_TIME = 250
"""Images that are looked at together, so that what lies between layers stays in a CPU's caches: twice as fast as 2,000."""


class Looked(NamedTuple):
    """What a network makes of images.

    Attributes:
        probabilities_KNC: Of classes, a draw a row.
        features_ND: Means of latents, or features.
    """

    probabilities_KNC: Float[Tensor, "draws images classes"]
    features_ND: Float[Tensor, "images features"]


class TwinNetwork(nn.Module):
    """An encoder, a linear classifier of its features, and a projector for views of images that have no label.

    Args:
        source: Source of first weights.
        encoder: Maps images to features.
        num_features: Of it.
        num_classes: Classes.
        dropout: Of features.
        widths: Of the projector; none if empty.

    Source: dissertation, section 4.3.2.2 and figure 4.1.
    """

    def __init__(
        self,
        source: torch.Generator,
        encoder: nn.Module,
        *,
        num_features: int,
        num_classes: int,
        dropout: float = 0.0,
        widths: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.encoder, self.dropout = encoder, nn.Dropout(dropout)
        self.classifier = nn.Linear(num_features, num_classes)
        draw_weights(self.classifier, source)
        self.projector = projector(source, num_features, widths=widths) if widths else None

    def forward(self, images: Float[Tensor, "B C S S"]) -> Float[Tensor, "B classes"]:
        """Logits of classes."""
        return self.classifier(self.dropout(self.encoder(images)))


def make_encoder(name: str, image: Float[Tensor, "C S S"], source: torch.Generator) -> nn.Module:
    """Makes an encoder for images like one."""
    channels, side, _ = image.shape
    if name == "lenet":
        return lenet(source, side=side, num_channels=channels)
    if name == "vgg16":
        return vgg16(source, num_channels=channels)
    if name == "strided":
        return strided(source, num_channels=channels)
    return small_resnet(source, num_channels=channels, num_blocks=1)


def make_network(
    settings: RecipeSettings,
    image: Float[Tensor, "C S S"],
    num_classes: int,
    source: torch.Generator,
    *,
    encoder: nn.Module | None = None,
) -> nn.Module:
    """Makes a network for images like one, with random weights, or an encoder that begins as a copy of one."""
    encoder = make_encoder(settings.encoder, image, source) if encoder is None else copy.deepcopy(encoder)
    num_features = num_features_of(encoder, (image.shape[0], image.shape[1], image.shape[2]))
    if settings.model in ("plain", "twins"):
        return TwinNetwork(
            source,
            encoder,
            num_features=num_features,
            num_classes=num_classes,
            dropout=settings.dropout,
            widths=_PROJECTIONS if settings.model == "twins" else (),
        )
    if settings.dropout:
        encoder = nn.Sequential(encoder, nn.Dropout(settings.dropout))
    return VariationalNetwork(
        source,
        encoder,
        num_features=num_features,
        num_classes=num_classes,
        latent_size=settings.latent_size,
        decoder=_decoder(settings, image, source) if settings.model == "m2" else None,
        scale=settings.latent_scale,
    )


def _decoder(settings: RecipeSettings, image: Tensor, source: torch.Generator) -> nn.Module:
    channels, side, _ = image.shape
    if settings.encoder == "vgg16":
        return ResidualDecoder(source, latent_size=settings.latent_size, side=side, num_channels=channels)
    return small_decoder(source, latent_size=settings.latent_size, side=side, num_channels=channels)


class Examples(NamedTuple):
    """What a network learns from.

    Attributes:
        images: Labelled ones.
        labels: Their classes.
        others: Images without labels, for Barlow Twins; there may be none.
    """

    images: Float[Tensor, "L C S S"]
    labels: Int64[Tensor, " L"]
    others: Float[Tensor, "N C S S"]


def train_network(
    network: nn.Module,
    examples: Examples,
    settings: RecipeSettings,
    source: torch.Generator,
    *,
    score: Callable[[nn.Module], float] | None = None,
) -> None:
    """Trains a network in place, and leaves it as it was at its best checkpoint, if something says which was.

    Args:
        network: Of `make_network`.
        examples: What it learns from.
        settings: How.
        source: Of order, distortion and latents.
        score: What the best checkpoint has most of.
    """
    optimizer = _optimizer(network, settings)
    each = -(-len(examples.labels) // settings.recipe_batch)
    total = max(settings.recipe_epochs * each, settings.least_updates)
    best, kept = -torch.inf, None
    loss_of = _loss(network, settings, examples, source)
    network.train()
    for update, places in enumerate(_batches(len(examples.labels), settings.recipe_batch, total, source)):
        fallen = sum(update >= share * total for share in _FALLS) if settings.rate_falls else 0
        optimizer.param_groups[0]["lr"] = settings.recipe_lr * _FALL**fallen
        optimizer.zero_grad()
        loss_of(places).backward()
        optimizer.step()
        if score is not None and (update + 1) * _CHECKS // total > update * _CHECKS // total:
            network.eval()
            if (now := score(network)) > best:
                best, kept = now, copy.deepcopy(network.state_dict())
            network.train()
    if kept is not None:
        network.load_state_dict(kept)
    network.eval()


def _optimizer(network: nn.Module, settings: RecipeSettings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(), settings.recipe_lr, momentum=_SGD_MOMENTUM, weight_decay=settings.weight_decay
        )
    return torch.optim.Adam(network.parameters(), settings.recipe_lr, weight_decay=settings.weight_decay, fused=True)


def _loss(
    network: nn.Module, settings: RecipeSettings, examples: Examples, source: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """Maps places of a batch among the labelled to the loss of one update."""
    distortion = ShiftAndFlip(padding=settings.shift, flip_prob=settings.flip_prob)
    views = CHARACTERS if examples.images.shape[1] == 1 else SMALL_PHOTOS

    def loss(places: Tensor) -> Tensor:
        images, labels = distortion.apply(examples.images[places], source), examples.labels[places]
        if isinstance(network, VariationalNetwork):
            said = network(images, source)
            return variational_loss(said, labels, images, beta=settings.beta, divergence=settings.divergence).total
        classes = cross_entropy(network(images), labels)
        if not isinstance(network, TwinNetwork) or network.projector is None:
            return classes
        own = _unlabelled(examples, places, settings, source)
        first, second = (network.projector(network.encoder(view)) for view in two_views(own, source, views))
        return classes + settings.twins_weight * barlow_twins_loss(first, second)

    return loss


def _unlabelled(examples: Examples, places: Tensor, settings: RecipeSettings, source: torch.Generator) -> Tensor:
    """A batch for Barlow Twins, as large as that of the labelled ones, at least two images."""
    if settings.twins_on == "labelled" or not len(examples.others):
        return examples.images[places] if len(places) > 1 else examples.images[places.repeat(2)]
    num_others = len(examples.others)
    num_all = num_others + (len(examples.images) if settings.twins_on == "both" else 0)
    drawn = torch.randint(num_all, (max(len(places), 2),), generator=source)
    chosen = examples.others[drawn.clamp(max=num_others - 1)]
    if settings.twins_on == "both":  # Without laying both beside one another, which copies the whole pool.
        of_labelled = drawn >= num_others
        chosen[of_labelled] = examples.images[drawn[of_labelled] - num_others]
    return chosen


def _batches(num: int, size: int, total: int, source: torch.Generator) -> Iterator[Tensor]:
    """Places of every update, in passes; one image left over joins the batch before it, for batch norm has no use for it."""
    done = 0
    while done < total:
        batches = list(torch.randperm(num, generator=source).split(size))
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        if num == 1:
            batches = [batches[0].repeat(2)]
        yield from batches[: total - done]
        done += len(batches)


@torch.no_grad()
def look(
    network: nn.Module, images: Float[Tensor, "N C S S"], settings: RecipeSettings, source: torch.Generator | None
) -> Looked:
    """Says what images are, batch by batch: by the latent's mean, or by as many draws as the settings have.

    Args:
        network: A trained one.
        images: Any number of them.
        settings: How they are looked at.
        source: Of draws and of distortion; without one the latent's mean of images as they are is read.
    """
    distortion = ShiftAndFlip(padding=settings.shift, flip_prob=settings.flip_prob)
    found = []
    for batch in images.split(_AT_A_TIME):
        seen = distortion.apply(batch, source) if source is not None and settings.scores_distorted else batch
        found.append(_look_at(network, seen, settings.draws if source is not None else 0, source))
    return Looked(torch.cat([one.probabilities_KNC for one in found], 1), torch.cat([one.features_ND for one in found]))


def _look_at(network: nn.Module, images: Tensor, num_draws: int, source: torch.Generator | None) -> Looked:
    if isinstance(network, VariationalNetwork):
        mu, scale = network.posterior(images)
        return Looked(network.probabilities_of(mu, scale, num_draws=num_draws, source=source), mu)
    if not isinstance(network, TwinNetwork):
        raise TypeError(f"Expected a network of `make_network`, but got {type(network).__name__}.")
    features = network.encoder(images)
    if not num_draws or source is None:
        return Looked(network.classifier(features).softmax(-1)[None], features)
    kept = 1 - network.dropout.p
    masks = torch.rand(num_draws, *features.shape, generator=source) < kept
    return Looked(network.classifier(features * masks / kept).softmax(-1), features)
