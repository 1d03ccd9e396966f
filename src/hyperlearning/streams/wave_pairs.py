"""Lives of SB-MCL's sine benchmark: from a noisy wave to the same wave at another phase, both as numbers at equal distances.

A task is a frequency f in (.1, 1.1) and two phases in (0, 2 pi); an example of it is an amplitude a in (.5, 1.5):

`x = a sin(2 pi f t + phase of inputs) + noise`, `y = a sin(2 pi f t + phase of targets)`

at times t from 0 to 10; noise has a standard deviation of .1 and is on inputs alone.

Source: "Learning to Continually Learn with the Bayesian Principle" (Lee, Jeon, Son and Kim, 2024); numbers from its code.

Shape suffixes: L lives, T tasks of a life, N examples of a task, P points of a wave.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.streams.hyper_stream import HyperStream

DURATION = 10.0
NOISE_SD = 0.1
_FREQUENCIES = (0.1, 1.1)
_AMPLITUDES = (0.5, 1.5)
_PHASES = (0.0, 2 * math.pi)


@dataclass(frozen=True)
class WavePairs:
    """The tasks of some lives.

    Attributes:
        frequencies: (L, T), in waves a unit of time.
        input_phases: (L, T), radians.
        target_phases: Likewise.
    """

    frequencies: Float[Tensor, "lives tasks"]
    input_phases: Float[Tensor, "lives tasks"]
    target_phases: Float[Tensor, "lives tasks"]

    def __call__(
        self, amplitudes_LTN: Float[Tensor, "lives tasks examples"], *, num_points: int
    ) -> tuple[Float[Tensor, "lives tasks examples points"], Float[Tensor, "lives tasks examples points"]]:
        """Evaluates examples of every task: inputs without noise, and targets."""
        times = torch.linspace(0, DURATION, num_points, device=amplitudes_LTN.device)
        angles_LT1P = (2 * math.pi * self.frequencies[..., None] * times)[:, :, None]
        inputs, targets = (
            amplitudes_LTN[..., None] * torch.sin(angles_LT1P + phases[..., None, None])
            for phases in (self.input_phases, self.target_phases)
        )
        return inputs, targets


def draw_wave_pairs(num_lives: int, num_tasks: int, generator: torch.Generator) -> WavePairs:
    """Draws the tasks of some lives.

    Raises:
        ValueError: If a number is not positive.
    """
    if num_lives < 1 or num_tasks < 1:
        raise ValueError(f"Expected positive `num_lives` and `num_tasks`, but got {num_lives} and {num_tasks}.")
    ranges = (_FREQUENCIES, _PHASES, _PHASES)
    return WavePairs(*(_uniform((num_lives, num_tasks), bounds, generator) for bounds in ranges))


def draw_pair_stream(
    functions: WavePairs, generator: torch.Generator, *, num_shots: int, num_queries: int, num_points: int
) -> HyperStream:
    """Draws whole lives, one example at a time and task after task, and further examples of every task at the end of each.

    Args:
        functions: The tasks of every life.
        generator: Source of amplitudes and noise.
        num_shots: Examples of each task to learn.
        num_queries: Further ones.
        num_points: Points of a wave.

    Returns:
        A stream of `T * num_shots` batches of one, and `T * num_queries` examples of one outer update, task after task.
    """
    learned = _draw(functions, generator, num_shots, num_points)
    queries = _draw(functions, generator, num_queries, num_points)
    inputs, targets = (waves.flatten(1, 2).transpose(0, 1)[:, :, None] for waves in learned)
    hyper_inputs, hyper_targets = (waves.flatten(1, 2)[None, None] for waves in queries)
    return HyperStream(inputs, targets, hyper_inputs, hyper_targets)


def _draw(
    functions: WavePairs, generator: torch.Generator, num_examples: int, num_points: int
) -> tuple[Tensor, Tensor]:
    amplitudes_LTN = _uniform((*functions.frequencies.shape, num_examples), _AMPLITUDES, generator)
    inputs_LTNP, targets_LTNP = functions(amplitudes_LTN, num_points=num_points)
    noise_LTNP = torch.randn(inputs_LTNP.shape, generator=generator, device=generator.device)
    return inputs_LTNP + NOISE_SD * noise_LTNP, targets_LTNP


def _uniform(shape: tuple[int, ...], bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)
