"""Normalised least mean squares: a step of descent as long as it takes to get this very example right.

Source: Nagumo and Noda, "A Learning Method for System Identification" (1967); Haykin, "Adaptive Filter Theory", chapter 7.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.closed_form.life import check_target, finite


class NormalisedLMS:
    """`W <- W + rate * f (y - W'f)' / (floor + f'f)`.

    Args:
        num_features: Features d.
        num_outputs: Outputs C.
        rate: 1 gets every example right as it is met; less averages over noise. Above 0, below 2.
        floor: Keeps an example of almost no features from a huge step; in units of `f'f`.
        dtype: Of the readout.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        num_features: int,
        num_outputs: int = 1,
        *,
        rate: float = 0.5,
        floor: float = 1e-6,
        dtype: torch.dtype | None = None,
    ) -> None:
        if num_features < 1 or num_outputs < 1:
            raise ValueError(
                f"Expected positive numbers of features and outputs, but got {num_features} and {num_outputs}."
            )
        if not 0 < rate < 2 or floor < 0:
            raise ValueError(
                f"Expected `rate` above 0 and below 2 and a `floor` of 0 or more, but got {rate} and {floor}."
            )
        self.rate, self.floor = rate, floor
        self._weights = torch.zeros(num_features, num_outputs, dtype=dtype)

    @property
    def state(self) -> Params:
        """The readout."""
        return {"weights": self._weights}

    def learn(self, features: Float[Tensor, " features"], target: Float[Tensor, " outputs"]) -> float:
        """Takes one example in; returns the mean squared error before."""
        check_target(target, self._weights.shape[1])
        features, target = features.to(self._weights.dtype), target.to(self._weights.dtype)
        power = finite(float(features.dot(features)), "features") + self.floor
        errors = target - torch.mv(self._weights.T, features)
        loss = finite(float(errors.dot(errors)), "targets") / len(errors)
        if power > 0:
            self._weights.addr_(features, errors, alpha=self.rate / power)
        return loss

    def predict(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch outputs"]:
        """What the readout gives."""
        return features.to(self._weights.dtype) @ self._weights
