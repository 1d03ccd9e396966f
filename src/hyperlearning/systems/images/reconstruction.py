"""Lives of autoencoders, lived and scored: the error on every class after every class; and references that need no network.

Shape suffixes: L lives, T tasks, N images, P pixels.
"""

import base64
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hyperlearning.core.params import Params, stack_members
from hyperlearning.core.rounding import rounded
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.learners.inner_loop import Learner, in_steps, live
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.lives import tested_images

_LIVES_AT_A_TIME = 10
"""Lives whose images are reconstructed at the same time, so that 784 neurons' channels fit into memory."""


class Errors(NamedTuple):
    """Mean squared errors of pixels after so many tasks, of each task.

    Attributes:
        memory: (L, T + 1, T), on the very images learned.
        generalization: Likewise on other images of the same classes.
    """

    memory: Float[Tensor, "lives stages tasks"]
    generalization: Float[Tensor, "lives stages tasks"]


def deploy(learner: Learner, start: Params, innate: Params, lives: ClassLives, *, steps_per_task: int) -> Errors:
    """Lives every life from the same start, and looks at all its images after every class.

    Args:
        learner: The inner loop.
        start: Plastic parameters at birth, without a member axis.
        innate: Innate parameters.
        lives: The lives, as `lives_as_reconstruction` makes them.
        steps_per_task: Updates on each class.
    """
    parts = [
        _deploy(learner, start, innate, part, steps_per_task=steps_per_task)
        for part in _in_parts(lives, _LIVES_AT_A_TIME)
    ]
    return Errors(torch.cat([part.memory for part in parts]), torch.cat([part.generalization for part in parts]))


def _deploy(learner: Learner, start: Params, innate: Params, lives: ClassLives, *, steps_per_task: int) -> Errors:
    shown = tested_images(lives)
    with torch.no_grad():
        met, features = learner.prepared(innate, lives.inputs), learner.prepared(innate, shown)
    births = stack_members(start, len(lives.labels))
    on_features = learner._replace(prepare=None)
    looks = []
    for plastic in live(on_features, births, innate, met, lives.targets, steps_per_batch=steps_per_task):
        with torch.no_grad():
            images = torch.sigmoid(learner.forward(plastic, innate, features))
        looks.append((images - shown.flatten(-3)).square().mean(-1))
    return _errors(torch.stack(looks, dim=1), lives)


def frozen(learner: Learner, start: Params, innate: Params, lives: ClassLives) -> Errors:
    """Scores lives in which nothing is learned: every stage is the first."""
    num_stages = lives.labels.shape[1] + 1
    looks = []
    for part in _in_parts(lives, _LIVES_AT_A_TIME):
        shown = tested_images(part)
        with torch.no_grad():
            features = learner.prepared(innate, shown)
            images = torch.sigmoid(learner.forward(stack_members(start, len(shown)), innate, features))
        looks.append((images - shown.flatten(-3)).square().mean(-1))
    return _errors(torch.cat(looks)[:, None].expand(-1, num_stages, -1), lives)


def watch(
    learner: Learner, start: Params, innate: Params, lives: ClassLives, *, steps_per_task: int, looks: Sequence[int]
) -> Iterator[tuple[int, Float[Tensor, "tasks images pixels"]]]:
    """Lives the first life and yields, after as many updates as are asked for, the reconstruction of what it is tested on.

    Args:
        learner: The inner loop.
        start: Plastic parameters at birth.
        innate: Innate parameters.
        lives: The lives, of which the first is watched.
        steps_per_task: Updates on each class.
        looks: Numbers of updates at which to look, 0 for birth.
    """
    one = next(_in_parts(lives, 1))
    with torch.no_grad():
        met, features = learner.prepared(innate, one.inputs), learner.prepared(innate, tested_images(one))
    steps = (in_steps(met, steps_per_task), in_steps(one.targets, steps_per_task))
    on_features = learner._replace(prepare=None)
    for num_updates, plastic in enumerate(live(on_features, stack_members(start, 1), innate, *steps)):
        if num_updates in looks:
            with torch.no_grad():
                images = torch.sigmoid(learner.forward(plastic, innate, features))
            yield num_updates, images[0].unflatten(0, (lives.labels.shape[1], -1))


def mean_image(lives: ClassLives) -> Errors:
    """Predicts the mean of all images met so far; black before the first."""
    return _from_images_met(lives, lambda met, shown: met.mean(1, keepdim=True).expand_as(shown))


def principal_components(lives: ClassLives, rank: int) -> Errors:
    """Predicts from the principal components of all images met so far, kept without forgetting; black before the first.

    With `rank` numbers an image, no linear code has a smaller error on the images met.

    Args:
        lives: The lives.
        rank: Components, at most; there are never more than images met less one.

    Raises:
        ValueError: If the rank is not positive.
    """
    if rank < 1:
        raise ValueError(f"Expected `rank` to be positive, but got {rank}.")
    return _from_images_met(lives, lambda met, shown: project(met, shown, rank))


