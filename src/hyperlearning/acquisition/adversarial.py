"""Strategies that train a network to tell what is labelled from the pool, on features: VAAL and WAAL.

Both originals train from images beside the task's network, and WAAL's features with it; here features stay as they are.

Shape suffixes: N images of the pool, L labelled images, B images of a batch, D features.

Sources: Sinha, Ebrahimi and Darrell (2019), "Variational adversarial active learning"; Shui, Zhou, Gagné and Wang (2020), "Deep
active learning: unified and principled method for query and training", equations 8 to 10; the codes of both.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from hyperlearning.acquisition.query import Choose, Query, Views, highest
from hyperlearning.networks.first_weights import draw_weights

_BATCH = 128
_STEPS = 300
_RATE = 1e-3
_WIDTH = 64
_LATENT = 16
_DECIMALS = 5
"""Of scores: what differs by less has the same features, in other places of a product of matrices."""


def vaal(*, adversary: float = 1.0, beta: float = 1.0) -> Choose:
    """Makes a strategy that asks for what is least likely to be labelled, by a discriminator of an autoencoder's latents.

    The autoencoder, a variational one, hides from the discriminator which is which. Squared errors of features are summed, as the
    divergence is: with a mean of one and a sum of the other (code) the latent says nothing.

    Args:
        adversary: Weight of hiding.
        beta: Weight of the divergence.

    Needs features, and those of labelled images. Cost: some seconds, whatever the pool.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        pool_ND, labelled_LD = _scaled(views, each=True)
        size = pool_ND.shape[1]
        encoder = _layers((size, _WIDTH, 2 * _LATENT), source)
        decoder = _layers((_LATENT, _WIDTH, size), source)
        judge = _layers((_LATENT, _WIDTH, 1), source)
        batch = _batches(pool_ND, labelled_LD, source)
        makers = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], _RATE)
        judges = torch.optim.Adam(judge.parameters(), _RATE)

        def hide() -> Tensor:
            pool_BD, own_BD = batch()
            both_BD = torch.cat([pool_BD, own_BD])
            means_BZ, logs_BZ = encoder(both_BD).chunk(2, 1)
            drawn_BZ = means_BZ + (logs_BZ / 2).exp() * torch.randn(means_BZ.shape, generator=source)
            errors = (decoder(drawn_BZ) - both_BD).square().sum(1).mean() / 2
            divergence = (means_BZ.square() + logs_BZ.exp() - 1 - logs_BZ).sum(1).mean() / 2
            return errors + beta * divergence + adversary * softplus(-judge(means_BZ)).mean()

        def tell() -> Tensor:
            with torch.no_grad():
                pool_BZ, own_BZ = (encoder(one)[:, :_LATENT] for one in batch())
            return softplus(judge(pool_BZ)).mean() + softplus(-judge(own_BZ)).mean()

        with torch.enable_grad():
            for _ in range(_STEPS):
                _step(makers, hide)
                _step(judges, tell)
        with torch.no_grad():
            labelled_N = judge(encoder(pool_ND)[:, :_LATENT])[:, 0]
        return highest((-labelled_N).double().round(decimals=_DECIMALS), num, source)

    return choose


def waal(*, weight: float = 10.0, penalty: float = 5.0) -> Choose:
    """Makes a strategy that asks for what is unsure and far from what is labelled, by a critic of Wasserstein's distance.

    The critic is high on the pool and low on what is labelled, with a slope of 1. What is unsure has the least mean of the sum of
    -log p over classes and of its root of squares.

    Args:
        weight: Of the critic beside uncertainty (code: 10).
        penalty: Of slopes other than 1 (code: 2 to 5).

    Needs features, those of labelled images, and probabilities. Cost: some seconds, whatever the pool.
    """

    def choose(views: Views, num: int, source: torch.Generator) -> Query:
        pool_ND, labelled_LD = _scaled(views, each=False)
        critic = _layers((pool_ND.shape[1], _WIDTH, _WIDTH, 1), source)
        batch = _batches(pool_ND, labelled_LD, source)

        def loss() -> Tensor:
            pool_BD, own_BD = batch()
            mixed_BD = own_BD + torch.rand(len(own_BD), 1, generator=source) * (pool_BD - own_BD)
            return (critic(own_BD) - critic(pool_BD)).mean() + penalty * slope_penalty(critic, mixed_BD)

        optimizer = torch.optim.Adam(critic.parameters(), _RATE)
        with torch.enable_grad():
            for _ in range(_STEPS):
                _step(optimizer, loss)
        with torch.no_grad():
            far_N = critic(pool_ND)[:, 0]
        scores_N = weight * far_N - certainty(views.need("probabilities_KNC"))
        return highest(scores_N.double().round(decimals=_DECIMALS), num, source)

    return choose


def certainty(probabilities_KNC: Float[Tensor, "draws pool classes"]) -> Float[Tensor, " pool"]:
    """Half the sum of -log p over classes and half its root of squares, of the mean over draws: least where all are as likely."""
    mean_NC = probabilities_KNC.mean(0)
    logs_NC = -mean_NC.clamp(min=torch.finfo(mean_NC.dtype).tiny).log()
    return (logs_NC.sum(1) + logs_NC.norm(dim=1)) / 2


def slope_penalty(critic: Callable[[Tensor], Tensor], points_BD: Float[Tensor, "batch features"]) -> Float[Tensor, ""]:
    """Mean squared difference of a critic's slopes from 1, through which gradients flow (Gulrajani et al., 2017)."""
    points_BD = points_BD.detach().requires_grad_()
    (slopes_BD,) = torch.autograd.grad(critic(points_BD).sum(), points_BD, create_graph=True)
    return (slopes_BD.norm(dim=1) - 1).square().mean()


def _scaled(views: Views, *, each: bool) -> tuple[Float[Tensor, "pool features"], Float[Tensor, "labelled features"]]:
    """Features around 0, by one scale for all; of each, or of all together, the mean square is 1."""
    pool_ND, labelled_LD = views.need("features_ND").float(), views.need("labelled_features_LD").float()
    mean_D = pool_ND.mean(0)
    squares_N = (pool_ND - mean_D).square().sum(1) / (pool_ND.shape[1] if each else 1)
    scale = squares_N.mean().sqrt().clamp(min=1e-12)
    return (pool_ND - mean_D) / scale, (labelled_LD - mean_D) / scale


def _layers(sizes: Sequence[int], source: torch.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    draw_weights(network, source)
    return network


def _batches(pool_ND: Tensor, labelled_LD: Tensor, source: torch.Generator) -> Callable[[], tuple[Tensor, Tensor]]:
    """Draws as many of both, with replacement; where nothing is labelled yet, all is of the pool."""
    own_LD = labelled_LD if len(labelled_LD) else pool_ND

    def draw() -> tuple[Tensor, Tensor]:
        places, own = (torch.randint(len(all_), (_BATCH,), generator=source) for all_ in (pool_ND, own_LD))
        return pool_ND[places], own_LD[own]

    return draw


def _step(optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> None:
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()
