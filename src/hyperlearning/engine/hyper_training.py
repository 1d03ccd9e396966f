"""Hyper-training: the outer loop over epochs of lives, as a generator whose state can be saved at any step."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.params import Params, stack_members
from hyperlearning.learners.hyper_step import (
    HyperBatch,
    HyperLosses,
    HyperState,
    HyperStep,
    batches_per_outer_step,
    outer_parameters,
)
from hyperlearning.learners.optimizers import Optimizer
from hyperlearning.streams.hyper_stream import HyperStream

Reset = Literal["same", "redraw", "learned"]
Schedule = Literal["cosine", "constant"]

_FIRST_SHARE = 1e-2
"""Share of the outer rate that a warm-up begins with, so that its first steps do something."""


class NonFiniteLossError(RuntimeError):
    """A loss became NaN or infinite."""


class Cursor(NamedTuple):
    """Where hyper-training stands.

    Attributes:
        phase: Phases finished.
        epoch: Epochs finished in the current phase.
        outer_step: Outer steps finished in the current epoch.
        generator_state: The generator's state at the current epoch's beginning; the epoch's data follow from it.
    """

    phase: int
    epoch: int
    outer_step: int
    generator_state: Tensor


class TrainingState(NamedTuple):
    """All that is needed to go on to the same numbers.

    Attributes:
        hyper: Parameters and moments.
        cursor: Where it stands.
    """

    hyper: HyperState
    cursor: Cursor


class Phase(NamedTuple):
    """What a phase of hyper-training is made of besides its state.

    Attributes:
        step: The hyper step.
        inner: The inner optimizer, for its moments at birth.
        outer: The outer optimizer, whose moments begin anew with the phase.
        learn_start: Whether the outer optimizer changes the plastic parameters at birth too.
        draw: Draws an epoch's lives.
        births: Makes plastic parameters (M, ...) at birth from the start (by name: the order of names may differ after a
            checkpoint), the epoch's lives and a generator; every member
            copies the start if absent.
        population: Lives side by side.
        update_every: Inner updates between outer ones.
        num_epochs: Epochs of the phase.
        steps_per_epoch: Outer steps of an epoch.
        outer_lr: Maps the share of outer steps done, 0 to 1, to the outer rate.
        steps_per_batch: Inner updates in a row that use the same batch.
    """

    step: HyperStep
    inner: Optimizer
    outer: Optimizer
    learn_start: bool
    draw: Callable[[torch.Generator], HyperStream]
    births: Callable[[Params, HyperStream, torch.Generator], Params] | None
    population: int
    update_every: int
    num_epochs: int
    steps_per_epoch: int
    outer_lr: Callable[[float], float]
    steps_per_batch: int = 1


class Progress(NamedTuple):
    """One outer step.

    Attributes:
        state: The state after it.
        losses: The members' losses.
        outer_lr: The outer rate used.
        epoch_ended: Whether it was the epoch's last.
    """

    state: TrainingState
    losses: HyperLosses
    outer_lr: float
    epoch_ended: bool


def begin(innate: Params, start: Params, generator: torch.Generator) -> TrainingState:
    """Makes the state before the first phase."""
    return TrainingState(HyperState({}, {}, innate, start, {}), Cursor(0, 0, 0, generator.get_state()))


def hyper_train(phases: Sequence[Phase], state: TrainingState, generator: torch.Generator) -> Iterator[Progress]:
    """Trains what is innate, epoch by epoch: births, lives with outer updates, and again.

    Args:
        phases: What it is made of, one phase after another.
        state: Where to begin or go on.
        generator: Source of all data; its state is taken from the cursor.

    Yields:
        One record per outer step.

    Raises:
        NonFiniteLossError: If a loss is not finite; the message says at which step.

    Source: dissertation, section 6.3, algorithm "Hyper-Learning".
    """
    generator.set_state(state.cursor.generator_state)
    for number in range(state.cursor.phase, len(phases)):
        for progress in _epochs(phases[number], state, generator):
            state = progress.state
            yield progress


def _epochs(phase: Phase, state: TrainingState, generator: torch.Generator) -> Iterator[Progress]:
    hyper, cursor = state
    if cursor.epoch == cursor.outer_step == 0:
        learned = outer_parameters(hyper.innate, hyper.start, learn_start=phase.learn_start)
        hyper = hyper._replace(outer_moments=phase.outer.init(learned))
    for epoch in range(cursor.epoch, phase.num_epochs):
        stream = phase.draw(generator)
        births = _births(phase, hyper.start, stream, generator)
        if cursor.outer_step == 0:
            hyper = hyper._replace(plastic=births, plastic_moments=phase.inner.init(births))
        for step in range(cursor.outer_step, phase.steps_per_epoch):
            lr = phase.outer_lr((epoch * phase.steps_per_epoch + step) / (phase.num_epochs * phase.steps_per_epoch))
            rate = torch.tensor(lr, device=stream.inputs.device)
            hyper, losses = phase.step(hyper, _slice(stream, step, phase), rate)
            _check_finite(losses, cursor.phase, epoch, step)
            cursor = _next(cursor, phase, generator)
            yield Progress(TrainingState(hyper, cursor), losses, lr, epoch_ended=cursor.outer_step == 0)


def _next(cursor: Cursor, phase: Phase, generator: torch.Generator) -> Cursor:
    if cursor.outer_step + 1 < phase.steps_per_epoch:
        return cursor._replace(outer_step=cursor.outer_step + 1)
    if cursor.epoch + 1 < phase.num_epochs:
        return Cursor(cursor.phase, cursor.epoch + 1, 0, generator.get_state())
    return Cursor(cursor.phase + 1, 0, 0, generator.get_state())


def outer_schedule(name: Schedule, outer_lr: float, *, warmup_share: float) -> Callable[[float], float]:
    """Makes the outer rate's schedule: a linear warm-up, then constant or a half cosine down to 0.

    Args:
        name: "cosine" or "constant".
        outer_lr: The highest rate.
        warmup_share: Share of all outer steps spent warming up, 0 or more and below 1.

    Raises:
        ValueError: If a number is out of range.
    """
    if not 0 <= warmup_share < 1 or outer_lr <= 0:
        raise ValueError(
            f"Expected `warmup_share` in [0, 1) and a positive `outer_lr`, but got {warmup_share} and {outer_lr}."
        )

    def rate(done: float) -> float:
        if done < warmup_share:
            return outer_lr * max(done / warmup_share, _FIRST_SHARE)
        left = (done - warmup_share) / (1 - warmup_share)
        return outer_lr * (0.5 * (1 + math.cos(math.pi * left)) if name == "cosine" else 1.0)

    return rate


def pack(state: TrainingState) -> dict[str, Tensor]:
    """Names every tensor of a state, for a checkpoint."""
    packed = {
        f"{part}/{name}": tensor for part, params in state.hyper._asdict().items() for name, tensor in params.items()
    }
    return packed | {"generator": state.cursor.generator_state}


def unpack(tensors: Params, phase: int, epoch: int, outer_step: int) -> TrainingState:
    """Rebuilds the state that `pack` took apart."""
    parts: dict[str, Params] = {part: {} for part in HyperState._fields}
    for key, tensor in tensors.items():
        part, _, name = key.partition("/")
        if part in parts:
            parts[part][name] = tensor
    return TrainingState(HyperState(**parts), Cursor(phase, epoch, outer_step, tensors["generator"]))


def _births(phase: Phase, start: Params, stream: HyperStream, generator: torch.Generator) -> Params:
    return phase.births(start, stream, generator) if phase.births else stack_members(start, phase.population)


def _slice(stream: HyperStream, step: int, phase: Phase) -> HyperBatch:
    first = step * phase.update_every // phase.steps_per_batch
    now = slice(first, first + batches_per_outer_step(phase.update_every, phase.steps_per_batch))
    return HyperBatch(stream.inputs[now], stream.targets[now], stream.hyper_inputs[step], stream.hyper_targets[step])


def _check_finite(losses: HyperLosses, phase: int, epoch: int, step: int) -> None:
    if not bool(torch.isfinite(losses.hyper.sum() + losses.task.sum())):
        raise NonFiniteLossError(
            f"Expected finite losses, but got a task loss of {losses.task.max().item()} and a hyper-loss of "
            f"{losses.hyper.max().item()} at outer step {step} of epoch {epoch} in phase {phase}. "
            "Lower `inner_lr` or `outer_lr`, or set `max_grad_norm`."
        )
