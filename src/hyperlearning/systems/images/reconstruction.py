"""Lives of autoencoders, lived and scored: the error on every class after every class; and references that need no network.

Shape suffixes: L lives, T tasks, N images, P pixels.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params, stack_members
from hyperlearning.evaluation.reconstruction import LifeErrors
from hyperlearning.learners.inner_loop import Learner, in_steps, live
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.lives import some_lives, tested_images

_LIVES_AT_A_TIME = 10
"""Lives whose images are reconstructed at the same time, so that 784 neurons' channels fit into memory."""


def deploy(learner: Learner, start: Params, innate: Params, lives: ClassLives, *, steps_per_task: int) -> LifeErrors:
    """Lives every life from the same start, without a member axis, and looks at all its images after every class.

    The lives are as `lives_as_reconstruction` makes them.
    """
    parts = [
        _deploy(learner, start, innate, part, steps_per_task=steps_per_task)
        for part in _in_parts(lives, _LIVES_AT_A_TIME)
    ]
    return LifeErrors(torch.cat([part.memory for part in parts]), torch.cat([part.generalization for part in parts]))


def _deploy(learner: Learner, start: Params, innate: Params, lives: ClassLives, *, steps_per_task: int) -> LifeErrors:
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


def frozen(learner: Learner, start: Params, innate: Params, lives: ClassLives) -> LifeErrors:
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

    `looks` are numbers of updates, 0 for birth.
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


def mean_image(lives: ClassLives) -> LifeErrors:
    """Predicts the mean of all images met so far; black before the first."""
    return _from_images_met(lives, lambda met, shown: met.mean(1, keepdim=True).expand_as(shown))


def principal_components(lives: ClassLives, rank: int) -> LifeErrors:
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


def _from_images_met(lives: ClassLives, predict: Callable[[Tensor, Tensor], Tensor]) -> LifeErrors:
    shown = tested_images(lives).flatten(-3)
    looks = [shown.square().mean(-1)]
    for task in range(1, lives.labels.shape[1] + 1):
        met = lives.learned[:, :task].flatten(1, 2).flatten(2)
        looks.append((predict(met, shown) - shown).square().mean(-1))
    return _errors(torch.stack(looks, dim=1), lives)


def _in_parts(lives: ClassLives, size: int) -> Iterator[ClassLives]:
    for first in range(0, len(lives.labels), size):
        yield some_lives(lives, slice(first, first + size))


def _errors(looks: Float[Tensor, "L stages N"], lives: ClassLives) -> LifeErrors:
    by_task = looks.unflatten(-1, (lives.labels.shape[1], -1))
    num_learned = lives.learned.shape[2]
    return LifeErrors(by_task[..., :num_learned].mean(-1), by_task[..., num_learned:].mean(-1))
