"""Compiled CPU kernel for networks of Deep Artificial Neurons.

PyTorch spends most of a small network's time on dispatching operations. This module compiles
`dan.cpp` for one network at a time and evaluates a whole population of members per call.
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
    only_wanted,
    pointers,
    split_last,
    wants_gradient,
)
from hyperlearning.kernels.toolchain import INT, LONG, POINTER, Source

# Larger tapes leave the caches: repeating the forward pass is then faster than reading them.
LARGEST_TAPE_BYTES = 1 << 22
_SOURCE = Source(
    name="dan",
    what="networks of Deep Artificial Neurons",
    seconds=4,
    functions={
        "dan_tape_size": (LONG, INT),
        "dan_forward": (INT, *[INT] * 3, *[POINTER] * 4),
        "dan_backward": (INT, *[INT] * 3, *[POINTER] * 7),
        "dan_tanh": (None, LONG, POINTER, POINTER),
    },
)


@functools.cache
def build(spec: KernelSpec) -> "Kernel":
    """Compiles the kernel of a network, or loads it if it was compiled before.

    Raises:
        ValueError: If the network is not supported.
        RuntimeError: If the compiler fails.
    """
    check_supported(spec)
    return Kernel(spec, toolchain.load(_SOURCE, spec.dtype, definitions=spec.definitions))


class Kernel:
    """Compiled forward and backward pass of one network, its `spec`."""

    def __init__(self, spec: KernelSpec, library: ctypes.CDLL) -> None:
        self.spec = spec
        self._library = library
        self._num_synapses = len(spec.synapse_shapes)
        self._phenotype_shapes = spec.phenotype_shapes
        self._phenotype_size = sum(shape.numel() for shape in self._phenotype_shapes)

    def __call__(
        self,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        phenotype: Sequence[Tensor],
        x: Tensor,
    ) -> Tensor:
        """Evaluates all members. A sample with an infinite or NaN input has NaN outputs.

        Gradients are computed for synapses if any of them requires one when this is called, and
        likewise for the phenotype. Pass detached tensors to save what is not wanted.

        Args:
            weights: Weight of each map, (members, source nodes, target nodes * channels).
            biases: Bias of each map, (members, target nodes * channels).
            phenotype: Weight (in, out) and bias (out) of each layer, alternating; shared.
            x: Inputs, (members, batch, input nodes). Must not require a gradient.

        Returns:
            Outputs, (members, batch, output nodes).

        Raises:
            ValueError: If a tensor does not fit the network or `x` requires a gradient.
        """
        size = self.spec.layer_sizes[0]
        check_data("x", self.spec.dtype, x.dim() == 3 and x.shape[2] == size, f"(members, batch, {size})", x)
        check_population(self.spec, x.shape[0], weights, biases, phenotype)
        inputs = (*weights, *biases, *phenotype)
        if wants_gradient(inputs):
            return _Apply.apply(self, x.contiguous(), *inputs)
        return self._forward(inputs, x.contiguous(), None)

    def tanh(self, x: Tensor) -> Tensor:
        """Evaluates the kernel's own tanh on contiguous values of the kernel's dtype."""
        y = torch.empty_like(x)
        self._library.dan_tanh(x.numel(), x.data_ptr(), y.data_ptr())
        return y

    def _forward(self, inputs: Sequence[Tensor], x: Tensor, tape: Tensor | None) -> Tensor:
        inputs = contiguous(inputs)
        y = x.new_empty(x.shape[0], x.shape[1], self.spec.layer_sizes[-1])
        sources = (pointers(inputs), x.data_ptr(), y.data_ptr(), address(tape))
        check_memory(self._library.dan_forward(*_sizes(x), *sources))
        return y

    def _new_tape(self, x: Tensor) -> Tensor | None:
        size = x.shape[0] * self._library.dan_tape_size(x.shape[1])
        return x.new_empty(size) if size * x.element_size() <= LARGEST_TAPE_BYTES else None

    def _backward(
        self,
        inputs: Sequence[Tensor],
        x: Tensor,
        tape: Tensor | None,
        y_gradient: Tensor,
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        count = self._num_synapses
        synapses = None
        if any(wanted[:count]):
            synapses = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in inputs[:count]]
        # One row per member and, last, their sum.
        partial = x.new_empty(x.shape[0] + 1, self._phenotype_size) if any(wanted[count:]) else None
        total = None if partial is None else partial[-1]
        inputs, y_gradient = contiguous(inputs), y_gradient.contiguous()
        sources = (pointers(inputs), x.data_ptr(), address(tape), y_gradient.data_ptr())
        targets = (pointers(synapses), address(partial), address(total))
        check_memory(self._library.dan_backward(*_sizes(x), *sources, *targets))
        return only_wanted([*(synapses or [None] * count), *split_last(partial, self._phenotype_shapes)], wanted)


class _Apply(torch.autograd.Function):
    """Connects a kernel to automatic differentiation."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, x: Tensor, *inputs: Tensor) -> Tensor:
        """Evaluates the kernel and keeps its activations."""
        ctx.kernel, ctx.tape = kernel, kernel._new_tape(x)
        ctx.save_for_backward(x, *inputs)
        return kernel._forward(inputs, x, ctx.tape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Computes only the gradients that are asked for."""
        x, *inputs = ctx.saved_tensors
        wanted = ctx.needs_input_grad[2:]
        return (None, None, *ctx.kernel._backward(inputs, x, ctx.tape, y_gradient, wanted))


def _sizes(x: Tensor) -> tuple[int, int, int]:
    return x.shape[0], x.shape[1], torch.get_num_threads()
