"""Linear discriminant: class means under one covariance, which is innate, or innate at first and then learned in life.

`logit_c(f) = m_c' A f - m_c' A m_c / 2`, where `A^-1 = (k C + S_n) / (k + n)` is the covariance within classes as n examples
with the scatter S_n within their classes leave it under an innate C that is worth k examples. `P = (k C + S_n)^-1` is kept as a
square root, one rank-one update an example (see `least_squares`): exact, and never inverted anew.

Source: Hayes and Kanan, "Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis" (2020), section 3. There C
is the identity with a fixed share; here it counts as examples do, so that its share falls as they come.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.closed_form.least_squares import root_of_inverse
from hyperlearning.learners.closed_form.life import checked_label, finite, nats_among_met


class LinearDiscriminant:
    """Running class means under one covariance.

    Args:
        num_features: Features d.
        num_labels: Labels.
        covariance: C, (d, d), for instance of meta-train classes, see `shrunk`; or one number for all features.
        strength: k, how many examples C is worth; infinity if it stays as it is.
        dtype: Of all that is kept.

    Raises:
        ValueError: If `strength` is not positive, or the covariance is not symmetric and positive.
    """

    def __init__(
        self,
        num_features: int,
        num_labels: int,
        *,
        covariance: float | Float[Tensor, "features features"] = 1.0,
        strength: float = 10.0,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not strength > 0:
            raise ValueError(f"Expected `strength` to be positive, but got {strength}.")
        self.strength = strength
        self._means = torch.zeros(num_labels, num_features, dtype=dtype)
        self._counts = self._means.new_zeros(num_labels)
        self._root = root_of_inverse(covariance, num_features, self._means.dtype)
        if self.streams:
            self._root /= math.sqrt(strength)
        self._at_hand: _Known | None = None

    @property
    def streams(self) -> bool:
        """Whether the covariance is learned in life."""
        return math.isfinite(self.strength)

    @property
    def state(self) -> Params:
        """Means, how many examples each is of, and the root of P where it changes."""
        self._at_hand = None  # Whoever asks for them may change them, as loading does.
        own = {"means": self._means, "counts": self._counts}
        return {**own, "root": self._root} if self.streams else own

    @property
    def covariance(self) -> Float[Tensor, "features features"]:
        """The covariance within classes as it stands."""
        return torch.linalg.inv(self._root @ self._root.T) / self._scale

    def learn(self, features: Float[Tensor, " features"], target: Tensor) -> float:
        """Takes one labelled example in; returns nats before, over the labels met so far."""
        label = checked_label(target, len(self._counts))
        features, known = features.to(self._means.dtype), self._known()
        means = self._means @ self._root if self.streams else known.means
        apart = torch.mv(self._root.T, features) - means
        own, count = apart[label], known.counts[label]
        distance = finite(float(own.dot(own)), "features")
        # Halved squares of distances and logits differ by one number for all labels.
        logits = torch.add(known.unmet, apart.square().sum(-1), alpha=-self._scale / 2)
        loss = nats_among_met(logits, label)
        if self.streams and count:
            self._widen(own, distance, count / (count + 1))
        mean = known.rows[label].lerp_(features, 1 / (count + 1))
        if not self.streams:
            torch.mv(self._root.T, mean, out=means[label])
        self._counts[label] = known.counts[label] = count + 1
        known.total += 1
        if not count:
            known.unmet[label] = 0
        return loss

    def _widen(self, drive: Tensor, distance: float, weight: float) -> None:
        """Adds `weight a a'` to the scatter, with `drive = root' a` of square `distance`."""
        spread = 1 + weight * distance
        self._root.addr_(torch.mv(self._root, drive), drive, alpha=-weight / (spread + math.sqrt(spread)))

    def predict(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch labels"]:
        """A logit for every label; minus infinity for one that was never met."""
        means, scale = self._means @ self._root, self._scale
        offsets = (means.square().sum(-1) * (-scale / 2)).masked_fill_(self._counts == 0, -torch.inf)
        return torch.nn.functional.linear(features.to(means.dtype) @ self._root, means * scale, offsets)

    @property
    def _scale(self) -> float:
        return self.strength + self._known().total if self.streams else 1.0

    def _known(self) -> "_Known":
        if self._at_hand is None:
            counts = self._counts.tolist()
            unmet = torch.zeros_like(self._counts).masked_fill_(self._counts == 0, -torch.inf)
            # One by one, as `learn` does it: whatever was loaded goes on to the same bits.
            means = torch.stack([torch.mv(self._root.T, mean) for mean in self._means])
            self._at_hand = _Known(self._means.unbind(), means, unmet, counts, sum(counts))
        return self._at_hand


@dataclass
class _Known:
    """What follows from the state and the next example needs.

    Attributes:
        rows: (d,) of each label, its mean.
        means: (labels, d), times the root, where that does not change.
        unmet: (labels,), 0 for labels met and minus infinity for others.
        counts: Examples of each label.
        total: Of all.
    """

    rows: tuple[Tensor, ...]
    means: Tensor
    unmet: Tensor
    counts: list[float]
    total: float


def shrunk(covariance: Float[Tensor, "features features"], shrinkage: float) -> Float[Tensor, "features features"]:
    """Draws a covariance towards the identity times its mean variance, as far as `shrinkage` says (0: not; 1: wholly)."""
    level = covariance.diagonal().mean()
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return (1 - shrinkage) * covariance + shrinkage * level * eye


def discriminant_logits(
    queries: Float[Tensor, "*lives queries features"],
    means: Float[Tensor, "*lives labels features"],
    known: Bool[Tensor, "*lives labels"],
    inverse: Float[Tensor, "features features"],
) -> Float[Tensor, "*lives queries labels"]:
    """Scores queries of many lives under one covariance, given as its inverse A; labels not `known` get minus infinity."""
    directions = means @ inverse
    logits = queries @ directions.mT - (directions * means).sum(-1)[..., None, :] / 2
    return logits.masked_fill(~known[..., None, :], -torch.inf)
