"""Conjugate Bayes: every class is a Gaussian in every feature, its mean and variance unknown under a normal-gamma prior.

With the prior `mu ~ N(m, 1 / (k lambda))`, `lambda ~ Gamma(a, b)` for every feature, n examples with sum s and sum of squares
q leave

`k_n = k + n`, `m_n = (k m + s) / k_n`, `a_n = a + n / 2`, `b_n = b + (q + k m^2 - k_n m_n^2) / 2`

and a new example is Student's t: `t(f; m_n, b_n (k_n + 1) / (a_n k_n), 2 a_n)`. The posterior is sums, so the order of examples
does not matter, and the prior can be meta-learned through it together with the features. Sums are kept about the prior's mean,
where squares cancel least.

Sources: Banayeeanzade et al., "Generative vs Discriminative: Rethinking the Meta-Continual Learning" (2021), section 4 (GeMCL);
Lee et al., "Learning to Continually Learn with the Bayesian Principle" (2024), section 3 (SB-MCL); Murphy, "Conjugate Bayesian
Analysis of the Gaussian Distribution" (2007), section 3.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.closed_form.life import checked_label, finite, nats


class NormalGamma(NamedTuple):
    """A prior for every feature; all are innate.

    Attributes:
        mean: m, (d,).
        strength: k, (d,): how many examples the prior's mean is worth; positive.
        shape: a, (d,), positive.
        rate: b, (d,), positive.
    """

    mean: Float[Tensor, " features"]
    strength: Float[Tensor, " features"]
    shape: Float[Tensor, " features"]
    rate: Float[Tensor, " features"]


def flat_prior(num_features: int, *, dtype: torch.dtype | None = None) -> NormalGamma:
    """A prior worth a hundredth of an example, of variance 1, where nothing has been meta-learned."""
    ones = torch.ones(num_features, dtype=dtype)
    return NormalGamma(0 * ones, 0.01 * ones, ones, ones)


def fitted_prior(of_class: Float[Tensor, "classes examples features"]) -> NormalGamma:
    """Fits the prior by moments: means of classes give m and k, their variances a and b. In single precision.

    Under the prior a class's precision is Gamma(a, b), so that its variance has the mean b / (a - 1) and the squared coefficient
    of variation 1 / (a - 2); that of an estimate from B images is larger by 2 / (B - 1) times 1 + 1 / (a - 2).
    """
    num_images = of_class.shape[1]
    variances = of_class.var(1) + 1e-6
    mean = variances.mean(0)
    spread = variances.var(0) / mean.square()
    sampling = 2 / (num_images - 1) if num_images > 1 else 0.0
    own = ((spread - sampling) / (1 + sampling)).clamp(min=1e-2)
    shape = (2 + 1 / own).clamp(max=100.0)
    between = (of_class.mean(1).var(0) - mean / num_images).clamp(min=1e-6)
    fitted = NormalGamma(of_class.mean((0, 1)), mean / between, shape, mean * (shape - 1))
    return NormalGamma(*(part.float() for part in fitted))


def class_statistics(
    features: Float[Tensor, "*lives examples features"],
    labels: Int64[Tensor, "*lives examples"],
    prior: NormalGamma,
    *,
    num_labels: int,
) -> tuple[
    Float[Tensor, "*lives labels"], Float[Tensor, "*lives labels features"], Float[Tensor, "*lives labels features"]
]:
    """Adds examples up: how many of each class, the sum of `f - m`, and of its square. Differentiable."""
    codes = torch.nn.functional.one_hot(labels, num_labels).to(features.dtype)
    apart = features - prior.mean
    return codes.sum(-2), codes.mT @ apart, codes.mT @ apart.square()


class Predictive(NamedTuple):
    """Every class's predictive density: `log p_c(f) = constant_c - sum_i power_ci log(1 + (f_i - m_i - mean_ci)^2 inverse_ci)`.

    Attributes:
        mean: (..., labels, d), from the prior's.
        inverse: (..., labels, d).
        power: (..., labels, d).
        constant: (..., labels).
    """

    mean: Tensor
    inverse: Tensor
    power: Tensor
    constant: Tensor


def predictive(
    counts: Float[Tensor, "*lives labels"],
    sums: Float[Tensor, "*lives labels features"],
    squares: Float[Tensor, "*lives labels features"],
    prior: NormalGamma,
) -> Predictive:
    """What the sums say of a new example; a class without examples has the prior's density. Differentiable.

    Args:
        counts: Examples of each class.
        sums: Of `f - m`.
        squares: Of its square.
        prior: The prior.
    """
    number = counts[..., None]
    strength, shape = prior.strength + number, prior.shape + number / 2
    mean = sums / strength
    twice_rate = 2 * prior.rate + torch.addcmul(squares, sums, mean, value=-1).clamp(min=0)
    inverse = strength / (twice_rate * (strength + 1))
    power = shape + 0.5
    constant = (torch.lgamma(power) - torch.lgamma(shape) + 0.5 * torch.log(inverse / torch.pi)).sum(-1)
    return Predictive(mean, inverse, power.expand_as(mean), constant)


def class_logits(
    queries: Float[Tensor, "*lives queries features"], seen: Predictive, prior: NormalGamma
) -> Float[Tensor, "*lives queries labels"]:
    """The logarithm of every class's density at queries. Differentiable."""
    apart = (queries - prior.mean)[..., :, None, :] - seen.mean[..., None, :, :]
    tails = seen.power[..., None, :, :] * torch.log1p(apart.square() * seen.inverse[..., None, :, :])
    return seen.constant[..., None, :] - tails.sum(-1)


