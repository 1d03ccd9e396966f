"""Hyper-training: the outer loop over epochs of lives, as a job whose state can be saved after any step."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.errors import NonFiniteLossError
from hyperlearning.core.params import Params, on_default_device, stack_members
from hyperlearning.engine.job import Packed, Step
from hyperlearning.engine.lines import EpochLine
from hyperlearning.learners.hyper_step import (
    HyperBatch,
    HyperLosses,
    HyperState,
    HyperStep,
    batches_per_outer_step,
    make_hyper_step,
    outer_parameters,
)
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import Optimizer
from hyperlearning.learners.population import Backend, compile_step
from hyperlearning.streams.hyper_stream import HyperStream

Reset = Literal["same", "redraw", "learned"]
Schedule = Literal["cosine", "constant"]
Births = Callable[[Params, HyperStream, torch.Generator], Params]

_FIRST_SHARE = 1e-2
"""Share of the outer rate that a warm-up begins with, so that its first steps do something."""


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


class LossSums(NamedTuple):
    """Losses summed since the last line of the record, so that an epoch resumed halfway has the same means.

    Attributes:
        task: Members' mean task losses, summed over outer steps.
        hyper: Likewise their hyper-losses.
    """

    task: Tensor
    hyper: Tensor


class TrainingState(NamedTuple):
    """All that is needed to go on to the same numbers.

    Attributes:
        hyper: Parameters and moments.
        cursor: Where it stands.
        sums: Losses since the last line.
    """

    hyper: HyperState
    cursor: Cursor
    sums: LossSums


class Phase(NamedTuple):
    """What a phase of hyper-training is made of besides its state; `hyper_phase` makes it.

    Attributes:
        step: The hyper step.
        inner: The inner optimizer, for its moments at birth.
        outer: The outer optimizer, whose moments begin anew with the phase.
        learn_start: Whether the outer optimizer changes the plastic parameters at birth too.
        draw: Draws an epoch's lives.
        births: Makes plastic parameters (M, ...) at birth from the start (by name: the order of names may differ after a
            checkpoint), the epoch's lives and a generator; every member copies the start if absent.
        population: Lives side by side.
        update_every: Inner updates between outer ones.
        num_epochs: Epochs of the phase.
        steps_per_epoch: Outer steps of an epoch.
        outer_lr: Maps the share of outer steps done, 0 to 1, to the outer rate.
        steps_per_batch: Inner updates in a row that use the same batch.
        compiled: Whether the hyper step is.
    """

    step: HyperStep
    inner: Optimizer
    outer: Optimizer
    learn_start: bool
    draw: Callable[[torch.Generator], HyperStream]
    births: Births | None
    population: int
    update_every: int
    num_epochs: int
    steps_per_epoch: int
    outer_lr: Callable[[float], float]
    steps_per_batch: int = 1
    compiled: bool = False

    @property
    def updates_per_epoch(self) -> int:
        """Inner updates of a life."""
        return self.steps_per_epoch * self.update_every


def hyper_phase(
    learner: Learner,
    outer: Optimizer,
    *,
    draw: Callable[[torch.Generator], HyperStream],
    population: int,
    num_epochs: int,
    num_updates: int,
    outer_lr: Callable[[float], float],
    update_every: int = 1,
    through: int = 0,
    num_outer_updates: int = 1,
    learn_start: bool = False,
    inner_innate_lr: float = 0.0,
    max_grad_norm: float | None = None,
    steps_per_batch: int = 1,
    births: Births | None = None,
    backend: Backend = "eager",
) -> Phase:
    """Makes a phase and its hyper step from one set of numbers.

    Args:
        learner: Network, losses and inner optimizer.
        outer: The outer optimizer.
        draw: Draws an epoch's lives.
        population: Lives side by side.
        num_epochs: Epochs of the phase.
        num_updates: Inner updates of a life.
        outer_lr: Maps the share of outer steps done to the outer rate.
        update_every: This and what follows to `steps_per_batch`: as for `make_hyper_step`.
        through: Likewise.
        num_outer_updates: Likewise.
        learn_start: Likewise.
        inner_innate_lr: Likewise.
        max_grad_norm: Likewise.
        steps_per_batch: Likewise.
        births: Makes plastic parameters at birth; every member copies the start if absent.
        backend: Whether the step is compiled, as for `compile_step`.

    Raises:
        ValueError: If settings are out of range or contradict one another.
    """
    step = make_hyper_step(
        learner,
        outer,
        update_every=update_every,
        through=through,
        num_outer_updates=num_outer_updates,
        learn_start=learn_start,
        inner_innate_lr=inner_innate_lr,
        max_grad_norm=max_grad_norm,
        steps_per_batch=steps_per_batch,
    )
    num_calls = num_epochs * num_updates // update_every
    chosen = compile_step(step, learner.forward, backend=backend, num_calls=num_calls)
    return Phase(
        step=chosen,
        inner=learner.optimizer,
        outer=outer,
        learn_start=learn_start,
        draw=draw,
        births=births,
        population=population,
        update_every=update_every,
        num_epochs=num_epochs,
        steps_per_epoch=num_updates // update_every,
        outer_lr=outer_lr,
        steps_per_batch=steps_per_batch,
        compiled=chosen is not step,
    )


@dataclass(frozen=True, kw_only=True)
class HyperTraining:
    """The job that trains what is innate, epoch by epoch: births, lives with outer updates, and again.

    Source: dissertation, section 6.3, algorithm "Hyper-Learning".

    Attributes:
        phases: What it is made of, one phase after another.
        initial: The state before the first phase.
        source: Source of all data; its state is taken from the cursor.
        record_every: Epochs between lines, each of which holds the mean losses since the one before.
        title: What is being done.
        unit: What is counted.
    """

    phases: tuple[Phase, ...]
    initial: TrainingState
    source: torch.Generator
    record_every: int = 1
    title: str = "hyper-training"
    unit: str = "updates"

    @property
    def total(self) -> int:
        """Inner updates of a life, over all epochs. Those of different phases are of very different cost."""
        return self._updates_of(len(self.phases))

    @property
    def num_epochs(self) -> int:
        """Epochs of all phases."""
        return sum(phase.num_epochs for phase in self.phases)

    def begin(self) -> TrainingState:
        """The state before the first phase."""
        return self.initial

    def done(self, state: TrainingState) -> int:
        """Counts a life's inner updates over all phases."""
        cursor = state.cursor
        before = self._updates_of(cursor.phase)
        if cursor.phase == len(self.phases):
            return before
        phase = self.phases[cursor.phase]
        return before + cursor.epoch * phase.updates_per_epoch + cursor.outer_step * phase.update_every

    def _updates_of(self, phases: int) -> int:
        """Inner updates of a life in the first so many phases."""
        return sum(phase.num_epochs * phase.updates_per_epoch for phase in self.phases[:phases])

    def steps(self, state: TrainingState) -> Iterator[Step[TrainingState]]:
        """Goes on from a state, one outer step after another.

        Raises:
            NonFiniteLossError: If a loss is not finite; the message says at which step.
        """
        self.source.set_state(state.cursor.generator_state)
        sums = state.sums
        for number in range(state.cursor.phase, len(self.phases)):
            phase, before = self.phases[number], sum(phase.num_epochs for phase in self.phases[:number])
            for progress in _epochs(phase, state.hyper, state.cursor, self.source):
                losses, epoch, line = progress.losses, None, None
                sums = LossSums(sums.task + losses.task.mean(), sums.hyper + losses.hyper.mean())
                if progress.cursor.outer_step == 0:
                    epoch = before + progress.epoch
                    if epoch % self.record_every == 0 or epoch == self.num_epochs:
                        num_steps = (epoch % self.record_every or self.record_every) * phase.steps_per_epoch
                        line, sums = _line(epoch, progress, sums, num_steps), _zero()
                state = TrainingState(progress.hyper, progress.cursor, sums)
                note = f"hyper-loss {float(losses.hyper.mean()):.4f}"
                yield Step(state, self.done(state), note, line, epoch, self._updates_of(number + 1))

    def pack(self, state: TrainingState) -> Packed:
        """Names every tensor of a state, and says where it stands."""
        tensors = {
            f"{part}/{name}": tensor
            for part, params in state.hyper._asdict().items()
            for name, tensor in params.items()
        }
        tensors |= {"generator": state.cursor.generator_state}
        tensors |= {f"sums/{name}": tensor for name, tensor in state.sums._asdict().items()}
        cursor = state.cursor
        return Packed(tensors, {"phase": cursor.phase, "epoch": cursor.epoch, "outer_step": cursor.outer_step})

    def unpack(self, packed: Packed) -> TrainingState:
        """Rebuilds the state that `pack` took apart."""
        parts: dict[str, Params] = {part: {} for part in (*HyperState._fields, "sums")}
        for key, tensor in packed.tensors.items():
            part, _, name = key.partition("/")
            if part in parts:
                parts[part][name] = on_default_device(tensor)
        sums = LossSums(**parts.pop("sums"))
        at = packed.facts
        cursor = Cursor(at["phase"], at["epoch"], at["outer_step"], packed.tensors["generator"])
        return TrainingState(HyperState(**parts), cursor, sums)


