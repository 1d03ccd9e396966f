"""What image experiments compare, as functions from lives to how they went: a network as it was born, and ordinary networks.

The ordinary network is the same one without hyper-training, every number of it plastic: finetuned class after class, with
elastic weight consolidation, with a replay buffer, or learning all classes jointly.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, count, partition, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.evaluation.accuracy import LifeAccuracy
from hyperlearning.learners.ewc import elastic_weight_consolidation
from hyperlearning.learners.inner_loop import Learner, in_steps, live
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.penalties import live_with_penalty
from hyperlearning.learners.population import population_forward
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.streams.hyper_stream import Stream
from hyperlearning.streams.orders import joint, replay
from hyperlearning.systems.folder_lives import REPLAY_BATCH
from hyperlearning.systems.images.build import build_learner, classifier_losses
from hyperlearning.systems.images.embedding import PrototypeEmbedding
from hyperlearning.systems.images.lines import ClassMethod, scores_of
from hyperlearning.systems.images.lives import accuracy_at_the_end, deploy, deploy_prototypes, hold_out
from hyperlearning.systems.images.pools import SPLITS, Pools
from hyperlearning.systems.images.settings import ImageSettings
from hyperlearning.systems.system import Method

LivesT = TypeVar("LivesT")

PLAIN_SPLITS = SPLITS[1:]
"""What ordinary networks are deployed on; without hyper-training, meta-train is no different from meta-test."""

_TUNING_LIVES = 6


class Newborn(NamedTuple):
    """A network at birth: its inner loop, its plastic parameters and what stays as it is."""

    learner: Learner
    start: Params
    innate: Params

    def live(self, lives: ClassLives, *, steps_per_task: int) -> LifeAccuracy:
        """Lives lives, class after class."""
        return deploy(self.learner, self.start, self.innate, lives, steps_per_task=steps_per_task)

    def live_iid(self, lives: ClassLives, *, steps_per_task: int, seed: int) -> LifeAccuracy:
        """Makes as many updates on batches of images of all classes."""
        with torch.no_grad():
            features = torch.stack([self.learner.prepared(self.innate, batch) for batch in lives.inputs])
        stream = in_no_order(Stream(features, lives.targets), steps_per_task=steps_per_task, seed=seed)
        births = stack_members(self.start, len(lives.labels))
        plastic = _end(live(self.learner._replace(prepare=None), births, self.innate, *stream))
        return accuracy_at_the_end(self.learner, plastic, self.innate, lives)

    def features(self, images: Tensor) -> Tensor:
        """What its convolutions make of images."""
        return self.learner.prepared(self.innate, images)

    def live_with_means(self, lives: ClassLives, *, num_labels: int) -> LifeAccuracy:
        """Lives with class means of its features in place of synapses."""
        return deploy_prototypes(self.features, lives, num_labels=num_labels)


def newborn(settings: ImageSettings, start: Params, innate: Params) -> Newborn:
    """Gives birth to the settings' network with these parameters."""
    network = settings.network.build(settings.data, settings.seed)
    return Newborn(build_learner(settings, network, classifier_losses(settings.training)), start, innate)


def drawn(settings: ImageSettings, trunk: Params | None = None) -> Newborn:
    """The settings' network as it is drawn, before any training but that of its trunk, if one is given."""
    network = settings.network.build(settings.data, settings.seed)
    start, innate = partition(network, network.is_innate)
    return newborn(settings, start, {**innate, **(trunk or {})})


@dataclass(frozen=True)
class PlainMethod(Generic[LivesT]):
    """A way for an ordinary network to learn, as `Method`, but at a rate of Adam that is yet to be chosen."""

    name: str
    title: str
    note: str
    live: Callable[[float, ClassLives], LivesT]

    def at(self, lr: float, **facts: Any) -> Method[ClassLives, LivesT]:
        """The method at a rate."""
        return Method(self.name, self.title, f"{self.note}; Adam {lr:g}", partial(self.live, lr), facts)


_Life = Callable[[Learner, Params, Stream], Iterator[Params]]
"""Lives one life per member, given births and what is met; yields parameters, the last ones at the end."""


