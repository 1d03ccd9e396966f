"""Least squares: one example at a time, or all at once; the same numbers either way.

With features f (d), targets y (C) and a prior `W ~ N(W0, noise * A0^-1)`, the posterior after n examples is
`W ~ N(W_n, noise * P_n)` with `P_n = (A0 + F'F)^-1` and `W_n = P_n (A0 W0 + F'Y)`. One more example makes of it

`k = P f / (g + f'P f)`, `W <- W + k (y - W'f)'`, `P <- (P - k f'P) / g`

with the forgetting factor g (1: nothing is forgotten; less: an example n steps ago counts g^n). P is never stored but its
square root S, `P = S S'`: `S <- (S - c (S u) u') / sqrt(g)` with `u = S'f`, `c = 1 / (v + sqrt(g v))`, `v = g + u'u` (Potter's
form). So P stays symmetric and positive however long a life is, in single precision too.

Sources: Potter's square-root filter as in Kaminski, Bryson and Schmidt, "Discrete Square Root Filtering" (1971), section III;
the Bayesian reading with a meta-learned prior is ALPaCA: Harrison, Sharma and Pavone, "Meta-Learning Priors for Efficient Online
Bayesian Regression" (2018), equations 8 to 12.

Shape suffixes: N examples, D features, C outputs.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.closed_form.life import check_target, checked_label, finite, nats


class RecursiveLeastSquares:
    """Recursive least squares of numbers.

    Args:
        num_features: Features d.
        num_outputs: Outputs C.
        precision: The prior's, A0: one number for all features, one for each (d,), or a matrix (d, d).
        mean: The prior's mean W0, (d, C); 0 if absent.
        forgetting: The factor g, above 0 and at most 1.
        dtype: Of all that is kept.

    Raises:
        ValueError: If a number is out of range, or the prior does not fit.
    """

    def __init__(
        self,
        num_features: int,
        num_outputs: int = 1,
        *,
        precision: float | Tensor = 1.0,
        mean: Float[Tensor, "features outputs"] | None = None,
        forgetting: float = 1.0,
        dtype: torch.dtype | None = None,
    ) -> None:
        if num_features < 1 or num_outputs < 1:
            raise ValueError(
                f"Expected positive numbers of features and outputs, but got {num_features} and {num_outputs}."
            )
        if not 0 < forgetting <= 1:
            raise ValueError(f"Expected `forgetting` to be above 0 and at most 1, but got {forgetting}.")
        self.forgetting = forgetting
        self._root = root_of_inverse(precision, num_features, dtype or torch.get_default_dtype())
        self._weights = self._root.new_zeros(num_features, num_outputs)
        if mean is not None:
            if mean.shape != self._weights.shape:
                raise ValueError(f"Expected `mean` of shape {tuple(self._weights.shape)}, but got {tuple(mean.shape)}.")
            self._weights.copy_(mean)
        self._residuals = self._root.new_zeros(num_outputs)
        self._count = self._root.new_zeros(())

    @property
    def state(self) -> Params:
        """The root of the covariance, the readout, the sum of normalised squared errors and the number of examples."""
        return {"root": self._root, "weights": self._weights, "residuals": self._residuals, "count": self._count}

    @property
    def covariance(self) -> Float[Tensor, "features features"]:
        """P, in units of the noise's variance; symmetric to the last bit, which a product of matrices need not be."""
        product = self._root @ self._root.T
        return (product + product.T) / 2

    @property
    def noise(self) -> Float[Tensor, " outputs"]:
        """The noise's variance as the errors so far have it: their mean square, each in units of what was expected of it."""
        return self._residuals / self._count.clamp(min=1)

    def learn(self, features: Float[Tensor, " features"], target: Float[Tensor, " outputs"]) -> float:
        """Takes one example in; returns the mean squared error before."""
        errors = self.take(features, target)
        return float(errors.dot(errors)) / len(errors)

    def take(
        self, features: Float[Tensor, " features"], target: Float[Tensor, " outputs"]
    ) -> Float[Tensor, " outputs"]:
        """Takes one example in; returns the errors before.

        Raises:
            ValueError: If the example holds a NaN or an infinity; nothing has changed then.
        """
        check_target(target, self._weights.shape[1])
        features, target = features.to(self._root.dtype), target.to(self._root.dtype)
        drive = torch.mv(self._root.T, features)  # u
        spread = finite(float(drive.dot(drive)), "features") + self.forgetting  # v
        errors = target - torch.mv(self._weights.T, features)
        finite(float(errors.dot(errors)), "targets")
        gain = torch.mv(self._root, drive)  # P f
        self._root.addr_(gain, drive, alpha=-1 / (spread + math.sqrt(self.forgetting * spread)))
        self._weights.addr_(gain, errors, alpha=1 / spread)
        if self.forgetting < 1:
            self._root.mul_(self.forgetting**-0.5)
        self._residuals.addcmul_(errors, errors, value=self.forgetting / spread)
        self._count.add_(1)
        return errors

    def predict(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch outputs"]:
        """The posterior's mean."""
        return features.to(self._weights.dtype) @ self._weights

    def variance(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch outputs"]:
        """The predictive variance, noise included: `noise * (1 + f'P f)`."""
        return (1 + self.leverage(features)[:, None]) * self.noise

    def leverage(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, " batch"]:
        """F'P f, the prediction's variance in units of the noise's: high where nothing alike was learned."""
        return (features.to(self._root.dtype) @ self._root).square().sum(-1)


class RidgeClassifier:
    """Recursive least squares on labels written as one 1 among zeros: ridge regression solved along a life.

    Args:
        num_features: Features d.
        num_labels: Labels.
        precision: As of `RecursiveLeastSquares`.
        forgetting: Likewise.
        dtype: Likewise.
    """

    def __init__(
        self,
        num_features: int,
        num_labels: int,
        *,
        precision: float | Tensor = 1.0,
        forgetting: float = 1.0,
        dtype: torch.dtype | None = None,
    ) -> None:
        self._inner = RecursiveLeastSquares(
            num_features, num_labels, precision=precision, forgetting=forgetting, dtype=dtype
        )
        self._codes = torch.eye(num_labels, dtype=self._inner.state["weights"].dtype)

    @property
    def state(self) -> Params:
        """As of `RecursiveLeastSquares`."""
        return self._inner.state

    def learn(self, features: Float[Tensor, " features"], target: Tensor) -> float:
        """Takes one labelled example in; returns nats before, of a softmax over what the readout gives."""
        label = checked_label(target, len(self._codes))
        code = self._codes[label]
        return nats(code - self._inner.take(features, code), label)

    def predict(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch labels"]:
        """About 1 for the label of an example, 0 for the others."""
        return self._inner.predict(features)

    def leverage(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, " batch"]:
        """As of `RecursiveLeastSquares`."""
        return self._inner.leverage(features)


class Posterior(NamedTuple):
    """What least squares knows after all examples, for any number of lives at once.

    Attributes:
        mean: W_n, (..., D, C).
        covariance: P_n, (..., D, D), in units of the noise's variance.
    """

    mean: Float[Tensor, "*lives features outputs"]
    covariance: Float[Tensor, "*lives features features"]

    def predict(self, features: Float[Tensor, "*lives queries features"]) -> tuple[Tensor, Tensor]:
        """The mean (..., Q, C) and `1 + f'P f` (..., Q), the variance in units of the noise's."""
        spread = ((features @ self.covariance) * features).sum(-1)
        return features @ self.mean, 1 + spread


def posterior(
    features: Float[Tensor, "*lives examples features"],
    targets: Float[Tensor, "*lives examples outputs"],
    *,
    precision: Float[Tensor, "features features"],
    mean: Float[Tensor, "features outputs"] | None = None,
) -> Posterior:
    """Solves least squares in one batch: what the recursion gives with a forgetting factor of 1. Differentiable by everything.

    Args:
        features: F.
        targets: Y.
        precision: The prior's, A0, symmetric and positive.
        mean: The prior's mean W0; 0 if absent.
    """
    factor = torch.linalg.cholesky(precision + features.mT @ features)
    moment = features.mT @ targets
    if mean is not None:
        moment = moment + precision @ mean
    return Posterior(torch.cholesky_solve(moment, factor), torch.cholesky_inverse(factor))


def ridge(
    features: Float[Tensor, "*lives examples features"],
    targets: Float[Tensor, "*lives examples outputs"],
    *,
    precision: float,
) -> Float[Tensor, "*lives features outputs"]:
    """The posterior's mean under a prior of one precision, by the smaller of the two systems: of features or of examples."""
    num_examples, num_features = features.shape[-2:]
    if num_features <= num_examples:
        gram, moment = features.mT @ features, features.mT @ targets
    else:
        gram, moment = features @ features.mT, targets
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    solved = torch.linalg.solve(gram + precision * eye, moment)
    return solved if num_features <= num_examples else features.mT @ solved


def root_of_inverse(precision: float | Tensor, num_features: int, dtype: torch.dtype) -> Tensor:
    """Takes a square root of the inverse of a prior's precision: one number, one for each feature, or a matrix.

    Raises:
        ValueError: If it is not positive, or a matrix that is not symmetric, or does not fit.
    """
    given = torch.as_tensor(precision, dtype=torch.float64).detach()
    if given.ndim < 2:
        if (given.ndim and len(given) != num_features) or not bool((given > 0).all() and torch.isfinite(given).all()):
            raise ValueError(f"Expected `precision` to be positive, one number or {num_features}, but got {precision}.")
        return torch.diag(given.expand(num_features) ** -0.5).to(dtype)
    if given.shape != (num_features, num_features):
        raise ValueError(f"Expected `precision` of {num_features} x {num_features}, but got {tuple(given.shape)}.")
    factor, failed = torch.linalg.cholesky_ex(given)
    if int(failed) or not torch.equal(given, given.T):
        raise ValueError("Expected `precision` to be symmetric and positive definite, but it is not.")
    eye = torch.eye(num_features, dtype=given.dtype, device=given.device)
    return torch.linalg.solve_triangular(factor, eye, upper=False).T.to(dtype).contiguous()
