"""How a few-shot learner is trained: episodes of every step drawn by one source, validated in between, the best kept.

Shape suffixes: E episodes, W ways, S shots, Q queries, D features, N images.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.core.errors import NonFiniteLossError
from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.few_shot.embedded import Embedded
from hyperlearning.learners.few_shot.linear_tuning import TunedHead
from hyperlearning.learners.optimizers import adam
from hyperlearning.streams.augmentation import AUGMENTATIONS
from hyperlearning.streams.episodes import Drawer, Episodes, EpisodeShape, draw_picks, drawing, labels_of
from hyperlearning.systems.hypernetworks.few_shot_lines import LookLine
from hyperlearning.systems.hypernetworks.few_shot_methods import METHODS, FewShotMethod, Wanted
from hyperlearning.systems.hypernetworks.few_shot_pools import FewShotPools
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
    return _part(_part(state.tensors, "best"), "network", separator=".")


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
    validate = _validation(plan, method, num_ways)
    learner, rule = build_learner(plan, name, num_ways), adam()
    if start is not None:
        _begin_with(learner, start)
    source = generator(plan.seed, f"episodes of {num_ways} ways for {purpose}")

    def play(state: RoundsState, own: torch.Generator) -> Played:
        learner.load_state_dict(_part(state.tensors, "now"))
        learner.train()
        moments, losses = _part(state.tensors, "moments"), []
        first, last = (num_steps * (state.round + more) // training.looks for more in (0, 1))
        for step in range(first, last):
            if method.at is not None:
                method.at(learner, plan.learners, step / num_steps)
            loss = episode_loss(method, learner, draws[step % len(draws)](own))
            lr = training.lr * (1 + math.cos(math.pi * step / num_steps)) / 2
            moments = _updated(learner, loss, moments, lr, rule.update)
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise NonFiniteLossError(f"Expected finite losses, but got {mean} by step {last}. Lower the rate.")
        learner.eval()
        right = validate(learner)
        now = {key: tensor.detach().clone() for key, tensor in learner.state_dict().items()}
        is_best = right >= state.facts["best"]
        best = now if is_best else _part(state.tensors, "best")
        images = state.facts["images"] + sum(sizes[step % len(sizes)] for step in range(first, last))
        line = LookLine(images=images, loss=mean, validation=right)
        facts = {"best": right if is_best else state.facts["best"], "images": images}
        return Played(_tensors(now, moments, best), facts, line, f"loss {mean:.3f}, right {100 * right:.1f} %")

    now = {key: tensor.detach().clone() for key, tensor in learner.state_dict().items()}
    moments = rule.init(dict(learner.named_parameters()))
    initial = RoundsState(_tensors(now, moments, now), {"best": 0.0, "images": 0}, 0, source.get_state())
    return Rounds(
        initial=initial,
        play=play,
        num_rounds=training.looks,
        source=source,
        title=f"{method.title}, {'any number of' if method.any_ways else num_ways} ways",
        unit="looks",
    )


def trained_learner(plan: FewShotPlan, name: LearnerName, num_ways: int, state: RoundsState) -> nn.Module:
    """A learner as it validated best, in evaluation mode."""
    learner = build_learner(plan, name, num_ways)
    learner.load_state_dict(_part(state.tensors, "best"))
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


def _updated(learner: nn.Module, loss: Tensor, moments: Params, lr: float, update: Callable) -> Params:
    params = dict(learner.named_parameters())
    grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        detached = {key: tensor.detach() for key, tensor in params.items()}
        values, moments = update(detached, grads, moments, torch.tensor(lr))
        for key, tensor in params.items():
            tensor.copy_(values[key])
    return moments


def _tensors(now: Params, moments: Params, best: Params) -> Params:
    parts = {"now": now, "moments": moments, "best": best}
    return {f"{part}/{key}": tensor for part, tensors in parts.items() for key, tensor in tensors.items()}


def _part(tensors: Params, part: str, *, separator: str = "/") -> Params:
    prefix = f"{part}{separator}"
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