def hyper_training(
    phases: tuple[Phase, ...], innate: Params, start: Params, source: torch.Generator, *, record_every: int = 1
) -> HyperTraining:
    """Makes the job that hyper-trains from these parameters on.

    Args:
        phases: What it is made of.
        innate: Innate parameters before it.
        start: Plastic parameters at birth before it.
        source: Source of all data, in the state that the first epoch begins with.
        record_every: Epochs between lines of the record.
    """
    initial = TrainingState(HyperState({}, {}, innate, start, {}), Cursor(0, 0, 0, source.get_state()), _zero())
    return HyperTraining(phases=phases, initial=initial, source=source, record_every=record_every)


class _Progress(NamedTuple):
    """One outer step: what came of it, and the epochs of its phase that are finished or, within one, begun."""

    hyper: HyperState
    cursor: Cursor
    losses: HyperLosses
    outer_lr: float
    epoch: int


def _epochs(phase: Phase, hyper: HyperState, cursor: Cursor, source: torch.Generator) -> Iterator[_Progress]:
    if cursor.epoch == cursor.outer_step == 0:
        learned = outer_parameters(hyper.innate, hyper.start, learn_start=phase.learn_start)
        hyper = hyper._replace(outer_moments=phase.outer.init(learned))
    for epoch in range(cursor.epoch, phase.num_epochs):
        stream = phase.draw(source)
        births = _births(phase, hyper.start, stream, source)
        if cursor.outer_step == 0:
            hyper = hyper._replace(plastic=births, plastic_moments=phase.inner.init(births))
        for step in range(cursor.outer_step, phase.steps_per_epoch):
            lr = phase.outer_lr((epoch * phase.steps_per_epoch + step) / (phase.num_epochs * phase.steps_per_epoch))
            rate = torch.tensor(lr, device=stream.inputs.device)
            hyper, losses = phase.step(hyper, _slice(stream, step, phase), rate)
            _check_finite(losses, cursor.phase, epoch, step)
            cursor = _next(cursor, phase, source)
            yield _Progress(hyper, cursor, losses, lr, epoch + 1)


def _line(epoch: int, progress: _Progress, sums: LossSums, num_steps: int) -> EpochLine:
    return EpochLine(
        epoch=epoch,
        task_loss=float(sums.task) / num_steps,
        hyper_loss=float(sums.hyper) / num_steps,
        final_hyper_loss=float(progress.losses.hyper.mean()),
        outer_lr=progress.outer_lr,
    )


def _zero() -> LossSums:
    return LossSums(torch.zeros(()), torch.zeros(()))


def _next(cursor: Cursor, phase: Phase, source: torch.Generator) -> Cursor:
    if cursor.outer_step + 1 < phase.steps_per_epoch:
        return cursor._replace(outer_step=cursor.outer_step + 1)
    if cursor.epoch + 1 < phase.num_epochs:
        return Cursor(cursor.phase, cursor.epoch + 1, 0, source.get_state())
    return Cursor(cursor.phase + 1, 0, 0, source.get_state())


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
