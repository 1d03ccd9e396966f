"""The recursion is the batch solution, however long, in whatever order, in whatever type."""

from inspect import unwrap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bounds import rounding

from hyperlearning.learners.closed_form.least_squares import RecursiveLeastSquares, RidgeClassifier, posterior, ridge
from hyperlearning.learners.closed_form.life import ClosedFormLife


def examples(
    num_examples: int, num_features: int, num_outputs: int = 2, *, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    features = torch.randn(num_examples, num_features, generator=source, dtype=dtype)
    true = torch.randn(num_features, num_outputs, generator=source, dtype=dtype)
    return features, features @ true + 0.3 * torch.randn(num_examples, num_outputs, generator=source, dtype=dtype)


def spd(num_features: int, seed: int = 1) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    factor = torch.randn(num_features, num_features, generator=source, dtype=torch.float64)
    product = factor @ factor.T
    return (product + product.T) / 2 + torch.eye(num_features, dtype=torch.float64)


def test_after_ten_thousand_examples_the_recursion_is_the_batch_solution():
    features, targets = examples(10_000, 40)
    precision, mean = spd(40), torch.randn(40, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    solver = RecursiveLeastSquares(40, 2, precision=precision, mean=mean, dtype=torch.float64)
    ClosedFormLife(solver).observe(features, targets)
    exact = posterior(features, targets, precision=precision, mean=mean)
    torch.testing.assert_close(solver.state["weights"], exact.mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        solver.covariance, exact.covariance, rtol=1e-9, atol=1e-9 * float(exact.covariance.max())
    )


def test_the_batch_solution_is_that_of_the_normal_equations():
    features, targets = examples(50, 8)
    precision = spd(8)
    expected = torch.linalg.inv(precision + features.T @ features)
    found = posterior(features, targets, precision=precision)
    torch.testing.assert_close(found.covariance, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.mean, expected @ features.T @ targets, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("num_examples", [5, 50])
def test_ridge_is_the_posteriors_mean_by_either_system(num_examples: int):
    features, targets = examples(3 * num_examples, 12)
    features, targets = features.reshape(3, num_examples, 12), targets.reshape(3, num_examples, 2)
    expected = posterior(features, targets, precision=0.7 * torch.eye(12, dtype=torch.float64)).mean
    torch.testing.assert_close(ridge(features, targets, precision=0.7), expected, rtol=1e-10, atol=1e-12)


def test_with_forgetting_an_example_n_steps_ago_counts_as_the_nth_power():
    features, targets = examples(60, 5)
    solver = RecursiveLeastSquares(5, 2, precision=2.0, forgetting=0.9, dtype=torch.float64)
    ClosedFormLife(solver).observe(features, targets)
    weight = (0.9 ** torch.arange(59, -1, -1, dtype=torch.float64)).sqrt()[:, None]
    prior = 2.0 * 0.9**60 * torch.eye(5, dtype=torch.float64)
    expected = posterior(weight * features, weight * targets, precision=prior)
    torch.testing.assert_close(solver.state["weights"], expected.mean, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(solver.covariance, expected.covariance, rtol=1e-10, atol=1e-12)


def test_gradients_through_the_batch_solution_are_those_of_finite_differences():
    features, targets = examples(6, 3, 1)
    query = torch.randn(1, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def batch(features: torch.Tensor, precision: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        symmetric = (precision + precision.T) / 2
        mean, spread = posterior(features, targets, precision=symmetric, mean=mean).predict(query)
        return (mean[0, 0] - 1) ** 2 / spread[0] + torch.log(spread[0])

    inputs = (features, spd(3), torch.randn(3, 1, generator=torch.Generator().manual_seed(6), dtype=torch.float64))
    assert torch.autograd.gradcheck(batch, tuple(tensor.requires_grad_() for tensor in inputs))


def test_the_predictive_variance_is_the_posteriors():
    features, targets = examples(200, 6)
    solver = RecursiveLeastSquares(6, 2, precision=0.01, dtype=torch.float64)
    ClosedFormLife(solver).observe(features, targets)
    queries, _ = examples(4, 6, seed=9)
    _, spread = posterior(features, targets, precision=0.01 * torch.eye(6, dtype=torch.float64)).predict(queries)
    torch.testing.assert_close(solver.variance(queries), spread[:, None] * solver.noise, rtol=1e-10, atol=1e-12)
    # Errors one step ahead, in units of what was expected, have the noise's variance: .3 squared, to four standard errors.
    assert (solver.noise / 0.09 - 1).abs().max() < 4 * (2 / 200) ** 0.5


def test_the_normalised_errors_add_up_to_the_batchs_residuals():
    """The sum of squared innovations over their expected spread is the minimum of the penalised squared error."""
    features, targets = examples(30, 4, 1)
    solver = RecursiveLeastSquares(4, 1, precision=0.5, dtype=torch.float64)
    ClosedFormLife(solver).observe(features, targets)
    weights = solver.state["weights"]
    least = (targets - features @ weights).square().sum() + 0.5 * weights.square().sum()
    torch.testing.assert_close(solver.state["residuals"].sum(), least, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("forgetting", "num_thousands"), [(1.0, 1000), (0.999, 100)])
def test_in_single_precision_the_covariance_stays_symmetric_and_positive_for_a_million_examples(
    forgetting: float, num_thousands: int
):
    features, _ = examples(1000, 6, 1, dtype=torch.float32)
    features[:, 1] = features[:, 0] * (1 + 1e-4)  # Two features that are almost one.
    targets = features.sum(1, keepdim=True) + 0.3 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(7))
    solver = RecursiveLeastSquares(6, forgetting=forgetting, dtype=torch.float32)
    rows, wanted = features.unbind(), targets.unbind()
    take = unwrap(RecursiveLeastSquares.take)  # A million checks of types would take a minute.
    with torch.no_grad():
        for _ in range(num_thousands):
            for row, target in zip(rows, wanted, strict=True):
                take(solver, row, target)
    covariance = solver.covariance.double()
    assert torch.isfinite(covariance).all()
    assert torch.equal(covariance, covariance.T)
    assert torch.linalg.eigvalsh(solver.state["root"].double() @ solver.state["root"].double().T).min() > 0
    errors = targets - solver.predict(features)
    assert float(errors.std()) < 0.35  # The noise is .3.


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    num_features=st.integers(1, 8),
    num_examples=st.integers(1, 60),
    scale=st.sampled_from([1e-4, 1.0, 1e4]),
    forgetting=st.sampled_from([1.0, 0.95]),
)
def test_the_covariance_is_positive_whatever_is_met(
    seed: int, num_features: int, num_examples: int, scale: float, forgetting: float
):
    features, targets = examples(num_examples, num_features, dtype=torch.float32, seed=seed)
    solver = RecursiveLeastSquares(num_features, 2, forgetting=forgetting, dtype=torch.float32)
    ClosedFormLife(solver).observe(features * scale, targets)
    root = solver.state["root"].double()
    assert torch.linalg.eigvalsh(root @ root.T).min() > 0


def test_the_order_of_examples_does_not_matter():
    features, targets = examples(100, 7)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(3))
    solvers = [RecursiveLeastSquares(7, 2, dtype=torch.float64) for _ in range(2)]
    ClosedFormLife(solvers[0]).observe(features, targets)
    ClosedFormLife(solvers[1]).observe(features[order], targets[order])
    bound = rounding(torch.float64, 100 * 7)
    torch.testing.assert_close(
        solvers[0].state["weights"], solvers[1].state["weights"], rtol=100 * bound, atol=100 * bound
    )


def test_a_ridge_classifier_is_ridge_on_codes():
    features, _ = examples(40, 6)
    labels = torch.arange(40) % 3
    classifier = RidgeClassifier(6, 4, precision=0.5, dtype=torch.float64)
    ClosedFormLife(classifier).observe(features, labels)
    expected = features @ ridge(features, torch.eye(4, dtype=torch.float64)[labels], precision=0.5)
    torch.testing.assert_close(classifier.predict(features), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"precision": 0.0}, "positive"),
        ({"precision": torch.ones(2)}, "or 3"),
        ({"precision": -torch.eye(3)}, "positive definite"),
        ({"precision": torch.eye(2)}, "3 x 3"),
        ({"forgetting": 0.0}, "forgetting"),
        ({"forgetting": 1.1}, "forgetting"),
        ({"mean": torch.zeros(2, 1)}, "mean"),
    ],
)
def test_a_prior_that_is_none_is_refused(more: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        RecursiveLeastSquares(3, **more)  # pyright: ignore[reportArgumentType]
