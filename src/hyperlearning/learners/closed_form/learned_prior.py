"""A prior of conjugate Bayes as innate parameters, meta-learned with the features through the classifier that it makes.

Means are free; strengths, shapes and rates are exponentials of what is learned, and so positive.

Source: Banayeeanzade et al., "Generative vs Discriminative: Rethinking the Meta-Continual Learning" (2021), section 4 (GeMCL);
Lee et al., "Learning to Continually Learn with the Bayesian Principle" (2024), section 3 (SB-MCL). There the prior's shape and
rate are shared by all features; here every feature has its own.

Shape suffixes: M members (lives), N examples, Q queries, F features, K labels.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params
from hyperlearning.learners.closed_form.conjugate_bayes import (
    NormalGamma,
    class_logits,
    class_statistics,
    predictive,
)
from hyperlearning.streams.hyper_stream import HyperStream

MEAN, LOG_STRENGTH, LOG_SHAPE, LOG_RATE = "prior.mean", "prior.log_strength", "prior.log_shape", "prior.log_rate"
"""Names of the prior's innate parameters, each (F,)."""

_FIRST_STRENGTH, _FIRST_SHAPE, _FIRST_RATE = 1.0, 10.0, 60.0
"""For features of mean square 1. Variances of about 6 in a class are far too wide, so that hundreds of features, which are not
independent, begin with logits of a few nats."""

_UNKNOWN = -1e6
"""Logit of a label without examples: finite, so that gradients are."""


def first_prior(num_features: int) -> Params:
    """Makes the parameters of the prior that learning begins with."""
    firsts = {LOG_STRENGTH: _FIRST_STRENGTH, LOG_SHAPE: _FIRST_SHAPE, LOG_RATE: _FIRST_RATE}
    return {MEAN: torch.zeros(num_features)} | {
        name: torch.full((num_features,), math.log(value)) for name, value in firsts.items()
    }


def prior_of(params: Params) -> NormalGamma:
    """Reads the prior from parameters, which may hold others. Differentiable."""
    return NormalGamma(params[MEAN], params[LOG_STRENGTH].exp(), params[LOG_SHAPE].exp(), params[LOG_RATE].exp())


def bayes_logits(
    support: Float[Tensor, "M N F"],
    labels: Int64[Tensor, "M N"],
    queries: Float[Tensor, "M Q F"],
    prior: NormalGamma,
    *,
    num_labels: int,
) -> Float[Tensor, "M Q K"]:
    """Scores queries by the classes' predictive densities; labels without examples score far below any other. Differentiable."""
    counts_MK, sums_MKF, squares_MKF = class_statistics(support, labels, prior, num_labels=num_labels)
    logits_MQK = class_logits(queries, predictive(counts_MK, sums_MKF, squares_MKF, prior), prior)
    return logits_MQK.masked_fill((counts_MK == 0)[:, None], _UNKNOWN)


def bayes_loss(
    embed: Callable[[Params, Tensor], Tensor], *, num_labels: int
) -> Callable[[Params, HyperStream], Float[Tensor, " members"]]:
    """Makes the loss of features and prior with which conjugate Bayes is to classify what the stream's hyper-batch holds.

    It takes the same streams as lives do: the tasks' batches are the examples, the only hyper-batch the queries.

    Args:
        embed: Maps parameters and images (..., M, B, C, S, S) to features (..., M, B, F).
        num_labels: Labels in all.

    Returns:
        The loss of parameters, among them the prior's, and of a stream, in nats.
    """

    def loss(params: Params, stream: HyperStream) -> Tensor:
        support_MNF = embed(params, stream.inputs).transpose(0, 1).flatten(1, 2)
        labels_MN = stream.targets.transpose(0, 1).flatten(1, 2)
        queries_MQF = embed(params, stream.hyper_inputs[0, 0])
        logits = bayes_logits(support_MNF, labels_MN, queries_MQF, prior_of(params), num_labels=num_labels)
        return cross_entropy(logits, stream.hyper_targets[0, 0])

    return loss
