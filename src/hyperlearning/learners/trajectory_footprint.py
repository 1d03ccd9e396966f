"""How many bytes a meta-step of OML and ANML takes, told before any of them is allocated."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners.footprint import bytes_of
from hyperlearning.learners.inner_loop import inner_steps
from hyperlearning.learners.trajectory import TrajectoryNetwork, trajectory_learner


class TrajectoryFootprint(NamedTuple):
    """What a meta-step needs at its peak, in bytes.

    Attributes:
        parameters: Parameters, both moments of Adam, their next values and gradients.
        inner_graph: What the updates that the outer gradient is taken through keep.
        outer_graph: What the meta-loss keeps.
    """

    parameters: int
    inner_graph: int
    outer_graph: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


def trajectory_footprint(
    network: TrajectoryNetwork,
    input_shape: Sequence[int],
    *,
    through: int,
    outer_batch_size: int,
    population: int = 1,
    checkpoint: bool = False,
) -> TrajectoryFootprint:
    """Estimates the bytes of a meta-step before any are taken, by going through it on tensors without storage.

    Args:
        network: The network, an `nn.Module`.
        input_shape: Shape of one input.
        through: Updates that the outer gradient is taken through.
        outer_batch_size: Examples of the meta-loss: trajectory and remember set.
        population: Members side by side.
        checkpoint: As for `trajectory_learner`.

    Returns:
        Bytes. What PyTorch itself takes, and what a step frees within itself, is not counted.
    """
    assert isinstance(network, nn.Module)
    # What is neither plastic nor innate, such as random gates, is part of the module itself.
    network = copy.deepcopy(network).to("meta")
    learner = trajectory_learner(network, inner_lr=1.0, checkpoint=checkpoint)  # pyright: ignore[reportArgumentType]
    start, innate = ({name: _ghost(t) for name, t in part.items()} for part in partition(network, network.is_innate))  # pyright: ignore[reportArgumentType]
    plastic = {name: tensor.requires_grad_() for name, tensor in stack_members(start, population).items()}
    dtype = next(iter(start.values())).dtype

    def batch(*sizes: int) -> tuple[Tensor, Tensor]:
        some = (*sizes, population)
        outer = (1,) if sizes else (outer_batch_size,)
        images = torch.empty((*some, *outer, *input_shape), dtype=dtype, device="meta")
        return images, torch.empty((*some, *outer), dtype=torch.int64, device="meta")

    with _Kept() as inner:
        moments: Params = {}
        if through:
            inputs, targets = batch(through)
            data = learner.prepared(innate, inputs), targets
            plastic, moments, _ = inner_steps(learner, plastic, moments, innate, *data, create_graph=True)
    with _Kept(inner) as outer:
        inputs, targets = batch()
        learner.loss_fn(learner.forward(plastic, innate, learner.prepared(innate, inputs)), targets)
    own, births = bytes_of([*start.values(), *innate.values()]), bytes_of(plastic.values())
    # Of every learned number: itself, two moments, the next three, a gradient and what Adam makes on the way.
    return TrajectoryFootprint(8 * own + 2 * births, inner.bytes, outer.bytes)


def check_trajectory_footprint(footprint: TrajectoryFootprint, *, available: int) -> None:
    """Refuses a meta-step that cannot fit.

    Args:
        footprint: What it needs.
        available: Bytes there are.

    Raises:
        ValueError: If it needs more; the message says which options shrink it.
    """
    if footprint.total > available:
        parts = ", ".join(
            f"{size / 1e9:.2f} GB for {name.replace('_', ' ')}" for name, size in footprint._asdict().items()
        )
        raise ValueError(
            f"Expected a meta-step that fits in {available / 1e9:.2f} GB, "
            f"but got one of {footprint.total / 1e9:.2f} GB ({parts}). "
            "Take the outer gradient through fewer updates (`through`), compute activations again (`checkpoint`), "
            "use a smaller `width`, or fewer members side by side."
        )


class _Kept:
    """Counts what a graph keeps, each storage once."""

    def __init__(self, known: "_Kept | None" = None) -> None:
        self.storages: dict[int, torch.UntypedStorage] = dict(known.storages) if known else {}
        self.bytes = 0
        self.hooks = saved_tensors_hooks(self._keep, lambda tensor: tensor)

    def _keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.storages:
            # Holding it keeps its address from being given to another.
            self.storages[storage._cdata] = storage
            self.bytes += storage.nbytes()
        return tensor

    def __enter__(self) -> "_Kept":
        self.hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.hooks.__exit__(*error)


def _ghost(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta").requires_grad_()
