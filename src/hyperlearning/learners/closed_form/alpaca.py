"""ALPaCA: the prior of Bayesian linear regression, meta-learned together with the features that it is on.

A life under the prior `W ~ N(W0, noise * A0^-1)` is `RecursiveLeastSquares(mean=W0, precision=A0)`, exact and one example at a
time. What is innate, W0, A0, the noise and whatever computes the features, minimizes how surprising further examples of many
lives are after some of each, `-log N(y; W_n'f, noise * (1 + f'P_n f))`: the gradient passes through the solution in closed form.

Source: Harrison, Sharma and Pavone, "Meta-Learning Priors for Efficient Online Bayesian Regression" (2018), equations 8 to 12 and
algorithm 1. There the noise is known; here it is learned too.

Shape suffixes: L lives, N examples, Q queries, D features, C outputs.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares, posterior

FLOOR = 1e-6
"""Least precision in any direction: without it learned features that say the same make a matrix that cannot be factored."""


class LinearPrior(NamedTuple):
    """What is believed of a readout before a life.

    Attributes:
        mean: W0, (D, C).
        precision: A0, (D, D), in units of the noise's precision.
        noise: The variance of targets about the readout, of no dimensions.
    """

    mean: Float[Tensor, "D C"]
    precision: Float[Tensor, "D D"]
    noise: Float[Tensor, ""]

    def readout(self, *, forgetting: float = 1.0, dtype: torch.dtype | None = None) -> RecursiveLeastSquares:
        """Begins a life under it.

        Args:
            forgetting: As of `RecursiveLeastSquares`.
            dtype: Likewise.
        """
        precision = (self.precision + self.precision.T) / 2
        num_features, num_outputs = self.mean.shape
        return RecursiveLeastSquares(
            num_features, num_outputs, precision=precision, mean=self.mean, forgetting=forgetting, dtype=dtype
        )


def prior_parameters(
    num_features: int, num_outputs: int = 1, *, precision: float = 1e-4, noise: float = 1e-4
) -> Params:
    """What a prior is made of before it is learned, in double precision: any numbers mean one.

    Args:
        num_features: Features D.
        num_outputs: Outputs C.
        precision: Of every feature.
        noise: The variance of targets.
    """
    root = torch.diag(torch.full((num_features,), 0.5 * math.log(precision), dtype=torch.float64))
    mean = torch.zeros(num_features, num_outputs, dtype=torch.float64)
    return {"mean": mean, "root": root, "noise": torch.tensor(math.log(noise), dtype=torch.float64)}


def prior_of(parameters: Params) -> LinearPrior:
    """The prior that parameters mean: A0 = R R' + `FLOOR` with the lower triangle R, whose diagonal is given by its logarithm.

    Args:
        parameters: As `prior_parameters` makes them. Differentiable by all of them.
    """
    root = parameters["root"]
    lower = root.tril(-1) + torch.diag(root.diagonal().exp())
    floor = FLOOR * torch.eye(len(root), dtype=root.dtype, device=root.device)
    return LinearPrior(parameters["mean"], lower @ lower.T + floor, parameters["noise"].exp())


def predictive_nats(
    prior: LinearPrior,
    features_LND: Float[Tensor, "L N D"],
    targets_LNC: Float[Tensor, "L N C"],
    queries_LQD: Float[Tensor, "L Q D"],
    wanted_LQC: Float[Tensor, "L Q C"],
) -> Float[Tensor, " L"]:
    """How surprising each life's queries are after its examples: mean negative log density, in nats. Differentiable.

    Args:
        prior: What lives begin with.
        features_LND: Of the examples of each life.
        targets_LNC: Their targets.
        queries_LQD: Features of further examples.
        wanted_LQC: Their targets.
    """
    known = posterior(features_LND, targets_LNC, precision=prior.precision, mean=prior.mean)
    mean_LQC, spread_LQ = known.predict(queries_LQD)
    variance_LQ1 = (prior.noise * spread_LQ)[..., None]
    nats = (2 * math.pi * variance_LQ1).log() + (wanted_LQC - mean_LQC).square() / variance_LQ1
    return nats.mean((-2, -1)) / 2
