"""Closed-form lives on held-out functions, many at once: the baselines that any network here must beat.

Least squares does not depend on the order of examples, so that a life is solved at every look, in double precision, from all
examples met by then: what `learners.closed_form.RecursiveLeastSquares` arrives at one example after another. Widths, scales and
rates were chosen on functions of their own, seed 777, by total error; the sweep is in `results/regression-ablations/`, study
`baselines`. There the error falls on with the prior's precision, since the functions have no noise; it is kept at 1e-5.

Shape suffixes: T batches, F lives, N examples of a life, D features, C outputs, P points of the grid.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.learners.closed_form.alpaca import LinearPrior, prior_of, prior_parameters
from hyperlearning.learners.closed_form.least_squares import posterior
from hyperlearning.networks.features import GaussianBumps, RandomFeatures
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, errors_of
from hyperlearning.systems.system import Method

FEW_BUMPS, BUMP_WIDTH, PRECISION = 24, 2.0, 1e-5
NUM_RANDOM, RANDOM_SCALE = 76, 1.0
LMS_BUMPS, LMS_WIDTH, LMS_RATE = 128, 8.0, 0.3
_MOST_NUMBERS = 1 << 25
"""Of features at a time: lives are solved in blocks that fit into memory."""


def closed_form_methods(*, seed: int) -> tuple[Method[HeldOut, LifeErrors], ...]:
    """Readouts on fixed features, nothing trained: solved, and descended one example at a time.

    Args:
        seed: For the random features.
    """
    few = GaussianBumps(FEW_BUMPS, width=BUMP_WIDTH, domain=DOMAIN)
    random = random_units(seed=seed)
    bumps = GaussianBumps(LMS_BUMPS, width=LMS_WIDTH, domain=DOMAIN)
    return (
        Method(
            "rls",
            "Recursive least squares",
            f"{FEW_BUMPS} fixed bumps, the readout solved one example at a time; nothing is trained",
            lambda held_out: live_solved(few, held_out),
            {"num_plastic": num_kept(FEW_BUMPS)},
        ),
        Method(
            "random_ridge",
            "Ridge on random features",
            f"{NUM_RANDOM} random units of tanh, as many numbers as the network's synapses; likewise",
            lambda held_out: live_solved(random, held_out),
            {"num_plastic": num_kept(NUM_RANDOM)},
        ),
        Method(
            "lms",
            "Normalised least mean squares",
            f"{LMS_BUMPS} fixed bumps, one normalised step of descent an example",
            lambda held_out: live_lms(bumps, LMS_RATE, held_out),
            {"num_plastic": LMS_BUMPS},
        ),
    )


def random_units(*, scale: float = RANDOM_SCALE, seed: int) -> RandomFeatures:
    """Random units of tanh over the domain: with as many, recursive least squares keeps what the network has in synapses.

    Args:
        scale: Standard deviation of their weights.
        seed: They follow from it.
    """
    source = generator(seed, "features")
    return RandomFeatures(1, NUM_RANDOM, scale=scale, reach=DOMAIN[1], activation="tanh", generator=source)


def num_kept(num_features: int, num_outputs: int = 1) -> int:
    """Numbers that recursive least squares keeps: the readout and the covariance's root."""
    return num_features * (num_features + num_outputs)


def live_solved(
    features: nn.Module | Callable[[Tensor], Tensor],
    held_out: HeldOut,
    *,
    precision: float = PRECISION,
    prior: LinearPrior | None = None,
) -> LifeErrors:
    """Lives with a readout solved by recursive least squares on fixed features.

    Args:
        features: Maps points (..., inputs) to features (..., D), in double precision.
        held_out: The functions.
        precision: The prior's, about 0.
        prior: A prior in its place, in double precision.
    """
    features = features.double() if isinstance(features, nn.Module) else features
    inputs, targets = held_out.stream
    num_features = features(held_out.grid[:1, :1].double()).shape[-1]
    prior = prior or _about_0(num_features, targets.shape[-1], precision)
    at_once = max(1, _MOST_NUMBERS // (num_features * len(inputs) * inputs.shape[2]))
    blocks = zip(inputs.split(at_once, dim=1), targets.split(at_once, dim=1), held_out.grid.split(at_once), strict=True)
    solved = [_solved_looks(features, *block, held_out.num_tasks, prior) for block in blocks]
    return errors_of(torch.cat(solved, dim=1), held_out)


def _solved_looks(
    features: Callable[[Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    grid: Tensor,
    num_tasks: int,
    prior: LinearPrior,
) -> Tensor:
    """What lives predict on their grids at birth and after every task: (T + 1, F, P * C)."""
    phi_FND, wanted_FNC = by_life(features(inputs.double())), by_life(targets.double())
    grid_FPD = features(grid.double())
    predictions = [(grid_FPD @ prior.mean).flatten(-2).to(grid.dtype)]
    for task in range(1, num_tasks + 1):
        met = phi_FND.shape[1] * task // num_tasks
        solved = posterior(phi_FND[:, :met], wanted_FNC[:, :met], precision=prior.precision, mean=prior.mean).mean
        predictions.append((grid_FPD @ solved).flatten(-2).to(grid.dtype))
    return torch.stack(predictions)


def _about_0(num_features: int, num_outputs: int, precision: float) -> LinearPrior:
    prior = prior_of(prior_parameters(num_features, num_outputs))
    return prior._replace(precision=precision * torch.eye(num_features, dtype=torch.float64))


def by_life(batches: Tensor) -> Tensor:
    """(T, F, B, D) as (F, N, D)."""
    return batches.transpose(0, 1).flatten(1, 2)


def live_lms(features: nn.Module, rate: float, held_out: HeldOut) -> LifeErrors:
    """Lives with a readout that takes one normalised step an example (`learners.closed_form.NormalisedLMS`)."""
    inputs, targets = held_out.stream
    phi_FND, wanted_FN1 = by_life(features(inputs)), by_life(targets)
    grid_FPD = features(held_out.grid)
    readout_FD = torch.zeros_like(phi_FND[:, 0])
    predictions = [torch.zeros_like(held_out.grid[..., 0])]
    for number, (phi_FD, wanted_F1) in enumerate(zip(phi_FND.unbind(1), wanted_FN1.unbind(1), strict=True), start=1):
        errors_F1 = wanted_F1 - (phi_FD * readout_FD).sum(-1, keepdim=True)
        readout_FD = readout_FD + rate * errors_F1 * phi_FD / phi_FD.square().sum(-1, keepdim=True)
        if number * held_out.num_tasks % phi_FND.shape[1] == 0:
            predictions.append((grid_FPD @ readout_FD[..., None])[..., 0])
    return errors_of(torch.stack(predictions), held_out)
