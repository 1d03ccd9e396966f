"""What a finished run of stores keeps: the networks of all tasks, as each of its stores recollects them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from hyperlearning.core.errors import RunError
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, on_default_device
from hyperlearning.engine.checkpoints import load_latest
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import opened_below
from hyperlearning.learners.deployment import Deployment
from hyperlearning.systems.selfnet.comparison import CODED, OF_ADAM, SEPARATE, Plan, stores_of_adam
from hyperlearning.systems.selfnet.lines import StoreLine
from hyperlearning.systems.selfnet.lives import coded_vectors, masked_vectors, store_vectors

Recollect = Callable[[Params], Tensor]
"""Maps what a store kept to the vectors of all networks, (K, N)."""


@dataclass(frozen=True, kw_only=True)
class KeptNetworks:
    """The networks of all tasks of a run, in one of its stores. What the store kept is read when it is first needed.

    Attributes:
        title: The store's.
        tasks: What each task is called, in the order in which they were met.
        num_bytes: Everything that the store keeps.
        record: Where it is kept.
        recollect: Maps it to vectors.
        first: Makes a network of the architecture.
        inner_lr: Rate at which task networks were trained.
    """

    title: str
    tasks: tuple[str, ...]
    num_bytes: int
    record: RunRecord
    recollect: Recollect
    first: Callable[[], nn.Module]
    inner_lr: float

    @torch.no_grad()
    def get(self, task: str) -> nn.Module:
        """Recollects the network of a task.

        Raises:
            KeyError: If there is no such task.
            FileError: If what the store kept was altered.
        """
        if task not in self.tasks:
            raise KeyError(f"Expected one of {'; '.join(self.tasks)}, but got {task!r}.")
        network = self.first()
        vectors_KN = self.recollect(_last_state(self.record))
        vector_to_parameters(vectors_KN[self.tasks.index(task)], network.parameters())
        return network

    def deployment(self, task: str | None = None) -> Deployment:
        """Begins a life of the network of a task, the first if none is named: all of its weights learn on."""
        network = self.get(self.tasks[0] if task is None else task)
        return Deployment(network, {}, inner_lr=self.inner_lr, loss_fn=cross_entropy)


def kept_networks(plan: Plan, record: RunRecord) -> dict[str, KeptNetworks]:
    """Opens all stores of a finished run, by their names in its record. Continual learners have one network, and are none.

    Args:
        plan: What the run compares.
        record: The run's.

    Raises:
        RunError: If the run has not finished, or was kept without what its stores hold.
    """
    if not record.manifest.get("finished"):
        raise RunError(
            f"Expected a finished run, but got {record.path}. Go on with `hyperlearning resume {record.path}`."
        )
    tasks, codes, seed = plan.tasks, plan.codes, plan.seed
    recollect: dict[str, Recollect] = {
        SEPARATE: _separate,
        OF_ADAM.format(SEPARATE): _separate,
        "masked": partial(masked_vectors, tasks, masks=plan.masks),
    }
    stores = {**plan.stores, **stores_of_adam(plan.stores)}
    recollect |= {name: partial(store_vectors, tasks, store=store) for name, store in stores.items()}
    recollect |= {
        CODED.format(size): partial(coded_vectors, tasks, codes=codes, code_size=size, seed=seed)
        for size in codes.code_sizes
    }
    return {
        line.method: KeptNetworks(
            title=line.title,
            tasks=tasks.titles,
            num_bytes=line.last.num_bytes,
            record=_opened(record, line.method),
            recollect=recollect[line.method],
            first=tasks.first,
            inner_lr=plan.training.task_lr,
        )
        for line in record.lines(StoreLine)
        if line.method in recollect
    }


def _opened(record: RunRecord, method: str) -> RunRecord:
    if not (record.path / "systems").is_dir():
        raise RunError(f"Expected what stores hold in {record.path}, but the record was kept without it. Run it anew.")
    return opened_below(record, method)


def _last_state(record: RunRecord) -> Params:
    """What a store's job handed on last."""
    saved, _ = load_latest(record.checkpoints, {"config": record.config})
    if saved is None:
        raise RunError(f"Expected a checkpoint in {record.checkpoints}, but there is none.")
    prefix = "tensors/"
    return {
        name.removeprefix(prefix): on_default_device(tensor)
        for name, tensor in saved.tensors.items()
        if name.startswith(prefix)
    }


def _separate(kept: Params) -> Tensor:
    return kept["vectors"]
