"""Class means: a class is the mean of its examples' features, and an example belongs to the nearest. Nothing to forget.

Sources: Snell et al., "Prototypical Networks for Few-shot Learning" (2017), equations 1 and 2; Mensink et al., "Distance-Based
Image Classification: Generalizing to New Classes at Near-Zero Cost" (2013), for the running mean.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from hyperlearning.core.params import Params
from hyperlearning.learners.closed_form.life import checked_label, finite, nats_among_met


class ClassMeans:
    """Running means of classes: `logit_c(f) = scale * (m_c'f - m_c'm_c / 2)`, minus half the squared distance but for `f'f`.

    Args:
        num_features: Features d.
        num_labels: Labels.
        scale: Multiplies logits.
        cosine: Whether examples and means are compared by their cosine: `logit_c(f) = scale * cos(m_c, f)`.
        dtype: Of the means.
    """

    def __init__(
        self,
        num_features: int,
        num_labels: int,
        *,
        scale: float = 1.0,
        cosine: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.scale, self.cosine = scale, cosine
        self._means = torch.zeros(num_labels, num_features, dtype=dtype)
        self._counts = self._means.new_zeros(num_labels)
        self._offsets = torch.full_like(self._counts, -torch.inf)

    @property
    def state(self) -> Params:
        """Means (labels, d), how many examples each is of, and what each class's logit is at 0: none before it is met."""
        return {"means": self._means, "counts": self._counts, "offsets": self._offsets}

    def learn(self, features: Float[Tensor, " features"], target: Tensor) -> float:
        """Takes one labelled example in; returns nats before, over the labels met so far."""
        label = checked_label(target, len(self._counts))
        features = self._prepared(features)
        finite(float(features.dot(features)), "features")
        loss = nats_among_met(self._logits(features), label)
        self._counts[label] += 1
        mean = self._means[label]
        mean.lerp_(features, 1 / float(self._counts[label]))
        self._offsets[label] = 0 if self.cosine else mean.dot(mean) / -2
        return loss

    def predict(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch labels"]:
        """A logit for every label; minus infinity for one that was never met."""
        return self._logits(self._prepared(features))

    def _prepared(self, features: Tensor) -> Tensor:
        features = features.to(self._means.dtype)
        return normalize(features, dim=-1) if self.cosine else features

    def _logits(self, features: Tensor) -> Tensor:
        means = normalize(self._means, dim=-1) if self.cosine else self._means
        return self.scale * torch.nn.functional.linear(features, means, self._offsets)
