"""The two baselines that need another stream: joint training has it mixed, replay has some of the past in every batch.

Shape suffixes: T batches, M members, B batch, R replayed.
"""

import torch
from jaxtyping import Int64
from torch import Tensor

from hyperlearning.streams.hyper_stream import Stream


def joint(stream: Stream, source: torch.Generator, *, whole_batches: bool = True) -> Stream:
    """Puts a stream in random order: the same data as one task, the upper baseline of learning task after task.

    Args:
        stream: What is met, task after task.
        source: Source of the order.
        whole_batches: Whether batches stay as they are, in an order that all members share. If not, examples are mixed over
            all batches, in an order of each member's own.
    """
    if whole_batches:
        order = torch.randperm(len(stream.inputs), generator=source, device=source.device)
        return Stream(stream.inputs[order], stream.targets[order])
    num_batches, num_members, batch_size = stream.inputs.shape[:3]
    draws = torch.rand(num_members, num_batches * batch_size, generator=source, device=source.device)
    order_TMB = draws.argsort(-1).unflatten(1, (num_batches, batch_size)).transpose(0, 1)
    return Stream(_picked(stream.inputs, order_TMB), _picked(stream.targets, order_TMB))


def replay(
    stream: Stream,
    source: torch.Generator,
    *,
    replay_batch_size: int,
    buffer_size: int | None = None,
    steps_per_batch: int = 1,
) -> Stream:
    """Adds to every update a batch drawn from what has been met.

    Args:
        stream: What is met, one batch after another.
        source: Source of the choices.
        replay_batch_size: Examples replayed at an update, R.
        buffer_size: Examples stored at most: a reservoir of what came before, each example in it with equal probability and
            the same ones for all members (an update before which nothing was met repeats its own examples). If absent,
            everything met is stored, the batch at hand included, and each member draws for itself.
        steps_per_batch: Updates in a row that a batch is used for, each with a draw of its own.

    Returns:
        A stream of `T * steps_per_batch` batches of `B + R` examples.
    """
    if buffer_size is None:
        picks_TMR = _from_all_met(stream, source, replay_batch_size, steps_per_batch)
    else:
        picks_TMR = _from_reservoir(stream, source, replay_batch_size, steps_per_batch, buffer_size)

    def extended(values: Tensor) -> Tensor:
        met = values.repeat_interleave(steps_per_batch, dim=0) if steps_per_batch > 1 else values
        return torch.cat([met, _picked(values, picks_TMR)], dim=2)

    return Stream(extended(stream.inputs), extended(stream.targets))


def _from_all_met(stream: Stream, source: torch.Generator, size: int, steps_per_batch: int) -> Int64[Tensor, "T M R"]:
    num_batches, num_members, batch_size = stream.inputs.shape[:3]
    shape = (steps_per_batch, num_members, size)
    draws = [
        torch.randint((batch + 1) * batch_size, shape, generator=source, device=source.device)
        for batch in range(num_batches)
    ]
    return torch.cat(draws)


def _from_reservoir(
    stream: Stream, source: torch.Generator, size: int, steps_per_batch: int, buffer_size: int
) -> Int64[Tensor, "T M R"]:
    """Reservoir sampling: once the buffer is full, example n takes a place in it with probability `buffer_size / n`."""

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=source, device=source.device)

    num_batches, num_members, batch_size = stream.inputs.shape[:3]
    buffer: list[int] = []
    picks = []
    for batch in range(num_batches):
        own = range(batch * batch_size, (batch + 1) * batch_size)
        stored = torch.tensor(buffer or own, device=source.device)
        picks.append(stored[draw(len(stored), steps_per_batch, size)])
        for example in own:
            if len(buffer) < buffer_size:
                buffer.append(example)
            elif (slot := int(draw(example + 1, 1))) < buffer_size:
                buffer[slot] = example
    return torch.cat(picks)[:, None].expand(-1, num_members, -1)


def _picked(values: Tensor, places_TMR: Int64[Tensor, "T M R"]) -> Tensor:
    """Examples (T', M, R, ...) of each member at places counted over all batches (T, M, B, ...)."""
    member = torch.arange(values.shape[1], device=places_TMR.device)[:, None]
    return values.transpose(0, 1).flatten(1, 2)[member, places_TMR]
