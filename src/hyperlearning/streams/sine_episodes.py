"""Few-shot regression: a few points of a sine wave, the support, and others of the same wave, the query.

Source: Finn et al., "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks" (2017), section 5.1.

Shape suffixes: E episodes, K support points, Q query points.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

AMPLITUDES = (0.1, 5.0)
PHASES = (0.0, math.pi)
DOMAIN = (-5.0, 5.0)


class FunctionEpisodes(NamedTuple):
    """Points of functions, a function an episode.

    Attributes:
        support_x: Where it is known.
        support_y: What it is there.
        query_x: Where it is asked for.
        query_y: What it is there.
    """

    support_x: Float[Tensor, "E K 1"]
    support_y: Float[Tensor, "E K 1"]
    query_x: Float[Tensor, "E Q 1"]
    query_y: Float[Tensor, "E Q 1"]


def draw_sine_episodes(
    source: torch.Generator, *, num_episodes: int, num_shots: int, num_queries: int
) -> FunctionEpisodes:
    """Draws waves `a sin(x - p)`, amplitudes from .1 to 5 and phases from 0 to pi, and points from -5 to 5, all uniform.

    >>> episodes = draw_sine_episodes(torch.Generator(), num_episodes=3, num_shots=10, num_queries=20)
    >>> episodes.support_y.shape, episodes.query_x.shape
    (torch.Size([3, 10, 1]), torch.Size([3, 20, 1]))

    Args:
        source: Source of random numbers.
        num_episodes: Waves.
        num_shots: Points of the support.
        num_queries: Points of the query.

    Raises:
        ValueError: If a number is not positive.
    """
    if min(num_episodes, num_shots, num_queries) < 1:
        raise ValueError(
            f"Expected episodes, shots and queries of each, but got {num_episodes}, {num_shots} and {num_queries}."
        )
    amplitudes, phases = (_uniform((num_episodes, 1, 1), bounds, source) for bounds in (AMPLITUDES, PHASES))
    points = _uniform((num_episodes, num_shots + num_queries, 1), DOMAIN, source)
    values = amplitudes * (points - phases).sin()
    (support_x, query_x), (support_y, query_y) = (each.split([num_shots, num_queries], 1) for each in (points, values))
    return FunctionEpisodes(support_x, support_y, query_x, query_y)


def _uniform(shape: tuple[int, ...], bounds: tuple[float, float], source: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=source, device=source.device)
