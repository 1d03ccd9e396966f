"""Continual penalties: what is added to the loss so that a later task moves little of what earlier ones need.

A penalty is three functions: `init` makes its state at birth, `penalty` is the term itself, and `consolidate` takes in a task
that has just been learned. The state is named tensors, so that it is saved as moments are.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.optimizers import Optimizer


class Penalty(NamedTuple):
    """A continual penalty.

    Attributes:
        init: Maps plastic parameters at birth, (M, ...) each, to the state.
        penalty: Maps state and plastic parameters to one number per member, (M,), differentiable by the parameters.
        consolidate: Maps state, learner, plastic parameters at a task's end, innate ones, and the task's prepared inputs and
            targets, (steps, M, batch, ...), to the state after it.
        gradient: Maps state and plastic parameters to what `penalty` has for gradients, in their order. Absent: by autograd,
            which for a square costs several times the arithmetic.
    """

    init: Callable[[Params], Params]
    penalty: Callable[[Params, Params], Tensor]
    consolidate: Callable[[Params, Learner, Params, Params, Tensor, Tensor], Params]
    gradient: Callable[[Params, Params], Sequence[Tensor]] | None = None


def live_with_penalty(
    learner: Learner,
    plastic: Params,
    innate: Params,
    inputs: Float[Tensor, "steps members batch *inputs"],
    targets: Shaped[Tensor, "steps members batch *targets"],
    *,
    penalty: Penalty,
    num_tasks: int,
) -> Iterator[Params]:
    """Lives one life per member, task after task; the inner optimizer begins anew with each. Only the state is kept of a task.

    Args:
        learner: Network, loss and inner optimizer. Its `unroll` is not used: it knows no penalty.
        plastic: Plastic parameters at birth, (M, ...) each.
        innate: Innate parameters.
        inputs: Training data, tasks one after another and equally long.
        targets: Its targets.
        penalty: What is added to the loss.
        num_tasks: How many tasks.

    Yields:
        The plastic parameters before the first update and after every one.

    Raises:
        ValueError: If the tasks do not divide the steps.
    """
    if num_tasks < 1 or len(inputs) % num_tasks:
        raise ValueError(f"Expected `num_tasks` to divide {len(inputs)} steps, but got {num_tasks}.")
    with torch.no_grad():
        inputs = learner.prepared(innate, inputs)
    learner = learner._replace(prepare=None, unroll=None)
    state = penalty.init(plastic)
    yield plastic
    for task_inputs, task_targets in zip(inputs.chunk(num_tasks), targets.chunk(num_tasks), strict=True):
        pulled = learner._replace(optimizer=_pulled(learner.optimizer, penalty, state))
        life = live(pulled, plastic, innate, task_inputs, task_targets)
        next(life)
        for plastic in life:
            yield plastic
        state = penalty.consolidate(state, learner, plastic, innate, task_inputs, task_targets)


def _pulled(inner: Optimizer, penalty: Penalty, state: Params) -> Optimizer:
    """Adds the penalty's gradient to the loss's before the inner optimizer's update."""
    gradient = penalty.gradient or partial(_by_autograd, penalty.penalty)

    def update(params: Params, grads: Sequence[Tensor], moments: Params, lr: Tensor | float) -> tuple[Params, Params]:
        pulls = gradient(state, params)
        return inner.update(params, [grad + pull for grad, pull in zip(grads, pulls, strict=True)], moments, lr)

    return Optimizer(init=inner.init, update=update)


def _by_autograd(penalty: Callable[[Params, Params], Tensor], state: Params, plastic: Params) -> Sequence[Tensor]:
    with torch.enable_grad():
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in plastic.items()}
        return torch.autograd.grad(penalty(state, leaves).sum(), list(leaves.values()))
