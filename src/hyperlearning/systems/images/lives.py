"""Lives on images, lived and scored: memory and generalization after every class.

Shape suffixes: L lives, T tasks, F features, K outputs.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.params import Params, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.evaluation.accuracy import LifeAccuracy, among_own, life_accuracy, recognised
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.prototypes import prototype_logits
from hyperlearning.streams.class_incremental import ClassLives, draw_lives
from hyperlearning.streams.hyper_stream import Stream
from hyperlearning.streams.orders import joint
from hyperlearning.systems.images.pools import Pools, Split
from hyperlearning.systems.images.settings import LifeSettings

LIVES_AT_A_TIME = 10
"""Lives whose images are in the trunk at the same time, so that its maps fit into memory."""


def hold_out(
    life: LifeSettings, pools: Pools, split: Split, *, num_outputs: int, seed: int, purpose: str = "held-out"
) -> ClassLives:
    """Draws lives to deploy on; they depend on the seed and purpose alone, so methods meet the same ones.

    Lives of meta-eval have its classes in order and labels in order; others have classes and labels at random,
    all data sets of a mixture equally likely.
    """
    pool = pools.of(split)
    in_order = split == "meta_eval" and life.num_tasks <= pool.num_classes
    return draw_lives(
        pool,
        generator(seed, f"{purpose} {split}"),
        num_lives=life.num_lives,
        num_tasks=life.num_tasks,
        num_instances=life.num_instances,
        num_held_out=life.num_held_out,
        num_labels=life.num_tasks if in_order else num_outputs,
        label_order="in_order" if in_order else "random",
        class_ids=torch.arange(life.num_tasks) if in_order else None,
    )


def deploy(learner: Learner, start: Params, innate: Params, lives: ClassLives, *, steps_per_task: int) -> LifeAccuracy:
    """Lives every life from the same start, without a member axis, and looks at all its images after every class."""
    looks, of_life = [], torch.empty(0)
    for logits in looked_at(learner, start, innate, lives, steps_per_task=steps_per_task):
        looks.append(recognised(logits, lives.labels))
        of_life = recognised(among_own(logits, lives.labels), lives.labels)
    return life_accuracy(torch.stack(looks, dim=1), of_life, lives.learned.shape[2])


def looked_at(
    learner: Learner, start: Params, innate: Params, lives: ClassLives, *, steps_per_task: int
) -> Iterator[Float[Tensor, "L images K"]]:
    """Lives every life and yields the logits of all images that it is tested on, at birth and after every class."""
    with torch.no_grad():
        met = prepared(learner, innate, lives.inputs.transpose(0, 1)).transpose(0, 1)
        shown = prepared(learner, innate, tested_images(lives))
    on_features = learner._replace(prepare=None)
    births = stack_members(start, len(lives.labels))
    for plastic in live(on_features, births, innate, met, lives.targets, steps_per_batch=steps_per_task):
        with torch.no_grad():
            yield learner.forward(plastic, innate, shown)


def accuracy_at_the_end(learner: Learner, plastic: Params, innate: Params, lives: ClassLives) -> LifeAccuracy:
    """Scores lives that ended with these plastic parameters, (L, ...) each, at their end alone: earlier stages are NaN."""
    with torch.no_grad():
        logits = learner.forward(plastic, innate, prepared(learner, innate, tested_images(lives)))
    look = recognised(logits, lives.labels)
    of_life = recognised(among_own(logits, lives.labels), lives.labels)
    stages = [torch.full_like(look, torch.nan)] * lives.labels.shape[1]
    return life_accuracy(torch.stack([*stages, look], dim=1), of_life, lives.learned.shape[2])


def deploy_prototypes(
    features: Callable[[Tensor], Tensor], lives: ClassLives, *, num_labels: int, num_labelled: int | None = None
) -> LifeAccuracy:
    """Lives with class means of features (..., F), which a later class never changes.

    Labels without examples are never chosen. Of each batch, only the first `num_labelled` images are used; all if absent.
    """
    labels = lives.targets[:, :, :num_labelled]

    def logits(met: Tensor, shown: Tensor, task: int) -> Tensor:
        return prototype_logits(met[:task], labels[:task], shown, num_labels=num_labels)

    return scored_on_features(features, lives._replace(inputs=lives.inputs[:, :, :num_labelled]), logits)


def scored_on_features(
    features: Callable[[Tensor], Tensor], lives: ClassLives, logits: Callable[[Tensor, Tensor, int], Tensor]
) -> LifeAccuracy:
    """Looks at all images of lives in which nothing is learned but what follows from the features met.

    Args:
        features: Maps images (..., C, S, S) to features (..., F).
        lives: The lives.
        logits: Maps features met (T, L, B, F), features shown (L, images, F) and the number of tasks learned to logits.
    """
    return scored(features_of_lives(features, lives), lives, logits)


class LifeFeatures(NamedTuple):
    """Features of all images of lives.

    Attributes:
        met: (T, L, B, F), in the order of life.
        shown: (L, images, F), of all images that lives are tested on.
    """

    met: Float[Tensor, "T L B F"]
    shown: Float[Tensor, "L images F"]


@torch.no_grad()
def features_of_lives(features: Callable[[Tensor], Tensor], lives: ClassLives) -> LifeFeatures:
    """Computes the features of all images of lives, a few lives at a time."""
    met = torch.cat([features(part) for part in lives.inputs.split(LIVES_AT_A_TIME, dim=1)], dim=1)
    shown = torch.cat([features(part) for part in tested_images(lives).split(LIVES_AT_A_TIME)])
    return LifeFeatures(met, shown)


@torch.no_grad()
def scored(of: LifeFeatures, lives: ClassLives, logits: Callable[[Tensor, Tensor, int], Tensor]) -> LifeAccuracy:
    """Looks at all images of lives whose features are known, as `scored_on_features`."""
    num_tasks = lives.labels.shape[1]
    looks = [torch.zeros(len(of.shown), num_tasks, of.shown.shape[1] // num_tasks)]
    looks += [recognised(logits(of.met, of.shown, task), lives.labels) for task in range(1, num_tasks + 1)]
    return life_accuracy(torch.stack(looks, dim=1), looks[-1], lives.learned.shape[2])


def tested_images(lives: ClassLives) -> Float[Tensor, "lives images C S S"]:
    """All images that a life is tested on: of each task those learned, then others of the class."""
    return torch.cat([lives.learned, lives.held_out], dim=2).flatten(1, 2)


def prepared(learner: Learner, innate: Params, images: Float[Tensor, "lives *images"]) -> Tensor:
    """What a learner's network takes in place of images, a few lives at a time."""
    return torch.cat([learner.prepared(innate, part) for part in images.split(LIVES_AT_A_TIME)])


def mixed(lives: ClassLives, *, seed: int) -> ClassLives:
    """Mixes the batches of every life: as many, as large, of the same images, in no order of classes."""
    stream = joint(Stream(lives.inputs, lives.targets), generator(seed, "joint order"), whole_batches=False)
    return lives._replace(inputs=stream.inputs, targets=stream.targets)


def some_lives(lives: ClassLives, now: slice) -> ClassLives:
    """Picks lives, such as the first ones for methods that are too slow for all: they are compared on the same ones."""
    return ClassLives(
        inputs=lives.inputs[:, now],
        targets=lives.targets[:, now],
        learned=lives.learned[now],
        held_out=lives.held_out[now],
        labels=lives.labels[now],
    )
