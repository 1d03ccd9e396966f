"""Compiled CPU kernel for whole windows of gradient descent, differentiable through every step.

Where `kernels.dan` evaluates a population once per call, `unroll.cpp` takes each member through k steps of plain
gradient descent on the mean squared error, and back again: the derivative of what it has become with respect to what it
began as and to the phenotype is exact, second derivatives of the loss included.
"""

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hyperlearning.kernels import toolchain
from hyperlearning.kernels.dan_spec import KernelSpec, check_population, check_supported
from hyperlearning.kernels.tensors import (
    address,
    check_data,
    check_memory,
    contiguous,
    expect,
    only_wanted,
    pointers,
    split_last,
    wants_gradient,
)
from hyperlearning.kernels.toolchain import DOUBLE, INT, LONG, POINTER, Source

# Where not all states are kept, the way back repeats the steps from each kept state to the next. That is faster than
# touching fresh memory all the time, so that it begins long before memory runs out, but then with few steps.
FAST_TAPE_BYTES = 16 << 20
FAST_STRIDE = 16
LARGEST_TAPE_BYTES = 2 << 30
_SOURCE = Source(
    name="unroll",
    what="gradient descent of Deep Artificial Neurons",
    seconds=3,
    functions={
        "unroll_state_size": (LONG,),
        "unroll_forward": (INT, *[INT] * 4, DOUBLE, *[POINTER] * 4, INT, *[POINTER] * 2),
        "unroll_backward": (INT, *[INT] * 4, DOUBLE, *[POINTER] * 4, INT, *[POINTER] * 3),
    },
)


@functools.cache
def build_unrolled(spec: KernelSpec) -> "UnrolledSGD":
    """Compiles the unrolled kernel of a network, or loads it if it was compiled before.

    Raises:
        ValueError: If the network is not supported.
        RuntimeError: If the compiler fails.
    """
    check_supported(spec)
    return UnrolledSGD(spec, toolchain.load(_SOURCE, spec.dtype, definitions=spec.definitions))


