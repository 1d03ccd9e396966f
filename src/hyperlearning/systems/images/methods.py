"""The baselines on images: the same network without hyper-training, every number of it plastic.

It is finetuned class after class, learns all classes jointly, with a replay buffer, or with elastic weight consolidation.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, count, partition, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.learners.ewc import elastic_weight_consolidation
from hyperlearning.learners.inner_loop import Learner, in_steps, inner_step, live
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.penalties import live_with_penalty
from hyperlearning.learners.population import population_forward
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.lives import KINDS, Lives, final_lives, hold_out, scores_of
from hyperlearning.systems.images.pools import Pools
from hyperlearning.systems.images.settings import ImageSettings

REPLAY_BATCH = 20
"""Images of earlier classes that each update replays, from a buffer that holds them all."""

_TUNING_LIVES = 6


class Baseline(NamedTuple):
    """One way for the network without hyper-training to learn.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        live: Lives every life and returns the plastic parameters at the end, given a learner, births and the lives.
    """

    title: str
    note: str
    live: Callable[[Learner, Params, ClassLives], Params]


class ChosenBaseline(NamedTuple):
    """A baseline with the rate that was best on lives of its own.

    Attributes:
        baseline: What it is.
        lr: The rate of its Adam.
        trials: Generalization on the tuning lives by rate.
    """

    baseline: Baseline
    lr: float
    trials: dict[float, float]


def baselines(*, steps_per_task: int, ewc_strength: float, seed: int) -> dict[str, Baseline]:
    """Lists the baselines.

    Args:
        steps_per_task: Updates on each class.
        ewc_strength: The papers' lambda.
        seed: For the order of joint learning and the choices of replay.
    """
    return {
        "finetune": Baseline(
            "finetuned",
            f"the same network without hyper-training, all of it plastic, {steps_per_task} updates a class",
            partial(_finetune, steps_per_task=steps_per_task),
        ),
        "ewc": Baseline(
            "EWC",
            f"the same with elastic weight consolidation, strength {ewc_strength:g}",
            partial(_ewc, steps_per_task=steps_per_task, strength=ewc_strength),
        ),
        "replay": Baseline(
            "replay buffer",
            f"the same, keeping every image met and replaying {REPLAY_BATCH} with each update",
            partial(_replay, steps_per_task=steps_per_task, seed=seed),
        ),
        "joint": Baseline(
            "joint",
            "the same, all classes mixed in every batch",
            partial(_joint, steps_per_task=steps_per_task, seed=seed),
        ),
    }


def tuned(
    settings: ImageSettings,
    pools: Pools,
    baseline: Baseline,
    lrs: tuple[float, ...],
    *,
    num_lives: int = _TUNING_LIVES,
) -> ChosenBaseline:
    """Chooses the rate that generalizes best on lives of meta-train classes drawn for this alone."""
    life = replace(settings.life, num_lives=num_lives)
    lives = hold_out(
        life,
        pools,
        "meta_train",
        num_outputs=settings.network.num_outputs,
        seed=settings.seed,
        purpose="baseline tuning",
    )
    trials = {}
    for lr in lrs:
        values = scores_of(live_baseline(settings, baseline, lr, lives))["generalization"]
        trials[lr] = sum(values) / len(values)
    return ChosenBaseline(baseline, max(trials, key=lambda lr: trials[lr]), trials)


def live_baseline(settings: ImageSettings, baseline: Baseline, lr: float, lives: ClassLives) -> Lives:
    """Lives every life from one random network."""
    network = replace(settings.network, zero_start=False).build(settings.data, settings.seed)
    plastic, _ = partition(network, lambda name: False)
    learner = Learner(population_forward(network, plastic), cross_entropy, optimizer("adam"), lr)
    births = stack_members(plastic, len(lives.labels))
    return final_lives(learner, baseline.live(learner, births, lives), {}, lives)


def num_plastic(settings: ImageSettings) -> int:
    """Counts the parameters of a baseline, all plastic."""
    network = settings.network.build(settings.data, settings.seed)
    return count(dict(network.named_parameters()))


def baseline_kinds() -> tuple[str, ...]:
    """Kinds of lives that baselines are deployed on; without hyper-training, meta-train is no different from meta-test."""
    return KINDS[1:]


def _finetune(learner: Learner, births: Params, lives: ClassLives, *, steps_per_task: int) -> Params:
    return _end(live(learner, births, {}, lives.inputs, lives.targets, steps_per_batch=steps_per_task))


def _ewc(learner: Learner, births: Params, lives: ClassLives, *, steps_per_task: int, strength: float) -> Params:
    inputs, targets = in_steps(lives.inputs, steps_per_task), in_steps(lives.targets, steps_per_task)
    penalty, num_tasks = elastic_weight_consolidation(strength), len(lives.inputs)
    return _end(live_with_penalty(learner, births, {}, inputs, targets, penalty=penalty, num_tasks=num_tasks))


def _replay(learner: Learner, births: Params, lives: ClassLives, *, steps_per_task: int, seed: int) -> Params:
    """Every update has the class at hand and `REPLAY_BATCH` images drawn from all met so far."""
    source = generator(seed, "replay")
    num_tasks, num_lives, batch_size = lives.targets.shape
    plastic, moments = births, learner.optimizer.init(births)
    for task in range(num_tasks):
        pick = torch.randint((task + 1) * batch_size, (steps_per_task, num_lives, REPLAY_BATCH), generator=source)
        buffer, labels = _flat(lives.inputs[: task + 1]), _flat(lives.targets[: task + 1])
        member = torch.arange(num_lives)[:, None]
        for step in range(steps_per_task):
            inputs = torch.cat([lives.inputs[task], buffer[member, pick[step]]], dim=1)
            targets = torch.cat([lives.targets[task], labels[member, pick[step]]], dim=1)
            plastic, moments, _ = inner_step(learner, plastic, moments, {}, inputs, targets)
    return plastic


def _joint(learner: Learner, births: Params, lives: ClassLives, *, steps_per_task: int, seed: int) -> Params:
    """As many updates on batches of the same size, drawn from all classes without order."""
    source = generator(seed, "joint order")
    num_tasks, num_lives, batch_size = lives.targets.shape
    images, labels = _flat(lives.inputs), _flat(lives.targets)
    plastic, moments = births, learner.optimizer.init(births)
    for _ in range(num_tasks * steps_per_task):
        pick = torch.randint(num_tasks * batch_size, (num_lives, batch_size), generator=source)
        member = torch.arange(num_lives)[:, None]
        plastic, moments, _ = inner_step(learner, plastic, moments, {}, images[member, pick], labels[member, pick])
    return plastic


def _end(life: Iterator[Params]) -> Params:
    return deque(life, maxlen=1).pop()


def _flat(batches: torch.Tensor) -> torch.Tensor:
    """(T, L, B, ...) to (L, T * B, ...)."""
    return batches.transpose(0, 1).flatten(1, 2)
