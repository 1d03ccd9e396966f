"""The hyper step: a few inner updates of every life, then an update of what is innate.

One function holds the published algorithms. With `update_every` inner updates between outer ones, the last `through` of
which the outer gradient is taken through:

| algorithm | update_every | through |
| --- | --- | --- |
| Hyper-Learning (DANs) | 1 | 0 |
| WarpGrad, exact | 1 | 1 |
| dissertation, chapter 5 | one task | 0, with `inner_innate_lr` |
| OML, ANML | whole trajectory | whole trajectory |
| ANML as shipped | whole trajectory | 0 |
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.params import Params, detach
from hyperlearning.learners.inner_loop import Learner, inner_step, inner_steps
from hyperlearning.learners.optimizers import Optimizer, clip_by_global_norm

_START = "start."


class HyperState(NamedTuple):
    """All numbers that a hyper step changes.

    Attributes:
        plastic: The members' plastic parameters, (M, ...) each.
        plastic_moments: The inner optimizer's moments.
        innate: The innate parameters.
        start: Plastic parameters at birth, without a member axis.
        outer_moments: The outer optimizer's moments.
    """

    plastic: Params
    plastic_moments: Params
    innate: Params
    start: Params
    outer_moments: Params


class HyperBatch(NamedTuple):
    """The data of one hyper step.

    Attributes:
        inputs: What the members learn from, (batches, M, batch, ...), each batch for `steps_per_batch` updates; a single one
            where that is more than `update_every`.
        targets: Its targets.
        hyper_inputs: What the hyper-loss is measured on, (num_outer_updates, M, hyper_batch, ...).
        hyper_targets: Its targets.
    """

    inputs: Tensor
    targets: Tensor
    hyper_inputs: Tensor
    hyper_targets: Tensor


class HyperLosses(NamedTuple):
    """The losses of one hyper step.

    Attributes:
        task: Each member's task loss before its last inner update, (M,).
        hyper: Each member's hyper-loss at the last outer update, (M,).
    """

    task: Tensor
    hyper: Tensor


HyperStep = Callable[[HyperState, HyperBatch, Tensor], tuple[HyperState, HyperLosses]]
"""Maps a state, a batch and the outer rate (a tensor of no dimensions) to a new state and losses."""


def make_hyper_step(
    learner: Learner,
    outer: Optimizer,
    *,
    update_every: int = 1,
    through: int = 0,
    num_outer_updates: int = 1,
    learn_start: bool = False,
    inner_innate_lr: float = 0.0,
    max_grad_norm: float | None = None,
    steps_per_batch: int = 1,
) -> HyperStep:
    """Makes the function that advances a population by `update_every` inner updates and what follows them.

    The outer gradient is that of the members' mean hyper-loss `1/M sum_m L_m(theta_m, phi)` with respect to the innate
    parameters phi, through the last `through` inner updates exactly and through none before them. A learned start gets
    the gradient with respect to theta at the beginning of that window, averaged over members: exact when the window is
    the whole life, first order (as first-order MAML) otherwise.

    Args:
        learner: Network, loss and inner optimizer.
        outer: The outer optimizer.
        update_every: Inner updates between outer ones, at least 1.
        through: Inner updates that the outer gradient is taken through, 0 to `update_every`.
        num_outer_updates: Outer updates in a row, each on data of its own, at least 1 (the notebook has 50).
        learn_start: Whether the plastic parameters at birth are learned too.
        inner_innate_lr: Rate at which innate parameters also follow the members' mean task loss in the inner loop
            (dissertation, equation 5.5); 0 for not at all.
        max_grad_norm: Bound on the outer gradient's joint norm; none if absent.
        steps_per_batch: Inner updates in a row that use the same batch; it divides `update_every` or is a multiple of it.

    Returns:
        The hyper step, a pure function.

    Raises:
        ValueError: If settings are out of range or contradict one another.

    Source: "Continual Learning with Deep Artificial Neurons", algorithm 1; dissertation, equation 6.6.
    """
    _check(update_every, through, num_outer_updates, inner_innate_lr)
    num_batches = batches_per_outer_step(update_every, steps_per_batch)

    plain = update_every - through
    # Which of the outer step's batches each of its updates uses.
    batch_of = [step * num_batches // update_every for step in range(update_every)]

    def step(state: HyperState, batch: HyperBatch, outer_lr: Tensor) -> tuple[HyperState, HyperLosses]:
        _check_batch(batch, num_batches, num_outer_updates)
        before, window = _Updates(batch, batch_of[:plain]), _Updates(batch, batch_of[plain:])
        plastic, moments, innate, task = _before_window(learner, state, before, inner_innate_lr)
        start, outer_moments = state.start, state.outer_moments
        look = None
        for hyper_inputs, hyper_targets in zip(batch.hyper_inputs, batch.hyper_targets, strict=True):
            look = _look(
                learner, plastic, moments, innate, window, (hyper_inputs, hyper_targets), learn_start=learn_start
            )
            learned = outer_parameters(innate, start, learn_start=learn_start)
            learned, outer_moments = _outer_update(outer, learned, look.grads, outer_moments, outer_lr, max_grad_norm)
            innate = {name: learned[name] for name in innate}
            start = {name: learned.get(_START + name, tensor) for name, tensor in start.items()}
        assert look is not None
        after = HyperState(detach(look.plastic), detach(look.moments), innate, start, outer_moments)
        return after, HyperLosses(task if look.task is None else look.task, look.hyper)

    return step


class _Updates(NamedTuple):
    """Some updates of an outer step, and the batch that each uses."""

    batch: HyperBatch
    batch_of: list[int]

    def data(self, learner: Learner, innate: Params) -> tuple[Tensor, Tensor]:
        """Inputs, each batch prepared once, and targets of every update."""
        first, last = self.batch_of[0], self.batch_of[-1] + 1
        inputs = learner.prepared(innate, self.batch.inputs[first:last])
        targets = self.batch.targets[first:last]
        if last - first == len(self.batch_of):
            return inputs, targets
        index = torch.tensor(self.batch_of, device=inputs.device) - first
        return inputs[index], targets[index]


class _Look(NamedTuple):
    """Where a window of inner updates leads, and how the hyper-loss there depends on what is innate."""

    plastic: Params
    moments: Params
    task: Tensor | None
    hyper: Tensor
    grads: list[Tensor]


def _look(
    learner: Learner,
    plastic: Params,
    moments: Params,
    innate: Params,
    window: _Updates,
    hyper: tuple[Tensor, Tensor],
    *,
    learn_start: bool,
) -> _Look:
    innate = {name: tensor.detach().requires_grad_() for name, tensor in innate.items()}
    plastic = {name: tensor.detach().requires_grad_(learn_start) for name, tensor in plastic.items()}
    final, task = plastic, None
    if window.batch_of:
        data = window.data(learner, innate)
        final, moments, tasks = inner_steps(learner, plastic, moments, innate, *data, create_graph=True)
        task = tasks[-1].detach()
    hyper_loss_fn = learner.hyper_loss_fn or learner.loss_fn
    losses = hyper_loss_fn(learner.forward(final, innate, learner.prepared(innate, hyper[0])), hyper[1])
    wanted = [*innate.values(), *(plastic.values() if learn_start else ())]
    grads = list(torch.autograd.grad(losses.mean(), wanted))
    # A member's share of the mean already carries 1/M, so the members' sum is the average gradient of the start.
    num_innate = len(innate)
    grads = grads[:num_innate] + [grad.sum(0) for grad in grads[num_innate:]]
    return _Look(final, moments, task, losses.detach(), grads)


def _before_window(
    learner: Learner, state: HyperState, updates: _Updates, inner_innate_lr: float
) -> tuple[Params, Params, Params, Tensor]:
    """Makes the inner updates that no outer gradient passes through; returns the last one's task losses too."""
    plastic, moments, innate = state.plastic, state.plastic_moments, state.innate
    if not updates.batch_of:
        return plastic, moments, innate, torch.empty(0)
    if inner_innate_lr:
        inputs, targets = updates.data(learner._replace(prepare=None), innate)
        return _steps_of_both(learner, plastic, moments, innate, inputs, targets, inner_innate_lr)
    with torch.no_grad():
        inputs, targets = updates.data(learner, innate)
    plastic, moments, task = inner_steps(learner, plastic, moments, innate, inputs, targets)
    return plastic, moments, innate, task[-1]


