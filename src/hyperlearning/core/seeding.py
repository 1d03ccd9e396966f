"""Independent random streams from one seed and a purpose."""

import hashlib

import torch


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Makes a generator whose numbers depend on the seed and on what they are for, and on nothing else.

    Args:
        seed: The run's seed, 0 or more.
        purpose: A name such as "training functions". Two purposes never share numbers.
        device: Where the numbers are drawn.

    Returns:
        A freshly seeded generator.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"Expected `seed` to be non-negative, but got {seed}.")
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "little"))