def plain_methods(
    settings: ImageSettings, *, steps_per_task: int, ewc_strength: float
) -> dict[str, PlainMethod[LifeAccuracy]]:
    """Lists the ways for the settings' network without hyper-training to learn.

    The settings' seed also orders joint learning and chooses what is replayed; `ewc_strength` is the papers' lambda.
    """
    seed = settings.seed

    def finetune(learner: Learner, births: Params, stream: Stream) -> Iterator[Params]:
        return live(learner, births, {}, *stream, steps_per_batch=steps_per_task)

    def ewc(learner: Learner, births: Params, stream: Stream) -> Iterator[Params]:
        steps = (in_steps(stream.inputs, steps_per_task), in_steps(stream.targets, steps_per_task))
        penalty, num_tasks = elastic_weight_consolidation(ewc_strength), len(stream.inputs)
        return live_with_penalty(learner, births, {}, *steps, penalty=penalty, num_tasks=num_tasks)

    def replaying(learner: Learner, births: Params, stream: Stream) -> Iterator[Params]:
        source = generator(seed, "replay")
        extended = replay(stream, source, replay_batch_size=REPLAY_BATCH, steps_per_batch=steps_per_task)
        return live(learner, births, {}, *extended)

    def jointly(learner: Learner, births: Params, stream: Stream) -> Iterator[Params]:
        return live(learner, births, {}, *in_no_order(stream, steps_per_task=steps_per_task, seed=seed))

    note = f"the same network without hyper-training, all of it plastic, {steps_per_task} updates a class"
    rows: tuple[tuple[str, str, str, _Life], ...] = (
        ("finetune", "finetuned", note, finetune),
        ("ewc", "EWC", f"the same with elastic weight consolidation, strength {ewc_strength:g}", ewc),
        ("replay", "replay buffer", f"the same, keeping every image met and replaying {REPLAY_BATCH} with each update",
         replaying),
        ("joint", "joint", "the same, all classes mixed in every batch", jointly),
    )  # fmt: skip
    return {
        name: PlainMethod(name, title, note, partial(_live_plain, settings, life)) for name, title, note, life in rows
    }


def in_no_order(stream: Stream, *, steps_per_task: int, seed: int) -> Stream:
    """Makes a batch for every update, all images of all classes mixed: each image is met `steps_per_task` times."""
    repeated = Stream(in_steps(stream.inputs, steps_per_task), in_steps(stream.targets, steps_per_task))
    return joint(repeated, generator(seed, "joint order"), whole_batches=False)


def best_rate(
    settings: ImageSettings,
    pools: Pools,
    method: PlainMethod[LifeAccuracy],
    lrs: tuple[float, ...],
    *,
    num_lives: int = _TUNING_LIVES,
) -> tuple[float, dict[str, float]]:
    """Chooses the rate that generalizes best on lives of meta-train classes drawn for this alone.

    Returns:
        The rate, and the generalization by what was tried.
    """
    lives = hold_out(
        replace(settings.life, num_lives=num_lives),
        pools,
        "meta_train",
        num_outputs=settings.network.num_outputs,
        seed=settings.seed,
        purpose="baseline tuning",
    )
    trials = {lr: fmean(scores_of(method.live(lr, lives)).generalization) for lr in lrs}
    return max(trials, key=lambda lr: trials[lr]), {f"{lr:g}": score for lr, score in trials.items()}


def prototype_method(
    embedding: PrototypeEmbedding, *, num_labels: int, note: str = "class means", **facts: Any
) -> ClassMethod:
    """Class means of an embedding that was meta-trained for them: the strongest baseline that is cheap."""
    return Method(
        "prototypes",
        "prototypes, meta-trained",
        f"an embedding of {embedding.size:,} parameters, {note}",
        lambda lives: deploy_prototypes(embedding.features, lives, num_labels=num_labels),
        facts,
    )


def num_plastic(settings: ImageSettings) -> int:
    """Counts the parameters of an ordinary network, all plastic."""
    network = settings.network.build(settings.data, settings.seed)
    return count(dict(network.named_parameters()))


def _live_plain(settings: ImageSettings, life: _Life, lr: float, lives: ClassLives) -> LifeAccuracy:
    """Lives every life from one random network."""
    network = replace(settings.network, zero_start=False).build(settings.data, settings.seed)
    plastic, _ = partition(network, lambda name: False)
    learner = Learner(population_forward(network, plastic), cross_entropy, optimizer("adam"), lr)
    births = stack_members(plastic, len(lives.labels))
    plastic = _end(life(learner, births, Stream(lives.inputs, lives.targets)))
    return accuracy_at_the_end(learner, plastic, {}, lives)


def _end(life: Iterator[Params]) -> Params:
    return deque(life, maxlen=1).pop()