def outer_parameters(innate: Params, start: Params, *, learn_start: bool) -> Params:
    """Names all that the outer optimizer changes: the innate parameters, and the start if it is learned."""
    return {**innate, **({_START + name: tensor for name, tensor in start.items()} if learn_start else {})}


def _outer_update(
    outer: Optimizer,
    learned: Params,
    grads: Sequence[Tensor],
    moments: Params,
    outer_lr: Tensor,
    max_grad_norm: float | None,
) -> tuple[Params, Params]:
    with torch.no_grad():
        grads = clip_by_global_norm(grads, max_grad_norm) if max_grad_norm is not None else grads
        return outer.update(detach(learned), grads, moments, outer_lr)


def _steps_of_both(
    learner: Learner,
    plastic: Params,
    moments: Params,
    innate: Params,
    inputs: Tensor,
    targets: Tensor,
    inner_innate_lr: float,
) -> tuple[Params, Params, Params, Tensor]:
    """Inner updates in which innate parameters follow the members' mean task loss too (dissertation, equation 5.5)."""
    loss = torch.empty(0)
    for step_inputs, step_targets in zip(inputs, targets, strict=True):
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in innate.items()}
        prepared = learner.prepared(leaves, step_inputs)
        task = learner.loss_fn(learner.forward(plastic, leaves, prepared), step_targets)
        grads = torch.autograd.grad(task.mean(), list(leaves.values()))
        step_inputs = prepared.detach()
        plastic, moments, loss = inner_step(learner, plastic, moments, innate, step_inputs, step_targets)
        innate = {
            name: tensor - inner_innate_lr * grad for (name, tensor), grad in zip(innate.items(), grads, strict=True)
        }
    return plastic, moments, innate, loss


