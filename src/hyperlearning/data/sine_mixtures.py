"""Target functions of incremental regression: mixtures of two sines.

Shape suffixes: F functions, W waves in a mixture (two).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

DOMAIN = (-5.0, 5.0)
"""The input domain of every source."""

_NUM_WAVES = 2
_FILTER_GRID = 201
_MAX_DRAWS = 10_000_000


@dataclass(frozen=True)
class SineMixtures:
    """A batch of functions `y(x) = sum_w amplitude_w * sin(frequency_w * x + phase_w) + noise`.

    Attributes:
        amplitudes: (F, 2).
        frequencies: (F, 2), radians per unit of x.
        phases: (F, 2), radians.
    """

    amplitudes: Float[Tensor, "functions 2"]
    frequencies: Float[Tensor, "functions 2"]
    phases: Float[Tensor, "functions 2"]

    def __call__(self, inputs: Float[Tensor, "*steps functions points"]) -> Float[Tensor, "*steps functions points"]:
        """Evaluates function f at the points in row f."""
        waves = torch.sin(inputs[..., None] * self.frequencies[:, None] + self.phases[:, None])
        return (waves * self.amplitudes[:, None]).sum(-1)

    def __len__(self) -> int:
        """Returns the number of functions."""
        return len(self.amplitudes)

    def __getitem__(self, functions: slice | Tensor) -> "SineMixtures":
        """Picks some of the functions."""
        return SineMixtures(self.amplitudes[functions], self.frequencies[functions], self.phases[functions])


@dataclass(frozen=True, kw_only=True)
class SineDistribution:
    """What mixtures are drawn from: uniform ranges, and a filter that draws again whatever does not pass.

    Attributes:
        amplitude: Range of both amplitudes.
        frequency: Range of both frequencies, radians per unit of x.
        phase: Range of both phases, radians.
        whole_phases: Whether phases are whole numbers, the upper end excluded.
        second_is_cosine: Whether the second wave is a cosine.
        max_magnitude: Largest |y| over the domain that passes; no bound if absent.
        min_range: Smallest max - min over the domain that passes.
        noise: Standard deviation of Gaussian noise on training targets, as a share of each function's range.

    Raises:
        ValueError: If a range is empty or a bound is not positive.
    """

    amplitude: tuple[float, float] = (0.0, 2.0)
    frequency: tuple[float, float] = (0.0, math.pi / 3)
    phase: tuple[float, float] = (-5.0, 5.0)
    whole_phases: bool = False
    second_is_cosine: bool = False
    max_magnitude: float | None = 0.8
    min_range: float = 0.4
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("amplitude", "frequency", "phase"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"Expected `{name}` to be an increasing range, but got ({low}, {high}).")
        if self.noise < 0 or self.min_range < 0 or (self.max_magnitude is not None and self.max_magnitude <= 0):
            raise ValueError(
                "Expected `noise` and `min_range` to be non-negative and `max_magnitude` positive, "
                f"but got {self.noise}, {self.min_range} and {self.max_magnitude}."
            )

    def sample(self, num_functions: int, generator: torch.Generator) -> SineMixtures:
        """Draws functions that pass the filter.

        Args:
            num_functions: How many, at least 1.
            generator: Source of the numbers.

        Raises:
            ValueError: If `num_functions` is not positive or almost nothing passes the filter.
        """
        if num_functions < 1:
            raise ValueError(f"Expected `num_functions` to be positive, but got {num_functions}.")
        kept: list[SineMixtures] = []
        num_kept = num_drawn = 0
        while num_kept < num_functions:
            if num_drawn > _MAX_DRAWS:
                raise ValueError(f"Expected mixtures that pass the filter, but got {num_kept} in {num_drawn} draws.")
            drawn = self._draw(max(256, 8 * num_functions), generator)
            passed = drawn[self._passes(drawn)]
            kept.append(passed)
            num_kept, num_drawn = num_kept + len(passed), num_drawn + len(drawn)
        return SineMixtures(
            torch.cat([mixtures.amplitudes for mixtures in kept])[:num_functions],
            torch.cat([mixtures.frequencies for mixtures in kept])[:num_functions],
            torch.cat([mixtures.phases for mixtures in kept])[:num_functions],
        )

    def _draw(self, num_functions: int, generator: torch.Generator) -> SineMixtures:
        def uniform(low: float, high: float) -> Tensor:
            unit = torch.rand(num_functions, _NUM_WAVES, generator=generator, device=generator.device)
            return low + (high - low) * unit

        phases = uniform(*self.phase)
        phases = phases.floor() if self.whole_phases else phases
        if self.second_is_cosine:
            phases = phases + torch.tensor([0.0, math.pi / 2], device=phases.device)
        return SineMixtures(uniform(*self.amplitude), uniform(*self.frequency), phases)

    def _passes(self, mixtures: SineMixtures) -> Tensor:
        values = on_grid(mixtures, _FILTER_GRID)
        low, high = values.amin(1), values.amax(1)
        passes = high - low >= self.min_range
        return passes if self.max_magnitude is None else passes & (torch.maximum(high, -low) <= self.max_magnitude)


def on_grid(mixtures: SineMixtures, num_points: int) -> Float[Tensor, "functions points"]:
    """Evaluates functions on evenly spaced points of the domain, ends included."""
    grid = torch.linspace(*DOMAIN, num_points, device=mixtures.amplitudes.device)
    return mixtures(grid.expand(len(mixtures), num_points))


def noise_of(functions: SineMixtures, distribution: SineDistribution) -> Float[Tensor, " functions"] | None:
    """Standard deviation of the noise on each function's training targets; nothing where there is none."""
    if distribution.noise == 0:
        return None
    values = on_grid(functions, _FILTER_GRID)
    return distribution.noise * (values.amax(1) - values.amin(1))


PAPER_SINES = SineDistribution()
"""Dissertation, equation 5.1 with its filter read as |y| <= .8 and range at least .4 (it prints `y_min > -.8`)."""

NOTEBOOK_SINES = SineDistribution(
    amplitude=(0.05, 0.45),
    frequency=(math.pi / 6, math.pi),
    whole_phases=True,
    second_is_cosine=True,
    max_magnitude=None,
    min_range=0.0,
    noise=0.03,
)
"""The authors' notebook in hyper-training; its factor of one half is folded into the amplitudes."""

NOTEBOOK_DEPLOYMENT_SINES = SineDistribution(
    amplitude=(0.05, 0.45),
    frequency=(math.pi / 6, math.pi / 2),
    whole_phases=True,
    second_is_cosine=True,
    max_magnitude=None,
    min_range=0.0,
    noise=0.03,
)
"""The authors' notebook in deployment: an easier range of frequencies than in training."""
