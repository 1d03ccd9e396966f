"""The meta-learned prior: densities of examples multiply to their evidence, gradients are right, the life is exact."""

import math

import pytest
import torch
from torch import Tensor

from hyperlearning.learners.closed_form.alpaca import FLOOR, LinearPrior, predictive_nats, prior_of, prior_parameters
from hyperlearning.learners.closed_form.life import ClosedFormLife

NUM_FEATURES = 4


def a_prior(seed: int = 0, num_outputs: int = 1) -> LinearPrior:
    source = torch.Generator().manual_seed(seed)
    made = prior_parameters(NUM_FEATURES, num_outputs)
    return prior_of({n: t + torch.randn(t.shape, generator=source, dtype=t.dtype) for n, t in made.items()})


def examples(number: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    features = torch.randn(2, number, NUM_FEATURES, generator=source, dtype=torch.float64)
    return features, torch.randn(2, number, 1, generator=source, dtype=torch.float64)


def test_the_prior_before_learning_is_what_was_asked_for():
    prior = prior_of(prior_parameters(3, 2, precision=0.25, noise=0.04))
    torch.testing.assert_close(prior.precision, (0.25 + FLOOR) * torch.eye(3, dtype=torch.float64))
    assert float(prior.noise) == pytest.approx(0.04)
    assert prior.mean.shape == (3, 2)


def test_surprises_one_after_another_add_up_to_the_evidence():
    """-log p(y) = sum over n of -log p(y_n | before), and y ~ N(F W0, noise (I + F A0^-1 F')) in one piece."""
    prior, (features, targets) = a_prior(), examples(6)
    one_by_one = sum(
        predictive_nats(prior, features[:, :n], targets[:, :n], features[:, n : n + 1], targets[:, n : n + 1])
        for n in range(6)
    )
    for life in range(2):
        spread = features[life] @ torch.linalg.inv(prior.precision) @ features[life].T
        covariance = prior.noise * (torch.eye(6, dtype=torch.float64) + spread)
        apart = targets[life] - features[life] @ prior.mean
        whole = 0.5 * (6 * math.log(2 * math.pi) + torch.logdet(covariance) + apart.T @ covariance.inverse() @ apart)
        torch.testing.assert_close(one_by_one[life], whole[0, 0], rtol=1e-8, atol=1e-8)


def test_gradients_are_those_of_finite_differences():
    source = torch.Generator().manual_seed(3)
    leaves = [t + 0.3 * torch.randn(t.shape, generator=source, dtype=t.dtype) for t in prior_parameters(3).values()]
    features = torch.randn(2, 5, 3, generator=source, dtype=torch.float64)
    targets = torch.randn(2, 5, 1, generator=source, dtype=torch.float64)

    def loss(mean: Tensor, root: Tensor, noise: Tensor, features: Tensor) -> Tensor:
        prior = prior_of({"mean": mean, "root": root, "noise": noise})
        return predictive_nats(prior, features[:, :3], targets[:, :3], features[:, 3:], targets[:, 3:])

    assert torch.autograd.gradcheck(loss, [leaf.requires_grad_() for leaf in (*leaves, features)])


def test_a_life_under_it_predicts_what_the_batch_does():
    prior, (features, targets) = a_prior(), examples(40)
    life = ClosedFormLife(prior.readout(dtype=torch.float64))
    life.observe_each(features[0, :30], targets[0, :30])
    found, rest = life.predict(features[0, 30:]), slice(30, 40)
    expected = prior.mean + torch.linalg.solve(
        prior.precision + features[0, :30].T @ features[0, :30],
        features[0, :30].T @ (targets[0, :30] - features[0, :30] @ prior.mean),
    )
    torch.testing.assert_close(found, features[0, rest] @ expected, rtol=1e-9, atol=1e-9)


def test_where_no_example_was_met_the_prior_speaks():
    prior, (features, _) = a_prior(), examples(3)
    torch.testing.assert_close(
        ClosedFormLife(prior.readout(dtype=torch.float64)).predict(features[0]), features[0] @ prior.mean
    )
