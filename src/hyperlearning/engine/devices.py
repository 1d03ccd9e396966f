"""Where a run computes: one setting, resolved once, for all tensors made while it lasts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

DeviceName = Literal["auto", "cpu", "cuda"]


def resolve(device: DeviceName) -> torch.device:
    """Finds the device of a setting: with "auto" a GPU if there is one.

    Raises:
        ValueError: If a GPU is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("Expected a CUDA device for `device` cuda, but PyTorch finds none; use --device cpu.")
    return torch.device("cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu")


@contextmanager
def computing_on(device: torch.device, *, threads: int) -> Iterator[None]:
    """Makes a device the one that new tensors are on, and sets the number of threads, while the block runs.

    Args:
        device: The device. A CPU is the default as it is, without the cost of redirecting every call.
        threads: CPU threads of an operation.
    """
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        if device.type == torch.get_default_device().type:
            yield
        else:
            with device:
                yield
    finally:
        torch.set_num_threads(threads_before)
