"""SIREN: dense layers with sines between them, and the first weights that they need; and the same, modulated.

Shape suffixes: P points, D coordinates.

Source: Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions" (2020), section 3.2.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

FREQUENCY = 30.0
"""The papers' omega_0, for images from -1 to 1."""


class Sine(nn.Module):
    """`sin(frequency * x)`.

    Args:
        frequency: The paper's omega.
    """

    def __init__(self, frequency: float = FREQUENCY) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, inputs: Tensor) -> Tensor:
        """Applies it."""
        return torch.sin(self.frequency * inputs)


def siren(
    sizes: Sequence[int],
    *,
    first_frequency: float = FREQUENCY,
    frequency: float = FREQUENCY,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Makes dense layers with sines between them, and a linear output.

    Weights of the first are uniform in `+-1/fan_in`, of all others in `+-sqrt(6 / fan_in) / frequency`, so that what they bring
    to each sine is normal with a variance of 1, whatever the depth; biases, uniform in `+-1/sqrt(fan_in)`, come on top.

    Args:
        sizes: Units per layer, coordinates first.
        first_frequency: Of the first sine, by which details are fitted that a cosine of that many radians a unit has.
        frequency: Of all others.
        generator: Source of first weights; the global one if absent.

    Raises:
        ValueError: If there are fewer than two layers or a size or frequency is not positive.
    """
    _check(sizes, first_frequency, frequency)
    layers: list[nn.Module] = []
    for place, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layers += [
            _dense(fan_in, fan_out, None if place == 0 else frequency, generator),
            Sine(first_frequency if place == 0 else frequency),
        ]
    return nn.Sequential(*layers[:-1])


class ModulatedSiren(nn.Module):
    """A SIREN of which each unit of each hidden layer has a scale and a shift: `sin(frequency * scale * (W x + b) + shift)`.

    A hypernetwork that emits these alone (`emits=is_modulation`) has the weights in common for all conditions.

    Args:
        sizes: As of `siren`; at least one hidden layer.
        first_frequency: As of `siren`.
        frequency: As of `siren`.
        generator: As of `siren`.

    Raises:
        ValueError: If there is no hidden layer, or as of `siren`.

    Source: Perez et al., "FiLM" (2018), for scales and shifts; Mehta et al., "Modulated Periodic Activations" (2021), and
    Dupont et al., "From data to functa" (2022), for modulated SIRENs.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        first_frequency: float = FREQUENCY,
        frequency: float = FREQUENCY,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(sizes, first_frequency, frequency)
        if len(sizes) < 3:
            raise ValueError(f"Expected `sizes` with a hidden layer, but got {tuple(sizes)}.")
        self.frequencies = (first_frequency, *[frequency] * (len(sizes) - 3))
        self.layers = nn.ModuleList(
            _dense(fan_in, fan_out, None if place == 0 else frequency, generator)
            for place, (fan_in, fan_out) in enumerate(pairwise(sizes))
        )
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(size)) for size in sizes[1:-1])
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in sizes[1:-1])

    def forward(self, points_PD: Float[Tensor, "P D"]) -> Float[Tensor, "P outputs"]:
        """What is at points."""
        hidden = points_PD
        for layer, scale, shift, frequency in zip(
            self.layers, self.scales, self.shifts, self.frequencies, strict=False
        ):
            hidden = torch.sin(frequency * scale * layer(hidden) + shift)
        return self.layers[-1](hidden)


def is_modulation(name: str) -> bool:
    """Says whether a parameter of a `ModulatedSiren` is a scale or a shift."""
    return name.startswith(("scales.", "shifts."))


def _check(sizes: Sequence[int], first_frequency: float, frequency: float) -> None:
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"Expected `sizes` to be two or more positive sizes, but got {tuple(sizes)}.")
    if min(first_frequency, frequency) <= 0:
        raise ValueError(f"Expected positive frequencies, but got {first_frequency} and {frequency}.")


def _dense(fan_in: int, fan_out: int, frequency: float | None, generator: torch.Generator | None) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out)
    reach = 1 / fan_in if frequency is None else (6 / fan_in) ** 0.5 / frequency
    nn.init.uniform_(layer.weight, -reach, reach, generator=generator)
    nn.init.uniform_(layer.bias, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
    return layer
