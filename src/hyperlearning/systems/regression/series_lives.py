"""All lives that a user's series is given to: the hyper-trained network, and what it must stand beside.

Sizes, rates and priors are the same for every series and tuned on none: those of solved readouts are plain ones, rates of plain
networks are those of `methods`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import count
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.learners.closed_form.least_mean_squares import NormalisedLMS
from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares
from hyperlearning.learners.closed_form.life import ClosedFormLife
from hyperlearning.learners.deployment import Deployment
from hyperlearning.learners.life import Life
from hyperlearning.learners.replay_life import ReplayLife, of_the_first
from hyperlearning.networks.backbones import mlp, mlp_width
from hyperlearning.networks.features import GaussianBumps, Harmonics, Joined, RandomFeatures
from hyperlearning.systems.regression.methods import (
    FINETUNE,
    JOINT,
    REPLAY,
    REPLAY_BATCH,
    REPLAY_BUFFER,
    Descent,
    scaled,
)
from hyperlearning.systems.regression.trained import TrainedRun

FEW_BUMPS, MANY_BUMPS = 24, 76
"""Features of recursive least squares: few, and as many as keep about as many numbers as the papers' network has synapses."""
BUMP_WIDTH = 1.2
"""Of a bump, in distances between neighbours."""
PRECISION = 0.1
"""Of the prior: measurements vary by about 1, and so do weights."""
LMS_BUMPS, LMS_RATE = 64, 0.5
NUM_HARMONICS = 3


class SeriesLife(NamedTuple):
    """A life that a series is given to.

    Attributes:
        name: Its key.
        title: What a figure calls it.
        note: What it is.
        begin: Begins it.
        joint: Whether it meets all pieces mixed: not a life but a bound.
    """

    name: str
    title: str
    note: str
    begin: Callable[[], Life]
    joint: bool = False


def series_lives(run: TrainedRun, *, periods: tuple[float, ...] = (), seed: int = 0) -> list[SeriesLife]:
    """Lists all lives.

    Args:
        run: What was hyper-trained.
        periods: Periods that the series may have, in units of the trained domain.
        seed: For first weights and for what is replayed.
    """
    return [
        SeriesLife("dan", "DAN network, hyper-trained", "synapses descend, the phenotype is fixed", run.deployment),
        *_solved(periods, seed),
        SeriesLife(
            "lms",
            "normalised least mean squares",
            f"on {LMS_BUMPS} fixed bumps, a step of descent an example",
            lambda: ClosedFormLife(NormalisedLMS(LMS_BUMPS, rate=LMS_RATE), _bumps(LMS_BUMPS)),
        ),
        *_descending(count(run.start), seed),
    ]


def _solved(periods: tuple[float, ...], seed: int) -> list[SeriesLife]:
    few, many = _bumps(FEW_BUMPS), _bumps(MANY_BUMPS)
    random = RandomFeatures(1, MANY_BUMPS, reach=DOMAIN[1], activation="tanh", generator=generator(seed, "features"))
    lives = [
        SeriesLife("rls", f"recursive least squares, {FEW_BUMPS} bumps", "fixed bumps, solved", partial(_solving, few)),
        SeriesLife(
            "rls_many", f"recursive least squares, {MANY_BUMPS} bumps", "fixed bumps, solved", partial(_solving, many)
        ),
        SeriesLife(
            "random_ridge",
            f"ridge on {MANY_BUMPS} random features",
            "random units of tanh, solved",
            partial(_solving, random),
        ),
    ]
    if periods:
        seasonal = Joined(few, Harmonics(periods, num_harmonics=NUM_HARMONICS))
        note = "fixed bumps and harmonics of the calendar, solved"
        lives.append(SeriesLife("rls_seasonal", "recursive least squares, seasonal", note, partial(_solving, seasonal)))
    return lives


def _descending(num_plastic: int, seed: int) -> list[SeriesLife]:
    """A plain network of as many parameters as the hyper-trained one has synapses."""
    width = mlp_width(num_plastic)
    network = mlp((1, width, width, 1), generator=generator(seed, "mlp"))
    replayed = partial(_replaying, network, scaled(REPLAY, width), seed)
    return [
        SeriesLife(
            "mlp", "plain network", f"tanh 1-{width}-{width}-1", partial(_plain, network, scaled(FINETUNE, width))
        ),
        SeriesLife("mlp_replay", "plain network with replay", f"keeps {REPLAY_BUFFER} examples", replayed),
        SeriesLife(
            "mlp_joint",
            "plain network, all pieces mixed",
            "what it would learn if it kept everything: not a life, a bound",
            partial(_plain, network, scaled(JOINT, width)),
            joint=True,
        ),
    ]


def _bumps(num_features: int) -> GaussianBumps:
    return GaussianBumps(num_features, width=BUMP_WIDTH, domain=DOMAIN)


def _solving(features: GaussianBumps | RandomFeatures | Joined) -> ClosedFormLife:
    return ClosedFormLife(RecursiveLeastSquares(features.num_features, precision=PRECISION), features)


def _plain(network: nn.Module, descent: Descent) -> Deployment:
    return Deployment(network, {}, inner_lr=descent.lr, inner_optimizer=descent.optimizer)


def _replaying(network: nn.Module, descent: Descent, seed: int) -> ReplayLife:
    life = Deployment(
        network,
        {},
        inner_lr=descent.lr,
        inner_optimizer=descent.optimizer,
        shown_loss_fn=of_the_first(mean_squared_error),
    )
    return ReplayLife(
        life,
        buffer_size=REPLAY_BUFFER,
        replay_batch_size=REPLAY_BATCH,
        generator=torch.Generator().manual_seed(seed),
    )