class UnrolledSGD:
    """Compiled gradient descent of one network, its `spec`, and its derivative."""

    def __init__(self, spec: KernelSpec, library: ctypes.CDLL) -> None:
        self.spec = spec
        self._library = library
        self._num_maps = len(spec.maps)
        self._shapes = spec.synapse_shapes
        self._phenotype_shapes = spec.phenotype_shapes
        self._phenotype_size = sum(shape.numel() for shape in self._phenotype_shapes)
        self._state_size: int = library.unroll_state_size()

    def __call__(
        self,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        phenotype: Sequence[Tensor],
        x: Tensor,
        y: Tensor,
        lr: float,
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Takes all members through k steps: `theta <- theta - lr * d loss / d theta`.

        A member's loss is its mean squared error over batch and output nodes. States are kept for the way back only if
        any tensor requires a gradient when this is called.

        Args:
            weights: Weight of each map, (members, source nodes, target nodes * channels).
            biases: Bias of each map, (members, target nodes * channels).
            phenotype: Weight (in, out) and bias (out) of each layer, alternating; shared.
            x: Inputs, (k, members, batch, input nodes). Must not require a gradient.
            y: Targets, (k, members, batch, output nodes). Must not require a gradient.
            lr: Rate of the steps.

        Returns:
            Weights and biases after the last step, differentiable once, and the losses before every step, (k, members),
            which have no gradient.

        Raises:
            ValueError: If a tensor does not fit the network, `x` or `y` requires a gradient, or too many members would
                have to be kept for the way back.
        """
        self._check_data(x, y)
        check_population(self.spec, x.shape[1], weights, biases, phenotype)
        inputs = (*weights, *biases, *phenotype)
        x, y = x.contiguous(), y.contiguous()
        if wants_gradient(inputs):
            *synapses, losses = _Apply.apply(self, x, y, lr, *inputs)
        else:
            synapses, losses = self._forward(inputs, x, y, lr, None, 1)
        return synapses[: self._num_maps], synapses[self._num_maps :], losses

    def _check_data(self, x: Tensor, y: Tensor) -> None:
        size, dtype = self.spec.layer_sizes[0], self.spec.dtype
        fits = x.dim() == 4 and x.shape[3] == size and min(x.shape[0], x.shape[2]) > 0
        check_data("x", dtype, fits, f"(k, members, batch, {size}) with k and batch at least 1", x)
        shape = (*x.shape[:3], self.spec.layer_sizes[-1])
        check_data("y", dtype, y.shape == shape, str(shape), y)

    def _forward(
        self, inputs: Sequence[Tensor], x: Tensor, y: Tensor, lr: float, tape: Tensor | None, stride: int
    ) -> tuple[list[Tensor], Tensor]:
        inputs = contiguous(inputs)
        result = [x.new_empty(x.shape[1], *shape) for shape in self._shapes]
        losses = x.new_empty(x.shape[:2])
        sources = (pointers(inputs), x.data_ptr(), y.data_ptr(), address(tape), stride)
        failed = self._library.unroll_forward(*_sizes(x), lr, *sources, pointers(result), losses.data_ptr())
        check_memory(failed)
        return result, losses

    def _new_tape(self, x: Tensor) -> tuple[Tensor, int]:
        """States of all members, and the number of steps from one kept state to the next."""
        steps, members = x.shape[:2]
        each = self._state_size * x.element_size()
        limit = LARGEST_TAPE_BYTES // each
        wanted = f"at most {limit} when a gradient is required (each keeps {each} bytes or more)"
        expect(members <= limit, "members", wanted, members)
        fast = min(_ceil_div(steps, max(1, FAST_TAPE_BYTES // (each * max(1, members)))), FAST_STRIDE)
        stride = max(fast, _ceil_div(steps, limit // max(1, members)))
        return x.new_empty(members, _ceil_div(steps, stride), self._state_size), stride

    def _backward(
        self,
        phenotype: Sequence[Tensor],
        x: Tensor,
        y: Tensor,
        lr: float,
        tape: Tensor,
        stride: int,
        gradients: Sequence[Tensor],
        with_phenotype: bool,
    ) -> list[Tensor | None]:
        phenotype, gradients = contiguous(phenotype), contiguous(gradients)
        result = [x.new_empty(x.shape[1], *shape) for shape in self._shapes]
        # One row per member and, last, their sum.
        flat = x.new_empty(x.shape[1] + 1, self._phenotype_size) if with_phenotype else None
        sources = (pointers(phenotype), x.data_ptr(), y.data_ptr(), tape.data_ptr(), stride, pointers(gradients))
        failed = self._library.unroll_backward(*_sizes(x), lr, *sources, pointers(result), address(flat))
        check_memory(failed)
        return [*result, *split_last(flat, self._phenotype_shapes)]


class _Apply(torch.autograd.Function):
    """Connects a kernel to automatic differentiation."""

    @staticmethod
    def forward(ctx: Any, kernel: UnrolledSGD, x: Tensor, y: Tensor, lr: float, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Makes the steps and keeps the states."""
        tape, ctx.stride = kernel._new_tape(x)
        ctx.kernel, ctx.lr = kernel, lr
        synapses, losses = kernel._forward(inputs, x, y, lr, tape, ctx.stride)
        ctx.save_for_backward(x, y, tape, *inputs[len(synapses) :])
        ctx.mark_non_differentiable(losses)
        return (*synapses, losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Goes back through all steps, from the gradients of what the members have become."""
        x, y, tape, *phenotype = ctx.saved_tensors
        wanted = ctx.needs_input_grad[4:]
        with_phenotype = any(wanted[-len(phenotype) :])
        window = (phenotype, x, y, ctx.lr, tape, ctx.stride)
        results = ctx.kernel._backward(*window, gradients[:-1], with_phenotype)
        return (None, None, None, None, *only_wanted(results, wanted))


def _sizes(x: Tensor) -> tuple[int, int, int, int]:
    return x.shape[0], x.shape[1], x.shape[2], torch.get_num_threads()


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
