"""Lives of OML's regression benchmark: sine waves met one after another, the input naming the task beside the point.

A task is `y = a * sin(x + phase)` with a uniform in 5 * (.02, 1.02), the phase in (0, pi) and x in (-5, 5). An input is a one-hot
code of the task's place in its life, followed by x.

Source: "Meta-Learning Representations for Continual Learning" (Javed and White, 2019); numbers from the authors' code.

Shape suffixes: L lives, T tasks of a life, P points.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.streams.hyper_stream import HyperStream, Stream

_AMPLITUDES = (0.1, 5.1)
_PHASES = (0.0, math.pi)


@dataclass(frozen=True)
class SineTasks:
    """The tasks of some lives, `y = amplitude * sin(x + phase)` each.

    Attributes:
        amplitudes: (L, T).
        phases: (L, T), radians.
    """

    amplitudes: Float[Tensor, "lives tasks"]
    phases: Float[Tensor, "lives tasks"]

    def __call__(
        self, tasks: Int64[Tensor, "*steps lives points"], points: Float[Tensor, "*steps lives points"]
    ) -> Float[Tensor, "*steps lives points"]:
        """Evaluates, for the life in each row, the tasks named at the points."""
        lives = torch.arange(len(self.amplitudes), device=tasks.device)[:, None]
        return self.amplitudes[lives, tasks] * torch.sin(points + self.phases[lives, tasks])

    @property
    def num_tasks(self) -> int:
        """Tasks of a life, T."""
        return self.amplitudes.shape[1]


def draw_sine_tasks(num_lives: int, num_tasks: int, generator: torch.Generator) -> SineTasks:
    """Draws the tasks of some lives.

    Raises:
        ValueError: If a number is not positive.
    """
    if num_lives < 1 or num_tasks < 1:
        raise ValueError(f"Expected positive `num_lives` and `num_tasks`, but got {num_lives} and {num_tasks}.")
    amplitudes, phases = (
        low + (high - low) * torch.rand(num_lives, num_tasks, generator=generator, device=generator.device)
        for low, high in (_AMPLITUDES, _PHASES)
    )
    return SineTasks(amplitudes, phases)


def encode(
    tasks: Int64[Tensor, "*batch"], points: Float[Tensor, "*batch"], *, capacity: int
) -> Float[Tensor, "*batch inputs"]:
    """Makes inputs of tasks and points: a one-hot code of `capacity` places, then the point.

    Raises:
        ValueError: If a task has no place.
    """
    if tasks.numel() and int(tasks.max()) >= capacity:
        raise ValueError(f"Expected `capacity` to be above every task, but got {capacity} for task {int(tasks.max())}.")
    return torch.cat([one_hot(tasks, capacity).to(points), points[..., None]], dim=-1)


def draw_sine_stream(
    functions: SineTasks, generator: torch.Generator, *, updates_per_task: int, batch_size: int, capacity: int
) -> Stream:
    """Draws what lives learn from: task after task, points uniform over the whole domain.

    Args:
        functions: The tasks of every life.
        generator: Source of the points.
        updates_per_task: Batches of each task.
        batch_size: Points of a batch.
        capacity: Places of the one-hot code.

    Returns:
        A stream of `num_tasks * updates_per_task` batches.
    """
    order = torch.arange(functions.num_tasks, device=generator.device).repeat_interleave(updates_per_task)
    tasks = order[:, None, None].expand(-1, len(functions.amplitudes), batch_size)
    return _observe(functions, tasks, _uniform(tuple(tasks.shape), generator), capacity)


def draw_sine_hyper_stream(
    functions: SineTasks,
    generator: torch.Generator,
    *,
    updates_per_task: int,
    batch_size: int,
    points_per_task: int,
    capacity: int,
) -> HyperStream:
    """Draws whole lives and the points of one hyper-loss at the end of each.

    The hyper-loss covers all tasks alike. Its points are stratified: one uniform in each of `points_per_task` equal parts of
    the domain, which leaves the expectation as it is and lowers the variance.

    Args:
        functions: The tasks of every life.
        generator: Source of the points.
        updates_per_task: Batches of each task.
        batch_size: Points of a batch.
        points_per_task: Points of the hyper-loss on each task.
        capacity: Places of the one-hot code.
    """
    stream = draw_sine_stream(
        functions, generator, updates_per_task=updates_per_task, batch_size=batch_size, capacity=capacity
    )
    num_lives, num_tasks = functions.amplitudes.shape
    shape = (1, 1, num_lives, num_tasks, points_per_task)
    jitter = torch.rand(shape, generator=generator, device=generator.device)
    unit = (torch.arange(points_per_task, device=generator.device) + jitter) / points_per_task
    tasks = torch.arange(num_tasks, device=generator.device)[:, None].expand(shape)
    return HyperStream(*stream, *_observe(functions, tasks.flatten(-2), _place(unit.flatten(-2)), capacity))


def draw_mixed_hyper_stream(
    functions: SineTasks, generator: torch.Generator, *, num_updates: int, batch_size: int, capacity: int
) -> HyperStream:
    """Draws lives in which every batch has points of all tasks, and a hyper-loss on as many after every update.

    Args:
        functions: The tasks of every life.
        generator: Source of tasks and points.
        num_updates: Batches of a life.
        batch_size: Points of a batch and of a hyper-loss.
        capacity: Places of the one-hot code.
    """

    def draw(*leading: int) -> Stream:
        shape = (*leading, len(functions.amplitudes), batch_size)
        tasks = torch.randint(functions.num_tasks, shape, generator=generator, device=generator.device)
        return _observe(functions, tasks, _uniform(shape, generator), capacity)

    return HyperStream(*draw(num_updates), *draw(num_updates, 1))


def sine_grid(
    functions: SineTasks, *, points_per_task: int, capacity: int
) -> tuple[Float[Tensor, "lives points inputs"], Float[Tensor, "lives points 1"]]:
    """Makes inputs at the centres of equal cells of the domain, task after task, and their targets."""
    num_lives, num_tasks = functions.amplitudes.shape
    device = functions.amplitudes.device
    unit = (torch.arange(points_per_task, device=device) + 0.5) / points_per_task
    tasks = torch.arange(num_tasks, device=device).repeat_interleave(points_per_task).expand(num_lives, -1)
    grid = _observe(functions, tasks, _place(unit.repeat(num_tasks)).expand(num_lives, -1), capacity)
    return grid.inputs, grid.targets


def _observe(functions: SineTasks, tasks: Tensor, points: Tensor, capacity: int) -> Stream:
    return Stream(encode(tasks, points, capacity=capacity), functions(tasks, points)[..., None])


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return _place(torch.rand(shape, generator=generator, device=generator.device))


def _place(unit: Tensor) -> Tensor:
    low, high = DOMAIN
    return low + (high - low) * unit
