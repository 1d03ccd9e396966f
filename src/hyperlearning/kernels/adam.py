"""Compiled CPU kernel for Adam: one pass over memory where PyTorch makes a dozen, with the same results up to rounding.

An update without a graph reads and writes each number once. Written with PyTorch's own operations every intermediate result
goes to memory and back, which takes longer than the gradients do when the synapses leave the caches.
"""

import ctypes
import functools
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from hyperlearning.kernels import toolchain
from hyperlearning.kernels.tensors import contiguous, expect_kind, expect_shapes, pointers
from hyperlearning.kernels.toolchain import DOUBLE, INT, LONG, POINTER, Source

# With fewer numbers compiling takes longer than the kernel ever saves.
FEWEST_NUMBERS = 1 << 12
_SOURCE = Source(
    name="adam",
    what="Adam",
    seconds=2,
    functions={"adam_update": (None, INT, *[POINTER] * 5, INT)},
    flags=("-ffp-contract=off",),
)


class AdamRule(NamedTuple):
    """The constants of Adam, by the names of `optimizers.adam`."""

    beta1: float
    beta2: float
    eps: float
    tiny: float


class Moved(NamedTuple):
    """What an update leads to, in the order of its tensors."""

    values: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]


def fits(tensors: Sequence[Tensor]) -> bool:
    """Says whether the kernel can be used for all these tensors, and is worth it.

    Args:
        tensors: Values, gradients and moments.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    dtype = tensors[0].dtype
    if sum(tensor.numel() for tensor in tensors) < 4 * FEWEST_NUMBERS:
        return False
    # Tensors of other classes, such as those inside `torch.vmap`, have no memory of their own.
    plain = all(type(t) in (Tensor, torch.nn.Parameter) and t.is_cpu and t.dtype == dtype for t in tensors)
    return plain and library_for(dtype) is not None


def update(
    rule: AdamRule,
    values: Sequence[Tensor],
    grads: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    *,
    correction: Tensor,
    rate: Tensor,
) -> Moved:
    """Makes one update of all tensors.

    Args:
        rule: Adam's constants.
        values: Tensors to update; they are left as they are.
        grads: Their gradients.
        first: First moments.
        second: Second moments.
        correction: `1 - beta2**count`, of no dimensions.
        rate: `lr / (1 - beta1**count)`, of no dimensions.

    Returns:
        New values and moments.

    Raises:
        ValueError: If there are not as many tensors of each kind, of the same shapes and precision.
    """
    dtype = values[0].dtype
    library, shapes = library_for(dtype), [tensor.shape for tensor in values]
    assert library is not None
    for name, tensors in (("values", values), ("grads", grads), ("first", first), ("second", second)):
        # Tensors may be many and small: one comparison of all, and words only where it fails.
        if [tensor.shape for tensor in tensors] != shapes:
            expect_shapes(name, shapes, tensors)
        if any(tensor.dtype != dtype for tensor in tensors):
            expect_kind(name, dtype, *tensors)
    read = [contiguous(tensors) for tensors in (values, grads, first, second)]
    moved = Moved(*([torch.empty_like(tensor) for tensor in read[0]] for _ in range(3)))
    rows = zip(*read, *moved, strict=True)
    count = len(values)
    sizes = (LONG * count)(*(tensor.numel() for tensor in values))
    constants = (rule.beta1, 1 - rule.beta1, rule.beta2, 1 - rule.beta2, rule.tiny, rule.eps)
    correction, rate = correction.to(dtype), rate.to(dtype)
    tensors, numbers = pointers([*chain.from_iterable(rows)]), (DOUBLE * len(constants))(*constants)
    threads = torch.get_num_threads()
    library.adam_update(count, sizes, tensors, numbers, correction.data_ptr(), rate.data_ptr(), threads)
    return moved


@functools.cache
def library_for(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The kernel for numbers of this type; nothing where none can be built."""
    return toolchain.load_or_warn(_SOURCE, dtype, without="the compiled Adam, several times slower")
