"""What a finished run of stores keeps: the networks of all tasks, as each of its stores recollects them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from hyperlearning.core.errors import RunError
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params, on_default_device
from hyperlearning.engine.checkpoints import load_latest
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import opened_below
from hyperlearning.learners.deployment import Deployment
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, symmetric
from hyperlearning.networks.weight_codec.hashed import CodedNetwork
from hyperlearning.networks.weight_codec.masked import MaskedNetwork
from hyperlearning.systems.selfnet.lines import StoreLine, TasksLine
from hyperlearning.systems.selfnet.lives import Store
from hyperlearning.systems.selfnet.settings import CodeSettings, MaskSettings, TaskTraining
from hyperlearning.systems.selfnet.task_networks import first_network

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
        seed: What the architecture's first network follows from.
        inner_lr: Rate at which task networks were trained.
    """

    title: str
    tasks: tuple[str, ...]
    num_bytes: int
    record: RunRecord
    recollect: Recollect
    seed: int
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
        network = first_network(self.seed)
        vectors_KN = self.recollect(_last_state(self.record))
        vector_to_parameters(vectors_KN[self.tasks.index(task)], network.parameters())
        return network

    def deployment(self, task: str | None = None) -> Deployment:
        """Begins a life of the network of a task, the first if none is named: all of its weights learn on."""
        network = self.get(self.tasks[0] if task is None else task)
        return Deployment(network, {}, inner_lr=self.inner_lr, loss_fn=cross_entropy)


def kept_networks(
    record: RunRecord,
    stores: Mapping[str, Store],
    coded: Mapping[str, int],
    *,
    codes: CodeSettings,
    masks: MaskSettings,
    training: TaskTraining,
    seed: int,
) -> dict[str, KeptNetworks]:
    """Opens all stores of a finished run, by their names in its record.

    Args:
        record: The run's.
        stores: Stores of vectors, by name.
        coded: Numbers of a code, by the name of coded networks.
        codes: How they are kept.
        masks: Of masked networks.
        training: Of task networks.
        seed: The run's.

    Raises:
        RunError: If the run has not finished, or was kept without what its stores hold.
    """
    if not record.manifest.get("finished"):
        raise RunError(
            f"Expected a finished run, but got {record.path}. Go on with `hyperlearning resume {record.path}`."
        )
    tasks = record.last(TasksLine).tasks
    recollect: dict[str, Recollect] = {"separate": _separate, "masked": partial(_masked, masks=masks, seed=seed)}
    recollect |= {name: partial(_stored, store=store) for name, store in stores.items()}
    recollect |= {name: partial(_coded, size=size, codes=codes, seed=seed) for name, size in coded.items()}
    return {
        line.method: KeptNetworks(
            title=line.title,
            tasks=tasks,
            num_bytes=line.last.num_bytes,
            record=_opened(record, line.method),
            recollect=recollect[line.method],
            seed=seed,
            inner_lr=training.task_lr,
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


def _stored(kept: Params, *, store: Store) -> Tensor:
    codec = store.make(sum(tensor.numel() for tensor in first_network(0).parameters()))
    codec.restore(kept)
    return codec.recollect()


def _coded(kept: Params, *, size: int, codes: CodeSettings, seed: int) -> Tensor:
    codec = QuantisedResiduals(size, symmetric(codes.code_bits), coder="none", around="zero")
    codec.restore(kept)
    network, vectors = CodedNetwork(first_network(seed), code_size=size, seed=seed), []
    for code in codec.recollect():
        network.load_code(code)
        vectors.append(parameters_to_vector(network.weights().values()))
    return torch.stack(vectors)


def _masked(kept: Params, *, masks: MaskSettings, seed: int) -> Tensor:
    network = MaskedNetwork(first_network(seed), share=masks.mask_share)
    return torch.stack([parameters_to_vector(network.masked(bits).values()) for bits in kept["bits"]])
