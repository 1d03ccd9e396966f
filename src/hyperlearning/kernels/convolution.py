"""Compiled CPU kernel for small convolutional phenotypes.

On a few maps of a few pixels PyTorch's convolutions reach a twentieth of what the processor can do. This module compiles
`convolution.cpp` for one phenotype at a time and takes any number of drives through all of its layers per call.
"""

import ctypes
import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hyperlearning.kernels import toolchain
from hyperlearning.kernels.dan_spec import joined
from hyperlearning.kernels.tensors import (
    address,
    check_memory,
    contiguous,
    expect,
    expect_kind,
    expect_shapes,
    only_wanted,
    pointers,
    split_last,
    wants_gradient,
)
from hyperlearning.kernels.toolchain import INT, LONG, POINTER, Source

# Larger tapes leave the caches: repeating the forward pass is then faster than reading them.
LARGEST_TAPE_BYTES = 1 << 23
# The kernel passes through all weights once per 16 items, which is only fast while they stay in an inner cache. Forward and
# backward of 10 x 10 channels, maps 16 and 8: twice PyTorch's speed with 0.5 MiB of weights, 0.6 times with the authors' 8.3 MiB.
LARGEST_PHENOTYPE_BYTES = 1 << 20
_SOURCE = Source(
    name="convolution",
    what="convolutional phenotypes",
    seconds=2,
    functions={
        "conv_tape_size": (LONG, LONG),
        "conv_num_chunks": (INT, LONG),
        "conv_forward": (INT, LONG, INT, *[POINTER] * 4),
        "conv_backward": (INT, LONG, INT, *[POINTER] * 7),
    },
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvKernelSpec:
    """Everything about a convolutional phenotype that is fixed when its kernel is compiled.

    Attributes:
        num_channels: Size of the drive, a square number.
        maps: Feature maps of each convolution, at least one.
        kernel_size: Side of its kernels.
        hidden_sizes: Units of the dense hidden layers.
        input_activation: Whether the drive passes a leaky ReLU first.
        output_activation: Whether the output does.
        dtype: Floating-point type of all tensors.
    """

    num_channels: int
    maps: tuple[int, ...]
    kernel_size: int
    hidden_sizes: tuple[int, ...]
    input_activation: bool = False
    output_activation: bool = False
    dtype: torch.dtype = torch.float32

    @property
    def shapes(self) -> tuple[torch.Size, ...]:
        """Shapes of the weights and biases, alternating: convolutions, then dense layers."""
        kernel = (self.kernel_size, self.kernel_size)
        convolutions = [((b, a, *kernel), (b,)) for a, b in itertools.pairwise((1, *self.maps))]
        dense = [((a, b), (b,)) for a, b in itertools.pairwise((self._num_features, *self.hidden_sizes, 1))]
        return tuple(map(torch.Size, itertools.chain(*convolutions, *dense)))

    @property
    def side_left(self) -> int:
        """Side of the last convolution's maps."""
        return math.isqrt(self.num_channels) - len(self.maps) * (self.kernel_size - 1)

    @property
    def definitions(self) -> dict[str, object]:
        """The same as macros of `convolution.cpp`."""
        return {
            "CONV_CHANNELS": self.num_channels,
            "CONV_MAPS": joined(self.maps),
            "CONV_UNITS": joined((*self.hidden_sizes, 1)),
            "CONV_KERNEL": self.kernel_size,
            "CONV_INPUT_ACTIVATION": str(self.input_activation).lower(),
            "CONV_OUTPUT_ACTIVATION": str(self.output_activation).lower(),
        }

    @property
    def _num_features(self) -> int:
        return self.maps[-1] * self.side_left**2


def unsupported(spec: ConvKernelSpec) -> str | None:
    """Returns why no kernel can be built for `spec`, or None if one can.

    Args:
        spec: Phenotype to build a kernel for.
    """
    reason = toolchain.why_missing(spec.dtype)
    if reason is not None:
        return reason
    if not spec.maps:
        return "the phenotype has no convolution"
    if min(*spec.maps, *spec.hidden_sizes, spec.kernel_size, spec.num_channels) < 1:
        return "all sizes must be positive"
    if math.isqrt(spec.num_channels) ** 2 != spec.num_channels or spec.side_left < 1:
        return "the channels are not a square that is large enough for the convolutions"
    size = sum(map(math.prod, spec.shapes)) * torch.finfo(spec.dtype).bits // 8
    if size > LARGEST_PHENOTYPE_BYTES:
        return (
            f"the phenotype has {size >> 10} KiB, more than {LARGEST_PHENOTYPE_BYTES >> 10} KiB: "
            "PyTorch's matrix products are faster"
        )
    return None


@functools.cache
def build(spec: ConvKernelSpec) -> "ConvKernel":
    """Compiles the kernel of a phenotype, or loads it if it was compiled before.

    Raises:
        ValueError: If the phenotype is not supported.
        RuntimeError: If the compiler fails.
    """
    reason = unsupported(spec)
    if reason is not None:
        raise ValueError(f"Expected `spec` to be supported, but {reason}: {spec}.")
    return ConvKernel(spec, toolchain.load(_SOURCE, spec.dtype, definitions=spec.definitions))


class ConvKernel:
    """Compiled forward and backward pass of one phenotype, its `spec`."""

    def __init__(self, spec: ConvKernelSpec, library: ctypes.CDLL) -> None:
        self.spec = spec
        self._library = library
        self._shapes = spec.shapes
        self._size = sum(shape.numel() for shape in self._shapes)

    def __call__(self, parameters: Sequence[Tensor], drive: Tensor) -> Tensor:
        """Evaluates the phenotype on every drive.

        Gradients are computed for what requires one when this is called, to first order.

        Args:
            parameters: Weight and bias of each layer, alternating: convolutions (out, in, side, side), dense (in, out).
            drive: Drives, (..., channels).

        Returns:
            Outputs, (...).

        Raises:
            ValueError: If a tensor does not fit the phenotype.
        """
        self._check(parameters, drive)
        if wants_gradient([drive, *parameters]):
            return _Apply.apply(self, drive, *parameters)
        return self._forward(parameters, drive.contiguous(), None)

    def _check(self, parameters: Sequence[Tensor], drive: Tensor) -> None:
        channels = self.spec.num_channels
        fits = drive.dim() > 0 and drive.shape[-1] == channels
        expect(fits, "drive", f"of shape (..., {channels})", tuple(drive.shape))
        expect_shapes("parameters", self._shapes, parameters)
        expect_kind("drive and parameters", self.spec.dtype, drive, *parameters)

    def _new_tape(self, num_items: int, drive: Tensor) -> Tensor | None:
        size = self._library.conv_tape_size(num_items)
        return drive.new_empty(size) if size * drive.element_size() <= LARGEST_TAPE_BYTES else None

    def _forward(self, parameters: Sequence[Tensor], drive: Tensor, tape: Tensor | None) -> Tensor:
        output = drive.new_empty(drive.shape[:-1])
        parameters = contiguous(parameters)
        sizes = (output.numel(), torch.get_num_threads())
        sources = (pointers(parameters), drive.data_ptr(), output.data_ptr(), address(tape))
        check_memory(self._library.conv_forward(*sizes, *sources))
        return output

    def _backward(
        self,
        parameters: Sequence[Tensor],
        drive: Tensor,
        tape: Tensor | None,
        gradient: Tensor,
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """Gradients of drive and parameters, each only if it is wanted."""
        to_drive = torch.empty_like(drive) if wanted[0] else None
        partial = None
        if any(wanted[1:]):
            # One row per chunk and, last, their sum.
            chunks = self._library.conv_num_chunks(gradient.numel())
            partial = gradient.new_empty(chunks + 1, self._size)
        total = None if partial is None else partial[-1]
        parameters, gradient = contiguous(parameters), gradient.contiguous()
        sizes = (gradient.numel(), torch.get_num_threads())
        sources = (pointers(parameters), drive.data_ptr(), address(tape), gradient.data_ptr())
        targets = (address(to_drive), address(partial), address(total))
        check_memory(self._library.conv_backward(*sizes, *sources, *targets))
        return only_wanted([to_drive, *split_last(partial, self._shapes)], wanted)


class _Apply(torch.autograd.Function):
    """Connects a kernel to automatic differentiation."""

    @staticmethod
    def forward(ctx: Any, kernel: ConvKernel, drive: Tensor, *parameters: Tensor) -> Tensor:
        """Evaluates the kernel and keeps its activations."""
        drive = drive.contiguous()
        ctx.kernel, ctx.tape = kernel, kernel._new_tape(math.prod(drive.shape[:-1]), drive)
        ctx.save_for_backward(drive, *parameters)
        return kernel._forward(parameters, drive, ctx.tape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Computes only the gradients that are asked for."""
        drive, *parameters = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]
        return (None, *ctx.kernel._backward(parameters, drive, ctx.tape, gradient, wanted))