class ConjugateBayes:
    """The classifier along a life.

    Args:
        num_labels: Labels.
        prior: For every feature.
    """

    def __init__(self, num_labels: int, prior: NormalGamma) -> None:
        self._prior = prior
        num_features = len(prior.mean)
        self._counts = prior.mean.new_zeros(num_labels)
        self._sums, self._squares = (prior.mean.new_zeros(num_labels, num_features) for _ in range(2))
        self._at_hand: _Known | None = None

    @property
    def state(self) -> Params:
        """Examples of each class, their sums and their sums of squares, about the prior's mean."""
        self._at_hand = None  # Whoever asks for them may change them, as loading does.
        return {"counts": self._counts, "sums": self._sums, "squares": self._squares}

    def learn(self, features: Float[Tensor, " features"], target: Tensor) -> float:
        """Takes one labelled example in; returns nats before, over all labels: those never met have the prior's density."""
        label, known = checked_label(target, len(self._counts)), self._known()
        apart, seen = features.to(self._sums.dtype) - self._prior.mean, known.seen
        tails = (apart - seen.mean).square_().mul_(seen.inverse).log1p_().mul_(seen.power)
        loss = finite(nats(seen.constant - tails.sum(-1), label), "features")
        row = known.rows[label]
        row.sums.add_(apart)
        row.squares.addcmul_(apart, apart)
        known.counts[label] += 1
        self._counts[label] = known.counts[label]
        known.renew(label, self._prior)
        return loss

    def predict(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch labels"]:
        """The logarithm of every class's predictive density."""
        return class_logits(features.to(self._sums.dtype), self._known().seen, self._prior)

    def _known(self) -> "_Known":
        if self._at_hand is None:
            empty = predictive(torch.zeros_like(self._counts), 0 * self._sums, 0 * self._squares, self._prior)
            seen = Predictive(*(part.clone() for part in empty))
            rows = map(_Row, self._sums, self._squares, seen.mean, seen.inverse, seen.power)
            self._at_hand = _Known(seen, tuple(rows), self._counts.tolist(), 2 * self._prior.rate)
            for label, count in enumerate(self._at_hand.counts):
                if count:
                    self._at_hand.renew(label, self._prior)
        return self._at_hand


class _Row(NamedTuple):
    """What there is of one class, (d,) each: views on the sums and on the predictive densities of all."""

    sums: Tensor
    squares: Tensor
    mean: Tensor
    inverse: Tensor
    power: Tensor


class _OfNumber(NamedTuple):
    """What of a class's density follows from the number of its examples alone.

    Attributes:
        share: `1 / k_n`, (d,).
        factor: `(k_n + 1) / k_n`, (d,).
        power: `a_n + 1/2`, (d,).
        constant: The density's, less half the logarithms of `inverse`.
    """

    share: Tensor
    factor: Tensor
    power: Tensor
    constant: float


_MOST_NUMBERS = 1000
"""Of examples of a class whose `_OfNumber` is kept."""


class _Known:
    """What follows from the state and the next example needs.

    Args:
        seen: Of every class.
        rows: Class by class.
        counts: Examples of each class.
        twice_rate: Of the prior.
    """

    def __init__(self, seen: Predictive, rows: tuple[_Row, ...], counts: list[float], twice_rate: Tensor) -> None:
        self.seen, self.rows, self.counts, self._twice_rate = seen, rows, counts, twice_rate
        self._of_number: dict[float, _OfNumber] = {}

    def renew(self, label: int, prior: NormalGamma) -> None:
        """Does what `predictive` does, for one class and in fewer operations."""
        row, number = self.rows[label], self._number(self.counts[label], prior)
        torch.mul(row.sums, number.share, out=row.mean)
        torch.addcmul(row.squares, row.sums, row.mean, value=-1, out=row.inverse)
        row.inverse.clamp_(min=0).add_(self._twice_rate).mul_(number.factor).reciprocal_()
        row.power.copy_(number.power)
        self.seen.constant[label] = number.constant + 0.5 * float(row.inverse.log().sum())

    def _number(self, number: float, prior: NormalGamma) -> _OfNumber:
        """Computes it, or takes what was computed for another class."""
        if number not in self._of_number:
            if len(self._of_number) == _MOST_NUMBERS:
                self._of_number.clear()
            share, power = (prior.strength + number).reciprocal(), prior.shape + (number + 1) / 2
            gammas = torch.lgamma(power) - torch.lgamma(power - 0.5)
            constant = float(gammas.sum()) - 0.5 * math.log(math.pi) * len(share)
            self._of_number[number] = _OfNumber(share, 1 + share, power, constant)
        return self._of_number[number]
