"""How a few-shot learner is trained: episodes of every step drawn by one source, validated in between, the best kept.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features, N images.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.core.params import Params, part_of
from hyperlearning.core.seeding import generator
from hyperlearning.engine.rounds import Rounds, RoundsState
from hyperlearning.learners.few_shot.embedded import Embedded
from hyperlearning.learners.few_shot.linear_tuning import TunedHead
from hyperlearning.streams.augmentation import AUGMENTATIONS
from hyperlearning.streams.episodes import Drawer, Episodes, EpisodeShape, draw_picks, drawing, labels_of
from hyperlearning.systems.hypernetworks.few_shot_methods import METHODS, FewShotMethod, Wanted
from hyperlearning.systems.hypernetworks.few_shot_pools import FewShotPools
from hyperlearning.systems.hypernetworks.few_shot_rounds import Lessons, learning_rounds
from hyperlearning.systems.hypernetworks.few_shot_scoring import num_right
from hyperlearning.systems.hypernetworks.few_shot_settings import (
    EpisodeData,
    EpisodeTests,
    EpisodeTraining,
    LearnerName,
    LearnerSettings,
)

COMMON: LearnerName = "cosine_prototypes"
"""What the embedding that all learners begin with is trained for."""


class FewShotPlan(NamedTuple):
    """All that training and tests follow from.

    Attributes:
        data: Where classes come from.
        training: How learners are trained.
        learners: What they do with a support.
        tests: What they are tested on.
        pools: The classes.
        seed: Of the run.
    """

    data: EpisodeData
    training: EpisodeTraining
    learners: LearnerSettings
    tests: EpisodeTests
    pools: FewShotPools
    seed: int

    @property
    def validation_shape(self) -> EpisodeShape:
        """Episodes of validation, but for learners of another number of ways."""
        return EpisodeShape(self.tests.ways[0], self.tests.shots[0], self.training.train_queries)


def build_learner(plan: FewShotPlan, name: LearnerName, num_ways: int) -> nn.Module:
    """Builds a learner, untrained, on the default device."""
    source = generator(plan.seed, f"first weights of {name}, {num_ways} ways")
    channels, height, width = plan.pools.train.images.shape[1:]
    image = (channels, height, width)
    wanted = Wanted(num_ways, plan.pools.train.num_classes, image, plan.training, plan.learners, source)
    return METHODS[name].build(wanted).to(torch.get_default_device())


def drawers(plan: FewShotPlan, num_ways: int) -> tuple[Drawer, ...]:
    """What draws the episodes of steps, in turn, one for each number of shots; every step has about as many images.

    Raises:
        ValueError: If there are too few classes or images.
    """
    training, made = plan.training, []
    for num_shots in training.train_shots:
        shape = EpisodeShape(num_ways, num_shots, training.train_queries)
        number = max(1, round(training.step_images / shape.num_images))
        augmentation = AUGMENTATIONS[plan.data.augmentation]
        made.append(drawing(plan.pools.train, shape, num_episodes=number, augmentation=augmentation))
    return tuple(made)


def episode_loss(method: FewShotMethod, learner: nn.Module, episodes: Episodes) -> Tensor:
    """The cross-entropy that a method minimises on episodes."""
    query = episodes.query.flatten(1, 2)
    if method.targets == "queries":
        return cross_entropy(learner(episodes.support, query).flatten(0, 1), labels_of(episodes).flatten())
    assert isinstance(learner, Embedded)
    features = learner.features(episodes.support, query)
    num_shots = episodes.support.shape[2]
    if method.targets == "classes":
        assert isinstance(learner.head, TunedHead)
        both = torch.cat([features.support.flatten(1, 2), features.query], 1)
        classes = [episodes.classes.repeat_interleave(n, 1) for n in (num_shots, episodes.query.shape[2])]
        return cross_entropy(learner.head.class_logits(both.flatten(0, 1)), torch.cat(classes, 1).flatten())
    both = torch.cat([features.support.flatten(1, 2), features.query], 1)
    ways = torch.arange(episodes.support.shape[1], device=both.device)
    labels = torch.cat([ways.repeat_interleave(num_shots).expand(len(both), -1), labels_of(episodes)], 1)
    return cross_entropy(learner.head(features.support, both).flatten(0, 1), labels.flatten())


def common_job(plan: FewShotPlan) -> Rounds:
    """Makes the job that trains the embedding that all learners begin with."""
    training = replace(plan.training, images=plan.training.common_images, lr=plan.training.common_lr)
    return training_job(plan._replace(training=training), COMMON, training.train_ways, purpose="the common embedding")


def embedding_of(state: RoundsState) -> Params:
    """The embedding that a common training leaves, as it validated best."""
    return part_of(part_of(state.tensors, "best"), "network", separator=".")


def training_job(
    plan: FewShotPlan, name: LearnerName, num_ways: int, *, start: Params | None = None, purpose: str = "learners"
) -> Rounds:
    """Makes the job that trains a learner, a round from look to look.

    Args:
        plan: What it follows from.
        name: Which learner.
        num_ways: Classes of its episodes.
        start: The embedding that it begins with; first weights if absent.
        purpose: Names the random numbers that episodes are drawn with.
    """
    method, training = METHODS[name], plan.training
    draws = drawers(plan, num_ways)
    sizes = [_num_images(draw) for draw in draws]
    num_steps = max(training.looks, round(training.images / (sum(sizes) / len(sizes))))
    learner = build_learner(plan, name, num_ways)
    if start is not None:
        _begin_with(learner, start)

    def loss(step: int, source: torch.Generator) -> Tensor:
        if method.at is not None:
            method.at(learner, plan.learners, step / num_steps)
        return episode_loss(method, learner, draws[step % len(draws)](source))

    lessons = Lessons(
        loss=loss,
        sizes=sizes,
        num_steps=num_steps,
        looks=training.looks,
        lr=training.lr,
        validate=_validation(plan, method, num_ways),
        shown=lambda right: f"right {100 * right:.1f} %",
        source=generator(plan.seed, f"episodes of {num_ways} ways for {purpose}"),
        title=f"{method.title}, {'any number of' if method.any_ways else num_ways} ways",
    )
    return learning_rounds(learner, lessons)


def trained_learner(plan: FewShotPlan, name: LearnerName, num_ways: int, state: RoundsState) -> nn.Module:
    """A learner as it validated best, in evaluation mode."""
    learner = build_learner(plan, name, num_ways)
    learner.load_state_dict(part_of(state.tensors, "best"))
    return learner.eval()


def _begin_with(learner: nn.Module, start: Params) -> None:
    """Hands an embedding to a learner; one that normalises by the batch at hand has no running statistics."""
    network = learner.network if isinstance(learner, Embedded) else learner.get_submodule("whole.0")
    own = network.state_dict()
    network.load_state_dict({key: tensor for key, tensor in start.items() if key in own})


def _validation(plan: FewShotPlan, method: FewShotMethod, num_ways: int) -> Callable[[nn.Module], float]:
    shape = plan.validation_shape if method.any_ways else plan.validation_shape._replace(num_ways=num_ways)
    number = plan.tests.validation_episodes
    picks = draw_picks(
        plan.pools.validation, shape, generator(plan.seed, f"validation, {shape.num_ways} ways"), num_episodes=number
    )
    queries = number * shape.num_ways * shape.num_queries
    return lambda learner: int(num_right(learner, plan.pools.validation, picks).sum()) / queries


def _num_images(draw: Drawer) -> int:
    drawn = draw(generator(0, "sizes"))
    return drawn.support[..., 0, 0, 0].numel() + drawn.query[..., 0, 0, 0].numel()
