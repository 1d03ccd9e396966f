"""Lives on functions never trained on, lived and scored.

Shape suffixes: F functions (lives), T tasks, P points of the evaluation grid.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params, stack_members
from hyperlearning.core.rounding import rounded
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import (
    DOMAIN,
    SineDistribution,
    SineMixtures,
    on_grid,
)
from hyperlearning.evaluation import continual
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.streams.hyper_stream import Stream
from hyperlearning.streams.incremental_functions import (
    draw_stream,
)
from hyperlearning.systems.regression.settings import StreamSettings

POINTS_PER_TASK = 50
"""Evaluation points in each window, at the centres of equal cells."""


def noise_of(functions: SineMixtures, distribution: SineDistribution) -> Float[Tensor, " functions"] | None:
    """Standard deviation of the noise on each function's training targets."""
    if distribution.noise == 0:
        return None
    values = on_grid(functions, 201)
    return distribution.noise * (values.amax(1) - values.amin(1))


class HeldOut(NamedTuple):
    """Functions never trained on, the stream each is met in, and where predictions are compared.

    Attributes:
        stream: Training data of F lives, in order.
        grid: (F, P, 1), ordered, `POINTS_PER_TASK` in each window.
        values: (F, P, 1), without noise.
    """

    stream: Stream
    grid: Float[Tensor, "functions points 1"]
    values: Float[Tensor, "functions points 1"]


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
    return HeldOut(stream, grid, functions(grid[..., 0])[..., None])


def evaluation_grid(num_tasks: int) -> Float[Tensor, "points 1"]:
    """Points at the centres of equal cells of the domain, `POINTS_PER_TASK` in each window."""
    num_points = POINTS_PER_TASK * num_tasks
    low, high = DOMAIN
    return (low + (high - low) * (torch.arange(num_points) + 0.5) / num_points)[:, None]


class Lives(NamedTuple):
    """What became of F lives.

    Attributes:
        errors: (F, T + 1, T), mean squared error on task j after learning i tasks.
        predictions: (T + 1, F, P), over the whole grid before learning and after every task.
    """

    errors: Float[Tensor, "functions stages tasks"]
    predictions: Float[Tensor, "stages functions points"]


def deploy(
    learner: Learner, start: Params, innate: Params, held_out: HeldOut, *, num_tasks: int, stream: Stream | None = None
) -> Lives:
    """Lives one life per held-out function, all from the same start, and looks at it after every task.

    Args:
        learner: Network, loss and inner optimizer.
        start: Plastic parameters at birth, without a member axis.
        innate: Innate parameters, shared.
        held_out: The functions.
        num_tasks: Tasks of a life.
        stream: What is learned from in place of the held-out stream, such as its shuffled copy.
    """
    stream = stream or held_out.stream
    return lives_from(watch(learner, start, innate, stream, held_out.grid, num_tasks=num_tasks), held_out, num_tasks)


def watch(
    learner: Learner, start: Params, innate: Params, stream: Stream, grid: Tensor, *, num_tasks: int
) -> Float[Tensor, "stages functions points"]:
    """Lives F lives and returns what they predict on a grid (F, P, ...) before learning and after every task."""
    predictions = []
    with torch.no_grad():
        grid = learner.prepared(innate, grid)
    births = stack_members(start, len(grid))
    every = len(stream.inputs) // num_tasks
    for plastic in live(learner, births, innate, stream.inputs, stream.targets, every=every):
        with torch.no_grad():
            predictions.append(learner.forward(plastic, innate, grid)[..., 0])
    return torch.stack(predictions)


def lives_from(predictions: Float[Tensor, "stages functions points"], held_out: HeldOut, num_tasks: int) -> Lives:
    """Compares predictions with the functions' values, task by task."""
    squared = (predictions - held_out.values[..., 0]).square()
    errors = squared.unflatten(-1, (num_tasks, -1)).mean(-1)
    return Lives(errors.transpose(0, 1), predictions)


def settled(
    errors: Float[Tensor, "functions stages tasks"], *, instead: float = 1.0
) -> tuple[Float[Tensor, "functions stages tasks"], int]:
    """Gives lives that diverged an error `instead`, more than predicting 0 throughout could cost, and counts them."""
    diverged = ~torch.isfinite(errors).flatten(1).all(1)
    return torch.where(diverged[:, None, None], instead, errors), int(diverged.sum())


def scores_of(errors: Float[Tensor, "functions stages tasks"]) -> dict[str, list[float]]:
    """Every score of every life, by name, to be averaged and paired."""
    scores = {
        "total_error": continual.total_error(errors),
        "memory_error": continual.memory_error(errors),
        "forgetting": continual.forgetting(errors),
        "backward_transfer": continual.backward_transfer(errors),
    }
    return {name: rounded(values, 8) for name, values in scores.items()}
