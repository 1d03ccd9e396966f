"""Lives on images, lived and scored: memory and generalization after every class.

Shape suffixes: L lives, T tasks, F features, K outputs.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from hyperlearning.core.params import Params, stack_members
from hyperlearning.core.rounding import rounded
from hyperlearning.core.seeding import generator
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.prototypes import prototype_logits
from hyperlearning.streams.class_incremental import ClassLives, draw_lives
from hyperlearning.streams.image_pool import ImagePool
from hyperlearning.systems.images.pools import Pools
from hyperlearning.systems.images.settings import LifeSettings

KINDS = ("meta_train", "meta_test", "meta_eval")
"""Where deployed lives come from: the field of `Pools`."""

_LIVES_AT_A_TIME = 10
"""Lives whose images are in the trunk at the same time, so that its maps fit into memory."""


class Lives(NamedTuple):
    """What lives were worth: shares of images classified rightly.

    Attributes:
        memory: (L, T + 1, T), on the very images learned, after so many tasks, of each task; argmax over all outputs.
        generalization: Likewise on other images of the same classes.
        memory_of_life: (L, T), at the end, argmax over the life's classes alone.
        generalization_of_life: Likewise.
    """

    memory: Float[Tensor, "lives stages tasks"]
    generalization: Float[Tensor, "lives stages tasks"]
    memory_of_life: Float[Tensor, "lives tasks"]
    generalization_of_life: Float[Tensor, "lives tasks"]


def hold_out(
    life: LifeSettings, pools: Pools, kind: str, *, num_outputs: int, seed: int, purpose: str = "held-out"
) -> ClassLives:
    """Draws lives to deploy on; they depend on the seed and purpose alone, so methods meet the same ones.

    Lives of meta-eval have its classes in order and labels in order; others have classes and labels at random,
    all data sets of a mixture equally likely.
    """
    pool: ImagePool = getattr(pools, kind)
    in_order = kind == "meta_eval" and life.num_tasks <= pool.num_classes
    return draw_lives(
        pool,
        generator(seed, f"{purpose} {kind}"),
        num_lives=life.num_lives,
        num_tasks=life.num_tasks,
        num_instances=life.num_instances,
        num_held_out=life.num_held_out,
        num_labels=life.num_tasks if in_order else num_outputs,
        label_order="in_order" if in_order else "random",
        class_ids=torch.arange(life.num_tasks) if in_order else None,
    )


def deploy(learner: Learner, start: Params, innate: Params, lives: ClassLives, *, steps_per_task: int) -> Lives:
    """Lives every life from the same start, and looks at all its images after every class.

    Args:
        learner: The inner loop.
        start: Plastic parameters at birth, without a member axis.
        innate: Innate parameters.
        lives: The lives.
        steps_per_task: Updates on each class.
    """
    with torch.no_grad():
        met = _prepared(learner, innate, lives.inputs.transpose(0, 1)).transpose(0, 1)
        shown = _prepared(learner, innate, tested_images(lives))
    on_features = learner._replace(prepare=None)
    births = stack_members(start, len(lives.labels))
    looks, of_life = [], torch.empty(0)
    for plastic in live(on_features, births, innate, met, lives.targets, steps_per_batch=steps_per_task):
        with torch.no_grad():
            logits = learner.forward(plastic, innate, shown)
        looks.append(right(logits, lives))
        of_life = right(logits.masked_fill(~_labels_of_life(lives.labels, logits.shape[-1]), -torch.inf), lives)
    return lives_of(torch.stack(looks, dim=1), of_life, lives.learned.shape[2])


def final_lives(learner: Learner, plastic: Params, innate: Params, lives: ClassLives) -> Lives:
    """Scores lives that have been lived, at their end alone: earlier stages are NaN.

    Args:
        learner: The inner loop.
        plastic: Plastic parameters at the end, (L, ...) each.
        innate: Innate parameters.
        lives: The lives.
    """
    with torch.no_grad():
        shown = _prepared(learner, innate, tested_images(lives))
        logits = learner.forward(plastic, innate, shown)
    look = right(logits, lives)
    of_life = right(logits.masked_fill(~_labels_of_life(lives.labels, logits.shape[-1]), -torch.inf), lives)
    nothing = torch.full_like(look, torch.nan)
    stages = [nothing] * lives.labels.shape[1]
    return lives_of(torch.stack([*stages, look], dim=1), of_life, lives.learned.shape[2])


def deploy_prototypes(features: Callable[[Tensor], Tensor], lives: ClassLives, *, num_labels: int) -> Lives:
    """Lives with class means of features, which a later class never changes.

    Args:
        features: Maps images (..., C, S, S) to features (..., F).
        lives: The lives.
        num_labels: Labels in all; those without examples are never chosen.
    """
    with torch.no_grad():
        support = torch.cat([features(part) for part in lives.inputs.split(_LIVES_AT_A_TIME, dim=1)], dim=1)
        shown = torch.cat([features(part) for part in tested_images(lives).split(_LIVES_AT_A_TIME)])
        num_tasks = lives.labels.shape[1]
        looks = [torch.zeros(len(shown), num_tasks, shown.shape[1] // num_tasks)]
        for task in range(1, num_tasks + 1):
            logits = prototype_logits(support[:task], lives.targets[:task], shown, num_labels=num_labels)
            looks.append(right(logits, lives))
    return lives_of(torch.stack(looks, dim=1), looks[-1], lives.learned.shape[2])


def tested_images(lives: ClassLives) -> Float[Tensor, "lives images C S S"]:
    """All images that a life is tested on: of each task those learned, then others of the class."""
    return torch.cat([lives.learned, lives.held_out], dim=2).flatten(1, 2)


def right(logits: Float[Tensor, "L images K"], lives: ClassLives) -> Float[Tensor, "L T images_of_task"]:
    """Says of each tested image whether it is classified rightly, 1 or 0."""
    chosen = logits.argmax(-1).unflatten(1, (lives.labels.shape[1], -1))
    return (chosen == lives.labels[..., None]).to(logits.dtype)


def scores_of(lives: Lives) -> dict[str, list[float]]:
    """Scores of every life at its end, by name, to be averaged and paired; 1 is best but for forgetting, where 0 is.

    Forgetting is left out of lives that were looked at only at their end.
    """
    final = {"memory": lives.memory[:, -1], "generalization": lives.generalization[:, -1]}
    of_life = {
        "memory_of_life": lives.memory_of_life,
        "generalization_of_life": lives.generalization_of_life,
    }
    scores = {name: values.mean(-1) for name, values in {**final, **of_life}.items()}
    after_own_task = torch.diagonal(lives.memory[:, 1:], dim1=1, dim2=2)
    if torch.isfinite(after_own_task).all():
        scores["forgetting"] = (after_own_task - lives.memory[:, -1]).mean(-1)
    return {name: rounded(values, 6) for name, values in scores.items()}


def course_of(lives: Lives) -> dict[str, dict[str, list[float]]]:
    """Memory and generalization over the classes met so far, after each class: mean and half the 95 % interval."""
    return {"memory": _course(lives.memory), "generalization": _course(lives.generalization)}


def _course(accuracy: Float[Tensor, "lives stages tasks"]) -> dict[str, list[float]]:
    points: list[Estimate] = []
    for stage in range(1, accuracy.shape[1]):
        points.append(estimate(accuracy[:, stage, :stage].mean(-1).double().numpy()))
    return {"mean": [point.mean for point in points], "ci95": [point.ci95 for point in points]}


def _prepared(learner: Learner, innate: Params, images: Float[Tensor, "lives *images"]) -> Tensor:
    return torch.cat([learner.prepared(innate, part) for part in images.split(_LIVES_AT_A_TIME)])


def _labels_of_life(labels: Int64[Tensor, "L T"], num_outputs: int) -> Bool[Tensor, "L 1 K"]:
    return torch.nn.functional.one_hot(labels, num_outputs).sum(1).bool()[:, None]


def lives_of(
    looks: Float[Tensor, "L stages T images"], of_life: Float[Tensor, "L T images"], num_learned: int
) -> Lives:
    """Splits what is classified rightly into memory and generalization.

    Args:
        looks: What `right` says after so many tasks.
        of_life: Likewise at the end, argmax over the life's classes alone.
        num_learned: Images of each task that were met; the first ones.
    """
    return Lives(
        memory=looks[..., :num_learned].mean(-1),
        generalization=looks[..., num_learned:].mean(-1),
        memory_of_life=of_life[..., :num_learned].mean(-1),
        generalization_of_life=of_life[..., num_learned:].mean(-1),
    )
