"""Lives on functions never trained on.

Shape suffixes: F functions (lives), T tasks, P points of the evaluation grid, C outputs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN, noise_of
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.streams import orders
from hyperlearning.streams.hyper_stream import Stream
from hyperlearning.streams.incremental_functions import draw_stream
from hyperlearning.systems.regression.settings import StreamSettings

POINTS_PER_TASK = 50
"""Evaluation points in each window, at the centres of equal cells."""


class HeldOut(NamedTuple):
    """Functions never trained on, the stream each is met in, and where predictions are compared.

    Attributes:
        stream: Training data of F lives, in order.
        grid: (F, P, ...), ordered, `POINTS_PER_TASK` of each task.
        values: (F, P, C), without noise.
        num_tasks: Tasks of a life.
    """

    stream: Stream
    grid: Float[Tensor, "functions points inputs"]
    values: Float[Tensor, "functions points outputs"]
    num_tasks: int

    def joint(self, seed: int) -> "HeldOut":
        """The same functions, their batches in random order: what joint training learns from."""
        return self._replace(stream=orders.joint(self.stream, generator(seed, "joint order")))

    def with_replay(self, seed: int, *, buffer_size: int, replay_batch_size: int) -> "HeldOut":
        """The same functions, examples from a buffer of the past in every batch."""
        source = generator(seed, "replay")
        stream = orders.replay(self.stream, source, buffer_size=buffer_size, replay_batch_size=replay_batch_size)
        return self._replace(stream=stream)


def hold_out(settings: StreamSettings, num_functions: int, *, seed: int, purpose: str = "held-out") -> HeldOut:
    """Draws functions to deploy on; they depend on the seed and purpose alone, so methods meet the same ones."""
    source = generator(seed, f"{purpose} functions")
    distribution = settings.distribution(deployment=True)
    functions = distribution.sample(num_functions, source)
    stream = draw_stream(
        functions,
        settings.windows,
        source,
        num_members=num_functions,
        updates_per_task=settings.updates_per_task,
        batch_size=settings.batch_size,
        noise_sd=noise_of(functions, distribution),
    )
    grid = evaluation_grid(settings.num_tasks).expand(num_functions, -1, 1).contiguous()
    return HeldOut(stream, grid, functions(grid[..., 0])[..., None], settings.num_tasks)


def evaluation_grid(num_tasks: int) -> Float[Tensor, "points 1"]:
    """Points at the centres of equal cells of the domain, `POINTS_PER_TASK` in each window."""
    num_points = POINTS_PER_TASK * num_tasks
    low, high = DOMAIN
    return (low + (high - low) * (torch.arange(num_points) + 0.5) / num_points)[:, None]


class LifeErrors(NamedTuple):
    """What became of F lives.

    Attributes:
        errors: (F, T + 1, T), mean squared error on task j after learning i tasks.
        predictions: (T + 1, F, P * C), over the whole grid before learning and after every task; all numbers of a point together.
    """

    errors: Float[Tensor, "functions stages tasks"]
    predictions: Float[Tensor, "stages functions numbers"]


def deploy(learner: Learner, start: Params, innate: Params, held_out: HeldOut) -> LifeErrors:
    """Lives one life per held-out function, all from the same start, and looks at it after every task.

    Args:
        learner: Network, loss and inner optimizer.
        start: Plastic parameters at birth, without a member axis.
        innate: Innate parameters, shared.
        held_out: The functions.
    """
    births, stream = stack_members(start, len(held_out.grid)), held_out.stream
    every = len(stream.inputs) // held_out.num_tasks
    life = live(learner, births, innate, stream.inputs, stream.targets, every=every)
    return errors_of(watch(life, learner, innate, held_out.grid), held_out)


def watch(
    life: Iterator[Params], learner: Learner, innate: Params, grid: Tensor
) -> Float[Tensor, "stages functions numbers"]:
    """Returns what F lives predict on a grid (F, P, ...) at every look, as (looks, F, P * C)."""
    predictions = []
    with torch.no_grad():
        grid = learner.prepared(innate, grid)
    for plastic in life:
        with torch.no_grad():
            predictions.append(learner.forward(plastic, innate, grid).flatten(-2))
    return torch.stack(predictions)


def errors_of(predictions: Float[Tensor, "stages functions numbers"], held_out: HeldOut) -> LifeErrors:
    """Compares predictions with the functions' values, task by task."""
    squared = (predictions - held_out.values.flatten(1)).square()
    errors = squared.unflatten(-1, (held_out.num_tasks, -1)).mean(-1)
    return LifeErrors(errors.transpose(0, 1), predictions)