def project(met: Float[Tensor, "L met P"], shown: Float[Tensor, "L shown P"], rank: int) -> Float[Tensor, "L shown P"]:
    """Reconstructs images from their first principal components, which are those of other images."""
    mean = met.mean(1, keepdim=True)
    _, sizes, axes = torch.linalg.svd(met - mean, full_matrices=False)
    # Directions without extent are rounding's own.
    real = (sizes > 1e-5 * sizes[:, :1]).to(axes.dtype)[..., None]
    axes = (axes * real)[:, :rank]
    return mean + (shown - mean) @ axes.mT @ axes


def _from_images_met(lives: ClassLives, predict: Callable[[Tensor, Tensor], Tensor]) -> Errors:
    shown = tested_images(lives).flatten(-3)
    looks = [shown.square().mean(-1)]
    for task in range(1, lives.labels.shape[1] + 1):
        met = lives.learned[:, :task].flatten(1, 2).flatten(2)
        looks.append((predict(met, shown) - shown).square().mean(-1))
    return _errors(torch.stack(looks, dim=1), lives)


def scores_of(errors: Errors) -> dict[str, list[float]]:
    """Scores of every life, by name; of all, lower is better but for forward transfer.

    memory, generalization: error over all classes at the end. forgetting: `mean_j E[T, j] - E[j + 1, j]` on the images learned.
    unseen: `mean_j E[j, j]`, error on a class just before it is met, over all but the first. forward_transfer: how much smaller
    that is than at birth, `mean_j E[0, j] - E[j, j]` (Lopez-Paz and Ranzato, 2017, equation 4, in errors).
    """
    memory, general = errors
    own = torch.diagonal(memory[:, 1:], dim1=1, dim2=2)
    ahead = torch.diagonal(general, dim1=1, dim2=2)[:, 1:]
    values = {
        "memory": memory[:, -1].mean(-1),
        "generalization": general[:, -1].mean(-1),
        "forgetting": (memory[:, -1] - own).mean(-1),
        "unseen": ahead.mean(-1),
        "forward_transfer": (general[:, 0, 1:] - ahead).mean(-1),
    }
    return {name: rounded(each, 6) for name, each in values.items()}


def course_of(errors: Errors) -> dict[str, dict[str, list[float]]]:
    """Errors after each stage, with half the 95 % interval: on images learned, others of their classes, unseen classes.

    The first two begin after the first class, the last ends before the last one.
    """
    num_tasks = errors.memory.shape[2]
    parts = {
        "memory": [errors.memory[:, stage, :stage] for stage in range(1, num_tasks + 1)],
        "generalization": [errors.generalization[:, stage, :stage] for stage in range(1, num_tasks + 1)],
        "unseen": [errors.generalization[:, stage, stage:] for stage in range(num_tasks)],
    }
    return {name: _course([part.mean(-1) for part in stages]) for name, stages in parts.items()}


def _course(stages: Sequence[Tensor]) -> dict[str, list[float]]:
    points: list[Estimate] = [estimate(stage.double().numpy()) for stage in stages]
    return {"mean": [point.mean for point in points], "ci95": [point.ci95 for point in points]}


def pack_images(images: Float[Tensor, "*shape"]) -> dict[str, Any]:
    """Packs pixels from 0 to 1 for a line of a record: 8 bits each, compressed, as text."""
    levels = (images.clamp(0, 1) * 255).round().to(torch.uint8).contiguous()
    return {
        "shape": list(levels.shape),
        "zlib": base64.b64encode(zlib.compress(levels.numpy().tobytes(), 9)).decode("ascii"),
    }


def unpack_images(packed: dict[str, Any]) -> UInt8[Tensor, "*shape"]:
    """Reads what `pack_images` packed, levels from 0 to 255."""
    levels = bytearray(zlib.decompress(base64.b64decode(packed["zlib"])))
    return torch.frombuffer(levels, dtype=torch.uint8).reshape(packed["shape"])


def _in_parts(lives: ClassLives, size: int) -> Iterator[ClassLives]:
    for first in range(0, len(lives.labels), size):
        now = slice(first, first + size)
        yield ClassLives(
            inputs=lives.inputs[:, now],
            targets=lives.targets[:, now],
            learned=lives.learned[now],
            held_out=lives.held_out[now],
            labels=lives.labels[now],
        )


def _errors(looks: Float[Tensor, "L stages N"], lives: ClassLives) -> Errors:
    by_task = looks.unflatten(-1, (lives.labels.shape[1], -1))
    num_learned = lives.learned.shape[2]
    return Errors(by_task[..., :num_learned].mean(-1), by_task[..., num_learned:].mean(-1))
