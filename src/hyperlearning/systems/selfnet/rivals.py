"""Continual learners: one network for all tasks, with a remedy against forgetting whose strength is found on other tasks."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import num_bytes
from hyperlearning.learners.continual.distillation import Distillation
from hyperlearning.learners.continual.learner import ContinualLearner, Remedy, Sgd
from hyperlearning.learners.continual.progress_and_compress import ProgressAndCompress
from hyperlearning.learners.continual.quadratic import Quadratic
from hyperlearning.learners.continual.rehearsal import Rehearsal
from hyperlearning.networks.many_headed import ManyHeaded
from hyperlearning.systems.selfnet.settings import ContinualSettings, TaskTraining
from hyperlearning.systems.selfnet.tasks import Tasks


@runtime_checkable
class Learner(Protocol):
    """What learns tasks one after another with one network."""

    @property
    def num_tasks(self) -> int: ...  # noqa: D102
    def learn(self, images: Tensor, labels: Tensor, source: torch.Generator) -> None: ...  # noqa: D102
    def scores(self, images: Tensor, task: int) -> Tensor: ...  # noqa: D102
    def tensors(self) -> Params: ...  # noqa: D102
    def restore(self, tensors: Params, num_tasks: int) -> None: ...  # noqa: D102


class Rival(NamedTuple):
    """A continual learner.

    Attributes:
        method: Its key in records.
        title: What a figure calls it.
        note: What it is, in a sentence.
        make: Makes one, given a network at birth and a strength.
        first_strength: The first strength that is tried; absent where there is none to find.
    """

    method: str
    title: str
    note: str
    make: Callable[[nn.Module, float], Learner]
    first_strength: float | None = None


def rivals_of(settings: ContinualSettings, training: TaskTraining, tasks: Tasks, *, seed: int) -> Iterator[Rival]:
    """Lists the continual learners of a life but `joint`, which is none."""
    sgd = Sgd(training.task_epochs, training.task_batch, training.task_lr, training.task_momentum)

    def with_remedy(remedy: Callable[[float], Remedy]) -> Callable[[nn.Module, float], Learner]:
        return lambda network, strength: ContinualLearner(network, remedy(strength), sgd, own_heads=settings.own_heads)

    def fisher(every_anchor: bool) -> Callable[[float], Remedy]:
        return lambda strength: Quadratic(
            "fisher", strength=strength, every_anchor=every_anchor, num_images=settings.fisher_images
        )

    found = {
        "sgd": Rival("sgd", "SGD", "one network, nothing against forgetting", with_remedy(lambda _: Remedy())),
        "l2": Rival(
            "l2",
            "L2",
            "one network, pulled to where every task ended",
            with_remedy(lambda strength: Quadratic("ones", strength=strength, every_anchor=True)),
            0.1,
        ),
        "online_l2": Rival(
            "online_l2",
            "online L2",
            "one network, pulled to where the last task ended",
            with_remedy(lambda strength: Quadratic("ones", strength=strength)),
            0.1,
        ),
        "ewc": Rival("ewc", "EWC", "as L2, by Fisher information", with_remedy(fisher(True)), 1000.0),
        "online_ewc": Rival(
            "online_ewc",
            "online EWC",
            "as online L2, by the sum of Fisher information",
            with_remedy(fisher(False)),
            1000.0,
        ),
        "synaptic_intelligence": Rival(
            "synaptic_intelligence",
            "synaptic intelligence",
            "as online L2, by what a parameter took off the loss on its way",
            with_remedy(lambda strength: Quadratic("path", strength=strength)),
            1.0,
        ),
        "distillation": Rival(
            "distillation",
            "learning without forgetting",
            "one network that keeps saying of new images what it said before",
            with_remedy(lambda strength: Distillation(strength=strength)),
            1.0,
        ),
        "progress_and_compress": Rival(
            "progress_and_compress",
            "progress and compress",
            "a new column a task, distilled into one network under online EWC; twice as many updates",
            lambda network, strength: ProgressAndCompress(
                network, sgd, strength=strength, own_heads=settings.own_heads
            ),
            1000.0,
        ),
    }
    for name in settings.learners:
        if name in found:
            yield found[name]
        elif name == "replay":
            yield from (_replay(share, settings, sgd, tasks, seed) for share in settings.replay_shares)


def _replay(share: float, settings: ContinualSettings, sgd: Sgd, tasks: Tasks, seed: int) -> Rival:
    """Replay of as many images as a share of separate networks' bytes leaves room for, all else that it keeps taken off."""

    def remedy(num_kept: int) -> Rehearsal:
        return Rehearsal(num_kept=max(1, num_kept), generator=generator(seed, "replay"))

    grown = ManyHeaded(tasks.first(), own_heads=settings.own_heads)
    for _ in range(len(tasks)):
        grown.add_task()
    bare = num_bytes(grown.state_dict()) + num_bytes(remedy(0).tensors())
    pixels = tasks.test(0).images[0].numel()
    num_kept = int((share * 4 * tasks.num_weights * len(tasks) - bare) // (pixels + 2))

    def make(network: nn.Module, strength: float) -> Learner:
        return ContinualLearner(network, remedy(num_kept), sgd, own_heads=settings.own_heads)

    note = f"one network and {num_kept:,} images, as many bytes as {share:g} times all separate networks"
    return Rival(f"replay_{share:g}", f"replay, {share:g} of the bytes", note, make)
