"""What a finished continual run keeps: hypernetworks, and the networks that they write for all tasks."""

from dataclasses import dataclass

from torch import nn

from hyperlearning.core.errors import RunError
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, on_default_device
from hyperlearning.engine.checkpoints import load_latest
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import opened_below
from hyperlearning.learners.deployment import Deployment
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.systems.hypernetworks.continual_comparison import Plan
from hyperlearning.systems.hypernetworks.continual_methods import VARIANTS, hypernet_learner
from hyperlearning.systems.hypernetworks.continual_settings import Variant
from hyperlearning.systems.hypernetworks.continual_tasks import Tasks

_WRITE_WHOLE: tuple[Variant, ...] = ("outputs", "lookahead", "subset", "unkept")
"""Variants whose embeddings are those of networks, as they are."""


@dataclass(frozen=True, kw_only=True)
class WrittenNetworks:
    """A hypernetwork, and the networks that it writes.

    Attributes:
        title: What it is called.
        tasks: What each task is called, in the order in which they were met.
        hyper: The hypernetwork.
        inner_lr: Rate of lives that begin from what it writes.
    """

    title: str
    tasks: tuple[str, ...]
    hyper: Hypernetwork
    inner_lr: float

    def get(self, task: str) -> nn.Module:
        """Writes the network of a task.

        Raises:
            KeyError: If there is no such task.
        """
        if task not in self.tasks:
            raise KeyError(f"Expected one of {'; '.join(self.tasks)}, but got {task!r}.")
        return self.hyper.network(self.tasks.index(task))

    def deployment(self, task: str | None = None) -> Deployment:
        """Begins a life of the network of a task, the first if none is named: all of its weights learn on."""
        network = self.get(self.tasks[0] if task is None else task)
        return Deployment(network, {}, inner_lr=self.inner_lr, loss_fn=cross_entropy)


def written_networks(plan: Plan, record: RunRecord) -> dict[str, WrittenNetworks]:
    """Opens the hypernetworks of a finished run that write whole networks, by their variants.

    Args:
        plan: What the run compares.
        record: The run's.

    Raises:
        RunError: If the run has not finished, or was kept without its hypernetworks.
    """
    if not record.manifest.get("finished"):
        raise RunError(
            f"Expected a finished run, but got {record.path}. Go on with `hyperlearning resume {record.path}`."
        )
    if not (record.path / "systems").is_dir():
        raise RunError(f"Expected hypernetworks in {record.path}, but the record was kept without them. Run it anew.")
    tasks = plan.checked()
    return {
        variant: WrittenNetworks(
            title=VARIANTS[variant].title,
            tasks=tasks.titles,
            hyper=_restored(plan, tasks, record, variant),
            inner_lr=plan.rivals.rival_lr,
        )
        for variant in plan.hyper.variants
        if variant in _WRITE_WHOLE
    }


def _restored(plan: Plan, tasks: Tasks, record: RunRecord, variant: Variant) -> Hypernetwork:
    learner = hypernet_learner(tasks, plan.hyper, variant, seed=plan.seed)
    learner.restore(_last_state(opened_below(record, variant)), len(tasks))
    return learner.hyper


def _last_state(record: RunRecord) -> Params:
    """What a variant's job handed on last."""
    saved, _ = load_latest(record.checkpoints, {"config": record.config})
    if saved is None:
        raise RunError(f"Expected a checkpoint in {record.checkpoints}, but there is none.")
    prefix = "tensors/"
    return {
        name.removeprefix(prefix): on_default_device(tensor)
        for name, tensor in saved.tensors.items()
        if name.startswith(prefix)
    }
