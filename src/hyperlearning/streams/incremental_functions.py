"""Lives of incremental regression: a function met window by window of its domain, each window once.

Shape suffixes: T steps, U outer updates at a step, M members, B batch.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.streams.hyper_stream import HyperStream, Stream

HyperScope = Literal["memory", "memory_and_future", "stream"]

Functions = Callable[[Float[Tensor, "*steps members points"]], Float[Tensor, "*steps members points"]]
"""Member m's target function, evaluated at row m of the inputs."""


class Windows(NamedTuple):
    """A domain cut into consecutive windows of equal width, one a task.

    Attributes:
        low: Where the domain begins.
        high: Where it ends.
        num_tasks: How many windows.
    """

    low: float
    high: float
    num_tasks: int

    @property
    def width(self) -> float:
        """Width of one window."""
        return (self.high - self.low) / self.num_tasks


def draw_stream(
    functions: Functions,
    windows: Windows,
    generator: torch.Generator,
    *,
    num_members: int,
    updates_per_task: int,
    batch_size: int,
    noise_sd: Float[Tensor, " members"] | None = None,
) -> Stream:
    """Draws what members learn from: points uniform in the current window, one window after another.

    Args:
        functions: The members' target functions.
        windows: The tasks.
        generator: Source of the points.
        num_members: Lives side by side, M.
        updates_per_task: Steps in each window.
        batch_size: Points per step, B.
        noise_sd: Standard deviation of Gaussian noise on each member's targets; none if absent.

    Returns:
        A stream of `num_tasks * updates_per_task` steps.
    """
    task = torch.arange(windows.num_tasks, device=generator.device).repeat_interleave(updates_per_task)
    unit = torch.rand(len(task), num_members, batch_size, generator=generator, device=generator.device)
    points = windows.low + windows.width * (task[:, None, None] + unit)
    return Stream(points[..., None], _observe(functions, points, noise_sd, generator)[..., None])


def draw_hyper_stream(
    functions: Functions,
    windows: Windows,
    generator: torch.Generator,
    *,
    num_members: int,
    updates_per_task: int,
    batch_size: int,
    hyper_batch_size: int,
    scope: HyperScope = "stream",
    update_every: int = 1,
    num_outer_updates: int = 1,
    noise_sd: Float[Tensor, " members"] | None = None,
) -> HyperStream:
    """Draws lives and the points of every hyper-loss.

    Points of a hyper-loss are stratified: one uniform in each of `hyper_batch_size` equal parts of its range, which leaves
    the expectation as it is and lowers the variance.

    Args:
        functions: The members' target functions.
        windows: The tasks.
        generator: Source of the points.
        num_members: Lives side by side, M.
        updates_per_task: Steps in each window.
        batch_size: Points per inner step.
        hyper_batch_size: Points per hyper-loss.
        scope: What the hyper-loss covers: "memory" (windows met so far, the current one included), "memory_and_future"
            (half of the points from those and half from the windows to come, the paper's two terms), or "stream"
            (the whole domain, the paper's practice).
        update_every: Inner updates between outer ones.
        num_outer_updates: Outer updates in a row, U.
        noise_sd: Standard deviation of Gaussian noise on each member's targets; none if absent.

    Raises:
        ValueError: If `update_every` does not divide the life, or the batch cannot be halved.
    """
    num_steps = windows.num_tasks * updates_per_task
    if num_steps % update_every:
        raise ValueError(
            f"Expected `update_every` to divide the {num_steps} updates of a life, but got {update_every}."
        )
    if scope == "memory_and_future" and hyper_batch_size % 2:
        raise ValueError(f"Expected an even `hyper_batch_size` for memory and future, but got {hyper_batch_size}.")
    stream = draw_stream(
        functions,
        windows,
        generator,
        num_members=num_members,
        updates_per_task=updates_per_task,
        batch_size=batch_size,
        noise_sd=noise_sd,
    )
    last_step = torch.arange(update_every - 1, num_steps, update_every, device=generator.device)
    seen = (last_step // updates_per_task + 1) / windows.num_tasks
    shape = (len(last_step), num_outer_updates, num_members, hyper_batch_size)
    unit = _place(_stratified(shape, generator), seen[:, None, None, None], scope)
    points = windows.low + (windows.high - windows.low) * unit
    return HyperStream(*stream, points[..., None], _observe(functions, points, noise_sd, generator)[..., None])


def _observe(
    functions: Functions, points: Tensor, noise_sd: Tensor | None, generator: torch.Generator
) -> Float[Tensor, "*steps members points"]:
    values = functions(points)
    if noise_sd is None:
        return values
    noise = torch.randn(values.shape, generator=generator, device=values.device)
    return values + noise_sd[:, None] * noise


def _stratified(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    jitter = torch.rand(shape, generator=generator, device=generator.device)
    return (torch.arange(shape[-1], device=generator.device) + jitter) / shape[-1]


def _place(unit: Tensor, seen: Tensor, scope: HyperScope) -> Tensor:
    """Moves points of [0, 1) into the share of the domain that the scope covers when `seen` of it has been met."""
    if scope == "stream":
        return unit
    if scope == "memory":
        return unit * seen
    half = unit.shape[-1] // 2
    memory = 2 * unit[..., :half] * seen
    future = torch.where(seen < 1, seen + (2 * unit[..., half:] - 1) * (1 - seen), 2 * unit[..., half:] - 1)
    return torch.cat([memory, future], dim=-1)
