"""Independent random streams from one seed and a purpose."""

import hashlib

import torch


def generator(seed: int, purpose: str) -> torch.Generator:
    """Makes a generator whose numbers depend on the seed and on what they are for, and on nothing else.

    Args:
        seed: The run's seed, 0 or more.
        purpose: A name such as "training functions". Two purposes never share numbers.

    Returns:
        A freshly seeded generator where new tensors are made, or on the CPU for a device that draws none of its own.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"Expected `seed` to be non-negative, but got {seed}.")
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    device = torch.get_default_device()
    return torch.Generator(device if device.type == "cuda" else "cpu").manual_seed(int.from_bytes(digest[:7], "little"))
