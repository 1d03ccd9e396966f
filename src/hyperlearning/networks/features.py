"""Fixed features for readouts that are solved: they hold no parameter, and nothing about them changes in life."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GaussianBumps(nn.Module):
    """Gaussian bumps evenly over an interval, and a constant: `exp(-(x - c_k)^2 / (2 s^2))`, then 1.

    Args:
        num_features: Features in all, two bumps or more and the constant.
        width: Standard deviation s of a bump, in distances between neighbouring centres.
        domain: Lowest and highest input: where the first and the last centre are.

    Raises:
        ValueError: If there are too few features, or the width or the domain is empty.
    """

    def __init__(self, num_features: int, *, width: float, domain: tuple[float, float]) -> None:
        super().__init__()
        low, high = domain
        if num_features < 3 or width <= 0 or not low < high:
            raise ValueError(
                "Expected 3 features or more, a positive `width` and a domain that is none, but got "
                f"{num_features}, {width} and {domain}."
            )
        self.num_features = num_features
        self.centres: Tensor
        self.register_buffer("centres", torch.linspace(low, high, num_features - 1))
        self.width = width * (high - low) / (num_features - 2)

    def forward(self, inputs: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch features"]:
        """Evaluates every bump, and 1."""
        bumps = torch.exp((inputs - self.centres).square() * (-0.5 / self.width**2))
        return torch.cat([bumps, torch.ones_like(inputs)], dim=-1)


class Harmonics(nn.Module):
    """Sines and cosines of given periods and their harmonics: `sin(2 pi k x / P)`, `cos(2 pi k x / P)` for k from 1 on.

    Args:
        periods: Periods P, in units of the input.
        num_harmonics: How many k of each.

    Raises:
        ValueError: If there is no period, or one is not positive.
    """

    def __init__(self, periods: Sequence[float], *, num_harmonics: int) -> None:
        super().__init__()
        if not periods or min(periods) <= 0 or num_harmonics < 1:
            raise ValueError(
                "Expected one or more positive `periods` and `num_harmonics`, but got "
                f"{tuple(periods)} and {num_harmonics}."
            )
        self.num_features = 2 * len(periods) * num_harmonics
        steps = torch.arange(1, num_harmonics + 1, dtype=torch.float64)
        rates = (2 * math.pi * steps / torch.tensor(periods, dtype=torch.float64)[:, None]).flatten()
        self.rates: Tensor
        self.register_buffer("rates", rates)

    def forward(self, inputs: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch features"]:
        """Evaluates every wave; phases are computed in double precision, since x may be many periods."""
        phases = inputs.double() * self.rates
        return torch.cat([phases.sin(), phases.cos()], dim=-1).to(inputs.dtype)


class RandomFeatures(nn.Module):
    """Random projections and what an activation makes of them: `phi(x W + b)`, W and b drawn once and fixed.

    Args:
        num_inputs: Inputs.
        num_features: Features.
        scale: Standard deviation of W; b is uniform within what W makes of inputs of size `reach`.
        reach: Size of inputs; 0: no offsets.
        activation: "relu" or "tanh".
        generator: Source of W and b; the global one if absent.

    Source: McDonnell et al., "RanPAC: Random Projections and Pre-trained Models for Continual Learning" (2023), section 4.
    """

    def __init__(
        self,
        num_inputs: int,
        num_features: int,
        *,
        scale: float = 1.0,
        reach: float = 0.0,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        known = {"relu": torch.relu, "tanh": torch.tanh}
        if activation not in known:
            raise ValueError(f"Expected `activation` among {sorted(known)}, but got '{activation}'.")
        self.num_features, self._activation = num_features, known[activation]
        self.weight: Tensor
        self.register_buffer("weight", scale * torch.randn(num_inputs, num_features, generator=generator))
        offsets = 2 * torch.rand(num_features, generator=generator) - 1
        self.offsets: Tensor
        self.register_buffer("offsets", offsets * scale * reach)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch features"]:
        """Projects inputs."""
        return self._activation(inputs @ self.weight + self.offsets)


class Coded(nn.Module):
    """Features of its own for every place of a one-hot code: the outer product of a code and the features of what follows it.

    Args:
        inner: Maps what follows the code to features.
        num_places: Places of the code.
    """

    def __init__(self, inner: "GaussianBumps | RandomFeatures", *, num_places: int) -> None:
        super().__init__()
        self.inner, self._num_places = inner, num_places
        self.num_features = num_places * inner.num_features

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch features"]:
        """Evaluates the features at their code's place; those of other places are 0."""
        code, rest = inputs.split([self._num_places, inputs.shape[-1] - self._num_places], dim=-1)
        return (code[..., :, None] * self.inner(rest)[..., None, :]).flatten(-2)


class Joined(nn.Module):
    """Several features side by side.

    Args:
        parts: Modules that map the same inputs to features and say how many in `num_features`.
    """

    def __init__(self, *parts: "GaussianBumps | Harmonics | RandomFeatures") -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.num_features = sum(part.num_features for part in parts)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch features"]:
        """Evaluates every part."""
        return torch.cat([part(inputs) for part in self.parts], dim=-1)