def batches_per_outer_step(update_every: int, steps_per_batch: int) -> int:
    """Counts the batches that `update_every` updates use, at least one.

    Raises:
        ValueError: If neither number divides the other.
    """
    if steps_per_batch < 1 or (update_every % steps_per_batch and steps_per_batch % update_every):
        raise ValueError(
            f"Expected `steps_per_batch` to divide `update_every` ({update_every}) or to be a multiple of it, "
            f"but got {steps_per_batch}."
        )
    return max(1, update_every // steps_per_batch)


def _check_batch(batch: HyperBatch, num_batches: int, num_outer_updates: int) -> None:
    if len(batch.inputs) != num_batches or len(batch.hyper_inputs) != num_outer_updates:
        raise ValueError(
            f"Expected a batch of {num_batches} inner batches and {num_outer_updates} outer ones, "
            f"but got {len(batch.inputs)} and {len(batch.hyper_inputs)}."
        )


def _check(update_every: int, through: int, num_outer_updates: int, inner_innate_lr: float) -> None:
    if update_every < 1 or num_outer_updates < 1:
        raise ValueError(
            "Expected `update_every` and `num_outer_updates` to be at least 1, "
            f"but got {update_every} and {num_outer_updates}."
        )
    if not 0 <= through <= update_every:
        raise ValueError(f"Expected `through` to be between 0 and `update_every` ({update_every}), but got {through}.")
    if through and inner_innate_lr:
        raise ValueError(
            "Expected `inner_innate_lr` to be 0 when `through` is not: the outer gradient does not pass through "
            f"inner updates of innate parameters, but got {inner_innate_lr}."
        )
    if inner_innate_lr < 0:
        raise ValueError(f"Expected `inner_innate_lr` to be non-negative, but got {inner_innate_lr}.")
