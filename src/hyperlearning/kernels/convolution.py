"""Compiled CPU kernel for small convolutional phenotypes.

On a few maps of a few pixels PyTorch's convolutions reach a twentieth of what the processor can do. This module compiles
`convolution.cpp` for one phenotype at a time and takes any number of drives through all of its layers per call.
"""

import ctypes
import dataclasses
import functools
import itertools
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hyperlearning.kernels.dan import (
    REALS,
    _address,
    _check_memory,
    _expect,
    _joined,
    _shape_error,
    command_for,
    library_of,
    missing_toolchain,
)

SOURCE = pathlib.Path(__file__).with_name("convolution.cpp")
# Larger tapes leave the caches: repeating the forward pass is then faster than reading them.
LARGEST_TAPE_BYTES = 1 << 23
# The kernel passes through all weights once per 16 items, which is only fast while they stay in an inner cache. Forward and
# backward of 10 x 10 channels, maps 16 and 8: twice PyTorch's speed with 0.5 MiB of weights, 0.6 times with the authors' 8.3 MiB.
LARGEST_PHENOTYPE_BYTES = 1 << 20


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
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the weights and biases, alternating: convolutions, then dense layers."""
        kernel = (self.kernel_size, self.kernel_size)
        convolutions = [((b, a, *kernel), (b,)) for a, b in itertools.pairwise((1, *self.maps))]
        dense = [((a, b), (b,)) for a, b in itertools.pairwise((self._num_features, *self.hidden_sizes, 1))]
        return tuple(itertools.chain(*convolutions, *dense))

    @property
    def side_left(self) -> int:
        """Side of the last convolution's maps."""
        return math.isqrt(self.num_channels) - len(self.maps) * (self.kernel_size - 1)

    @property
    def _num_features(self) -> int:
        return self.maps[-1] * self.side_left**2


def unsupported(spec: ConvKernelSpec) -> str | None:
    """Returns why no kernel can be built for `spec`, or None if one can.

    Args:
        spec: Phenotype to build a kernel for.
    """
    reason = missing_toolchain(spec.dtype)
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

    Args:
        spec: Phenotype to build a kernel for.

    Returns:
        The kernel.

    Raises:
        ValueError: If the phenotype is not supported.
        RuntimeError: If the compiler fails.
    """
    reason = unsupported(spec)
    if reason is not None:
        raise ValueError(f"Expected `spec` to be supported, but {reason}: {spec}.")
    return ConvKernel(spec, _load(library_of(command_for(SOURCE, _definitions(spec)))))


def _definitions(spec: ConvKernelSpec) -> list[str]:
    values = {
        "REAL": REALS[spec.dtype],
        "CHANNELS": spec.num_channels,
        "MAPS": _joined(spec.maps),
        "UNITS": _joined((*spec.hidden_sizes, 1)),
        "KERNEL": spec.kernel_size,
        "INPUT_ACTIVATION": str(spec.input_activation).lower(),
        "OUTPUT_ACTIVATION": str(spec.output_activation).lower(),
    }
    return [f"-DCONV_{name}={value}" for name, value in values.items()]


def _load(path: pathlib.Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    count, number, pointer = ctypes.c_long, ctypes.c_int, ctypes.c_void_p
    library.conv_tape_size.argtypes = [count]
    library.conv_tape_size.restype = count
    library.conv_num_chunks.argtypes = [count]
    library.conv_num_chunks.restype = number
    library.conv_forward.argtypes = [count, number, *[pointer] * 4]
    library.conv_forward.restype = number
    library.conv_backward.argtypes = [count, number, *[pointer] * 7]
    library.conv_backward.restype = number
    return library


class ConvKernel:
    """Compiled forward and backward pass of one phenotype.

    Attributes:
        spec: The phenotype.
    """

    def __init__(self, spec: ConvKernelSpec, library: ctypes.CDLL) -> None:
        """Initialises the kernel.

        Args:
            spec: The phenotype.
            library: Its compiled library.
        """
        self.spec = spec
        self._library = library
        self._shapes = [torch.Size(shape) for shape in spec.shapes]
        self._sizes = [shape.numel() for shape in self._shapes]
        self._pointers = ctypes.c_void_p * len(self._shapes)
        self._item_bytes = torch.finfo(spec.dtype).bits // 8

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
        if torch.is_grad_enabled() and (drive.requires_grad or any(tensor.requires_grad for tensor in parameters)):
            return _Apply.apply(self, drive, *parameters)
        return self._forward(parameters, drive.contiguous(), None)

    def _check(self, parameters: Sequence[Tensor], drive: Tensor) -> None:
        channels = self.spec.num_channels
        _expect(drive.dim() > 0 and drive.shape[-1] == channels, "drive", f"of shape (..., {channels})", drive.shape)
        _expect(len(parameters) == len(self._shapes), "parameters", f"{len(self._shapes)} tensors", len(parameters))
        for tensor, shape in zip(parameters, self._shapes, strict=True):
            if tensor.shape != shape:
                raise _shape_error("parameters", tuple(shape), tensor)
        for tensor in (drive, *parameters):
            kind = f"{tensor.dtype} on {tensor.device}"
            fits = tensor.dtype == self.spec.dtype and tensor.is_cpu
            _expect(fits, "drive and parameters", f"{self.spec.dtype} on cpu", kind)

    def _new_tape(self, num_items: int, drive: Tensor) -> Tensor | None:
        size = self._library.conv_tape_size(num_items)
        return drive.new_empty(size) if size * self._item_bytes <= LARGEST_TAPE_BYTES else None

    def _forward(self, parameters: Sequence[Tensor], drive: Tensor, tape: Tensor | None) -> Tensor:
        output = drive.new_empty(drive.shape[:-1])
        kept = [tensor.contiguous() for tensor in parameters]
        pointers = self._pointers(*[tensor.data_ptr() for tensor in kept])
        sizes = (output.numel(), torch.get_num_threads())
        addresses = (drive.data_ptr(), output.data_ptr(), _address(tape))
        _check_memory(self._library.conv_forward(*sizes, pointers, *addresses))
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
        partial = self._new_parameter_gradients(gradient) if any(wanted[1:]) else None
        if to_drive is not None or partial is not None:
            self._run_backward(parameters, drive, tape, gradient, to_drive, partial)
        gradients = [to_drive, *self._split(partial)]
        return [g if w else None for g, w in zip(gradients, wanted, strict=True)]

    def _new_parameter_gradients(self, gradient: Tensor) -> Tensor:
        """One row per chunk and, last, their sum."""
        return gradient.new_empty(self._library.conv_num_chunks(gradient.numel()) + 1, sum(self._sizes))

    def _run_backward(
        self,
        parameters: Sequence[Tensor],
        drive: Tensor,
        tape: Tensor | None,
        gradient: Tensor,
        to_drive: Tensor | None,
        partial: Tensor | None,
    ) -> None:
        gradient = gradient.contiguous()
        kept = [tensor.contiguous() for tensor in parameters]
        pointers = self._pointers(*[tensor.data_ptr() for tensor in kept])
        sizes = (gradient.numel(), torch.get_num_threads())
        total = None if partial is None else partial[-1]
        sources = (pointers, drive.data_ptr(), _address(tape), gradient.data_ptr())
        targets = (_address(to_drive), _address(partial), _address(total))
        _check_memory(self._library.conv_backward(*sizes, *sources, *targets))

    def _split(self, partial: Tensor | None) -> list[Tensor | None]:
        if partial is None:
            return [None] * len(self._shapes)
        parts = partial[-1].split(self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]


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
