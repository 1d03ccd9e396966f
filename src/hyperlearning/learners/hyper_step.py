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
        inputs: What the members learn from, (update_every, M, batch, ...).
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

    Returns:
        The hyper step, a pure function.

    Raises:
        ValueError: If settings are out of range or contradict one another.

    Source: "Continual Learning with Deep Artificial Neurons", algorithm 1; dissertation, equation 6.6.
    """
    _check(update_every, through, num_outer_updates, inner_innate_lr)

    def step(state: HyperState, batch: HyperBatch, outer_lr: Tensor) -> tuple[HyperState, HyperLosses]:
        plain = update_every - through
        plastic, moments, innate = state.plastic, state.plastic_moments, state.innate
        if inner_innate_lr:
            plastic, moments, innate, task = _steps_of_both(learner, plastic, moments, innate, batch, inner_innate_lr)
        elif plain:
            plastic, moments, task = inner_steps(
                learner, plastic, moments, innate, batch.inputs[:plain], batch.targets[:plain]
            )

        start, outer_moments = state.start, state.outer_moments
        for hyper_inputs, hyper_targets in zip(batch.hyper_inputs, batch.hyper_targets, strict=True):
            innate = {name: tensor.detach().requires_grad_() for name, tensor in innate.items()}
            window = {name: tensor.detach().requires_grad_(learn_start) for name, tensor in plastic.items()}
            final, final_moments = window, moments
            if through:
                final, final_moments, task = inner_steps(
                    learner, window, moments, innate, batch.inputs[plain:], batch.targets[plain:], create_graph=True
                )
            hyper = learner.loss_fn(learner.forward(final, innate, hyper_inputs), hyper_targets)
            wanted = {**innate, **(window if learn_start else {})}
            grads = list(torch.autograd.grad(hyper.mean(), list(wanted.values())))
            learned = {**innate, **({_START + name: start[name] for name in window} if learn_start else {})}
            # A member's share of the mean already carries 1/M, so the members' sum is the average gradient.
            grads = [g.sum(0) if name in window and learn_start else g for name, g in zip(wanted, grads, strict=True)]
            learned, outer_moments = _outer_update(outer, learned, grads, outer_moments, outer_lr, max_grad_norm)
            innate = {name: learned[name] for name in innate}
            if learn_start:
                start = {name: learned[_START + name] for name in start}

        if through:
            plastic, moments = detach(final), detach(final_moments)
        return HyperState(plastic, moments, innate, start, outer_moments), HyperLosses(task[-1], hyper.detach())

    return step


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
    learner: Learner, plastic: Params, moments: Params, innate: Params, batch: HyperBatch, inner_innate_lr: float
) -> tuple[Params, Params, Params, Tensor]:
    """Inner updates in which innate parameters follow the members' mean task loss too (dissertation, equation 5.5)."""
    losses = []
    for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in innate.items()}
        task = learner.loss_fn(learner.forward(plastic, leaves, inputs), targets)
        grads = torch.autograd.grad(task.mean(), list(leaves.values()))
        plastic, moments, loss = inner_step(learner, plastic, moments, innate, inputs, targets)
        innate = {
            name: tensor - inner_innate_lr * grad for (name, tensor), grad in zip(innate.items(), grads, strict=True)
        }
        losses.append(loss)
    return plastic, moments, innate, torch.stack(losses)


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
