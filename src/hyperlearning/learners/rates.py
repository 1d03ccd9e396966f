"""How a rate goes in the course of training."""

import math


def warmed_cosine(share: float, warm_up: float) -> float:
    """The rate over its highest: up from 0 in a straight line, then along half a cosine to 0.

    Args:
        share: Of the updates that are made, from 0 to 1.
        warm_up: Share of updates in which it rises, below 1.
    """
    if share < warm_up:
        return (share + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (share - warm_up) / (1 - warm_up)))
