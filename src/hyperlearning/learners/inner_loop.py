"""The inner loop: plastic parameters learn by plain backpropagation while innate ones stay as they are."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hyperlearning.core.losses import LossFn
from hyperlearning.core.params import Params
from hyperlearning.learners.optimizers import Optimizer
from hyperlearning.learners.population import PopulationForward, Prepare

Unroll = Callable[[Params, Params, Tensor, Tensor, float], tuple[Params, Tensor]]


class Learner(NamedTuple):
    """What a life needs besides its parameters and data.

    Attributes:
        forward: Runs the population (`population_forward`).
        loss_fn: One loss per member.
        optimizer: The inner optimizer.
        inner_lr: Its rate, the papers' alpha.
        unroll: Makes many updates in one call where there is a kernel for it (`fused_unroll`): maps plastic, innate,
            inputs (k, M, B, ...), targets and rate to plastic parameters k updates later and losses (k, M), and is
            differentiable with respect to plastic and innate parameters.
        prepare: What innate parameters alone make of inputs before any plastic one meets them (the features of innate
            convolutions, the gates of a neuromodulator). It does not change within a life, so it is computed for many
            steps at once, and `forward` takes its result. Absent: `forward` takes inputs as they are.
        hyper_loss_fn: The loss that outer gradients are of; the task loss if absent.
    """

    forward: PopulationForward
    loss_fn: LossFn
    optimizer: Optimizer
    inner_lr: float
    unroll: Unroll | None = None
    prepare: Prepare | None = None
    hyper_loss_fn: LossFn | None = None

    def prepared(self, innate: Params, inputs: Tensor) -> Tensor:
        """What `forward` takes in place of these inputs."""
        return inputs if self.prepare is None else self.prepare(innate, inputs)


def inner_step(
    learner: Learner,
    plastic: Params,
    moments: Params,
    innate: Params,
    inputs: Float[Tensor, "members batch *inputs"],
    targets: Shaped[Tensor, "members batch *targets"],
    *,
    create_graph: bool = False,
) -> tuple[Params, Params, Float[Tensor, " members"]]:
    """Makes one update of every member's plastic parameters: `theta <- theta - alpha * dL/dtheta`.

    Inputs are prepared ones (`Learner.prepared`).

    Args:
        learner: Network, loss and inner optimizer.
        plastic: Plastic parameters, (M, ...) each.
        moments: The inner optimizer's moments.
        innate: Innate parameters, shared by all members.
        inputs: One batch for every member.
        targets: Its targets.
        create_graph: Whether an outer gradient may pass through the update. If not, the result is detached.

    Returns:
        New plastic parameters, new moments, and each member's loss before the update.

    Source: "Continual Learning with Deep Artificial Neurons", algorithm 1, lines 9-11.
    """
    leaves = {
        name: tensor if create_graph and tensor.requires_grad else tensor.detach().requires_grad_()
        for name, tensor in plastic.items()
    }
    losses = learner.loss_fn(learner.forward(leaves, innate, inputs), targets)
    grads = torch.autograd.grad(losses.sum(), list(leaves.values()), create_graph=create_graph)
    with torch.set_grad_enabled(create_graph):
        plastic, moments = learner.optimizer.update(leaves, grads, moments, learner.inner_lr)
    return plastic, moments, losses.detach()


def inner_steps(
    learner: Learner,
    plastic: Params,
    moments: Params,
    innate: Params,
    inputs: Float[Tensor, "steps members batch *inputs"],
    targets: Shaped[Tensor, "steps members batch *targets"],
    *,
    create_graph: bool = False,
) -> tuple[Params, Params, Float[Tensor, "steps members"]]:
    """Makes several updates, as `inner_step` does one after another.

    Returns:
        New plastic parameters, new moments, and each member's loss before each update.
    """
    if learner.unroll is not None:
        with torch.set_grad_enabled(create_graph):
            plastic, losses = learner.unroll(plastic, innate, inputs, targets, learner.inner_lr)
        return plastic, moments, losses
    losses = []
    for step_inputs, step_targets in zip(inputs, targets, strict=True):
        plastic, moments, loss = inner_step(
            learner, plastic, moments, innate, step_inputs, step_targets, create_graph=create_graph
        )
        losses.append(loss)
    return plastic, moments, torch.stack(losses)


def live(
    learner: Learner,
    plastic: Params,
    innate: Params,
    inputs: Float[Tensor, "steps members batch *inputs"],
    targets: Shaped[Tensor, "steps members batch *targets"],
    *,
    every: int = 1,
    steps_per_batch: int = 1,
) -> Iterator[Params]:
    """Lives one life per member: yields the plastic parameters before the first update and after every `every` batches.

    Args:
        learner: Network, loss and inner optimizer.
        plastic: Plastic parameters at birth, (M, ...) each.
        innate: Innate parameters, which stay as they are.
        inputs: One batch after another.
        targets: Their targets.
        every: Batches between looks.
        steps_per_batch: Updates in a row that each batch is used for.
    """
    moments = learner.optimizer.init(plastic)
    yield plastic
    for some_inputs, some_targets in zip(inputs.split(every), targets.split(every), strict=True):
        with torch.no_grad():
            some_inputs = learner.prepared(innate, some_inputs)
        plastic, moments, _ = inner_steps(
            learner,
            plastic,
            moments,
            innate,
            in_steps(some_inputs, steps_per_batch),
            in_steps(some_targets, steps_per_batch),
        )
        yield plastic


def in_steps(batches: Tensor, steps_per_batch: int) -> Tensor:
    """Repeats every batch for the updates that it is used for: (T, ...) to (T * steps_per_batch, ...)."""
    return batches if steps_per_batch == 1 else batches.repeat_interleave(steps_per_batch, dim=0)
