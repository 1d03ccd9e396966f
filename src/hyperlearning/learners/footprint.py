"""How many bytes a hyper step of a population takes, told before any of them is allocated.

The step itself runs on PyTorch's meta device, where tensors have shapes but no numbers, and every tensor that would be alive is
counted: what is estimated is what the code does.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hyperlearning.core.free_bytes import available_bytes, readable_bytes
from hyperlearning.core.params import Params
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step, outer_parameters
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import OptimizerName, optimizer
from hyperlearning.learners.population import population_forward, split_forward
from hyperlearning.networks.trunk import TrunkNetwork

_META = torch.device("meta")


class Footprint(NamedTuple):
    """Bytes alive at the fullest moment of a hyper step.

    Attributes:
        parameters: Plastic ones of all members, the innate ones, and those at birth.
        moments: Of the inner and the outer optimizer.
        gradients: One of each member's plastic parameters, or one of what is learned over lives if that is more.
        working: All else: data, activations kept for the backward pass, new values beside old ones while updates are made.
    """

    parameters: int
    moments: int
    gradients: int
    working: int

    @property
    def total(self) -> int:
        """All of them, in bytes."""
        return sum(self)

    def __str__(self) -> str:
        """The total and its parts."""
        parts = ", ".join(f"{name} {readable_bytes(size)}" for name, size in self._asdict().items())
        return f"{readable_bytes(self.total)} ({parts})"


def population_footprint(
    network: nn.Module,
    is_innate: Callable[[str], bool],
    *,
    population: int,
    batch: int,
    hyper_batch: int,
    input_shape: tuple[int, ...],
    inner_optimizer: OptimizerName = "adam",
    outer_optimizer: OptimizerName = "adam",
    update_every: int = 1,
    through: int = 0,
    learn_start: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Footprint:
    """Estimates the peak bytes of one hyper step in eager PyTorch, allocating none of them.

    Not counted: work space of convolutions and matrix products, fragmentation, PyTorch itself, and data of other steps.

    Args:
        network: The network, on any device, the meta device too. Its values are not used.
        is_innate: Says of each parameter name whether it is innate.
        population: Members, M.
        batch: Examples of one inner update, each member.
        hyper_batch: Examples of one outer update, each member.
        input_shape: Shape of one input, such as (1, 28, 28).
        inner_optimizer: "sgd" or "adam" (two moments for every plastic number).
        outer_optimizer: The same for innate ones.
        update_every: As for `make_hyper_step`.
        through: As for `make_hyper_step`; 0 is first order.
        learn_start: As for `make_hyper_step`.
        dtype: Of all numbers.

    Raises:
        ValueError: If a number is not positive, or `make_hyper_step` refuses its settings.
    """
    if min(population, batch, hyper_batch) < 1:
        raise ValueError(
            "Expected `population`, `batch` and `hyper_batch` to be positive, "
            f"but got {population}, {batch} and {hyper_batch}."
        )
    start: Params = {}
    innate: Params = {}
    for name, tensor in network.named_parameters():
        (innate if is_innate(name) else start)[name] = torch.empty(tensor.shape, device=_META, dtype=dtype)
    plastic = {
        name: torch.empty((population, *tensor.shape), device=_META, dtype=dtype) for name, tensor in start.items()
    }
    inner, outer = optimizer(inner_optimizer), optimizer(outer_optimizer)
    learned = outer_parameters(innate, start, learn_start=learn_start)
    state = HyperState(plastic, inner.init(plastic), innate, start, outer.init(learned))
    learner = _learner(network, plastic, inner_optimizer, len(input_shape), second_order=through > 0)
    step = make_hyper_step(learner, outer, update_every=update_every, through=through, learn_start=learn_start)
    data = _data((update_every, population, batch), (1, population, hyper_batch), input_shape, dtype)
    tally = _Tally()
    for tensor in (*(tensor for params in state for tensor in params.values()), *data):
        tally.add(tensor)
    with tally:
        step(state, data, torch.empty((), device=_META, dtype=dtype))
    parameters = bytes_of([*plastic.values(), *innate.values(), *start.values()])
    moments = bytes_of([*state.plastic_moments.values(), *state.outer_moments.values()])
    gradients = max(bytes_of(plastic.values()), bytes_of(learned.values()))
    return Footprint(parameters, moments, gradients, tally.peak - parameters - moments - gradients)


def check_footprint(estimate: Footprint, *, device: torch.device | str, limit: int | None = None) -> None:
    """Refuses what cannot fit.

    Args:
        estimate: What is needed.
        device: Where.
        limit: Bytes that may be used; what is available there if absent (`available_bytes`).

    Raises:
        ValueError: If more is needed than may be used. The message tells both figures and what needs less.
    """
    limit = available_bytes(device) if limit is None else limit
    if limit is not None and estimate.total > limit:
        raise ValueError(
            f"Expected a population that fits into the {readable_bytes(limit)} available on {device}, but got one that needs "
            f"{estimate}. Less is needed with fewer members, a smaller network or hyper-batch, bfloat16 parameters (half), "
            "checkpointed convolutions, plain SGD as the inner optimizer (no moments), or `through` 0."
        )


class _Tally(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make, for as long as each is alive."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive = 0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def add(self, tensor: Tensor) -> None:
        """Counts a tensor's storage until nothing holds it, once however many tensors share it."""
        storage = tensor.untyped_storage()
        if storage in self._seen:
            return
        self._seen.add(storage)
        self._alive += storage.nbytes()
        self.peak = max(self.peak, self._alive)
        weakref.finalize(storage, self._remove, storage.nbytes())

    def _remove(self, size: int) -> None:
        self._alive -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operation and counts what it returns."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return result


def _learner(
    network: nn.Module, plastic: Params, inner_optimizer: OptimizerName, input_ndim: int, *, second_order: bool
) -> Learner:
    prepare = None
    if isinstance(network, TrunkNetwork):
        prepare, forward = split_forward(network, plastic, input_ndim=input_ndim, second_order=second_order)
    else:
        forward = population_forward(network, plastic, second_order=second_order)
    return Learner(forward, _any_loss, optimizer(inner_optimizer), 0.1, prepare=prepare)


def _any_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Takes about as many bytes as any loss, and needs no targets."""
    return predictions.square().flatten(1).mean(1)


def _data(
    inner: tuple[int, int, int], outer: tuple[int, int, int], input_shape: tuple[int, ...], dtype: torch.dtype
) -> HyperBatch:
    sizes = ((*inner, *input_shape), inner, (*outer, *input_shape), outer)
    return HyperBatch(*(torch.empty(size, device=_META, dtype=dtype) for size in sizes))


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of all numbers of some tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
