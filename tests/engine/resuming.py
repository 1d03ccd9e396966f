"""What must hold of every job that fits: it goes on to the same bits."""

from collections.abc import Callable
from typing import Any

import torch

from hyperlearning.engine.job import Packed


def check_goes_on_to_the_same_bits(make: Callable[[], Any]):
    """Stops a job after every step, and goes on with another, made alike, whose source of numbers stands elsewhere."""
    job = make()
    steps = list(job.steps(job.begin()))
    for stop, step in enumerate(steps, start=1):
        other = make()
        other.source.manual_seed(99)  # All that counts is in the state.
        packed = job.pack(step.state)
        rest = list(other.steps(other.unpack(Packed(dict(packed.tensors), dict(packed.facts)))))
        assert len(rest) == len(steps) - stop
        last = rest[-1].state if rest else step.state
        found = job.pack(last).tensors
        assert all(torch.equal(found[name], tensor) for name, tensor in job.pack(steps[-1].state).tensors.items())
