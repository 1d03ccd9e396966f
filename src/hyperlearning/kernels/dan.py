"""Compiled CPU kernel for networks of Deep Artificial Neurons.

PyTorch spends most of a small network's time on dispatching operations. This module compiles
`dan.cpp` for one network at a time and evaluates a whole population of members per call.
"""

import ctypes
import dataclasses
import functools
import hashlib
import itertools
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import platformdirs
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SOURCE = pathlib.Path(__file__).with_name("dan.cpp")
COMPILERS = ("c++", "g++", "clang++")
# Not `-ffast-math`: it lets the compiler drop the NaNs that diverged members are recognised by.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
    "-pthread",
)
REALS = {torch.float32: "float", torch.float64: "double"}
# Larger tapes leave the caches: repeating the forward pass is then faster than reading them.
LARGEST_TAPE_BYTES = 1 << 22


@dataclasses.dataclass(frozen=True)
class KernelSpec:
    """Everything about a network that is fixed when its kernel is compiled.

    Attributes:
        layer_sizes: Number of nodes per layer, the input layer first.
        maps: Pairs of source and target layer, in the order in which synapses are passed.
        num_channels: Number of channels per node.
        hidden_sizes: Hidden sizes of the phenotype.
        output_tanh: Whether the phenotype's last layer is followed by tanh, in all nodes.
        output_scale: Factor applied to the outputs of the last layer only.
        dtype: Floating-point type of all tensors.
    """

    layer_sizes: tuple[int, ...]
    maps: tuple[tuple[int, int], ...]
    num_channels: int
    hidden_sizes: tuple[int, ...]
    output_tanh: bool = True
    output_scale: float = 1.0
    dtype: torch.dtype = torch.float32

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes of the phenotype's layers, channels first and the single output last."""
        return (self.num_channels, *self.hidden_sizes, 1)

    @property
    def phenotype_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the phenotype's weights and biases, alternating."""
        pairs = itertools.pairwise(self.widths)
        return tuple(shape for fan_in, fan_out in pairs for shape in ((fan_in, fan_out), (fan_out,)))


def unsupported(spec: KernelSpec) -> str | None:
    """Returns why no kernel can be built for `spec`, or None if one can.

    Args:
        spec: Network to build a kernel for.
    """
    return missing_toolchain(spec.dtype) or _invalid_sizes(spec) or _invalid_maps(spec)


def missing_toolchain(dtype: torch.dtype) -> str | None:
    """Returns why no kernel of any network can be built here for `dtype`, or None if one can.

    Args:
        dtype: Floating-point type of all tensors.
    """
    if dtype not in REALS:
        return f"dtype {dtype} is neither float32 nor float64"
    if sys.platform == "win32":
        return "kernels need a POSIX system"
    if _compiler() is None:
        return f"no C++ compiler found (looked for CXX and {', '.join(COMPILERS)})"
    return None


def _invalid_sizes(spec: KernelSpec) -> str | None:
    if len(spec.layer_sizes) < 2:
        return "there are fewer than two layers"
    if not spec.hidden_sizes:
        return "the phenotype has no hidden layer"
    if min(*spec.layer_sizes, *spec.widths) < 1:
        return "all sizes must be positive"
    return None


def _invalid_maps(spec: KernelSpec) -> str | None:
    last = len(spec.layer_sizes) - 1
    if any(not 0 <= a < b <= last for a, b in spec.maps):
        return "maps must lead from a layer to a later one"
    if len(set(spec.maps)) < len(spec.maps):
        return "maps must be distinct"
    if {b for _, b in spec.maps} != set(range(1, last + 1)):
        return "every layer after the first needs a map into it"
    return None


@functools.cache
def build(spec: KernelSpec) -> "Kernel":
    """Compiles the kernel of a network, or loads it if it was compiled before.

    Args:
        spec: Network to build a kernel for.

    Returns:
        The kernel.

    Raises:
        ValueError: If the network is not supported.
        RuntimeError: If the compiler fails.
    """
    reason = unsupported(spec)
    if reason is not None:
        raise ValueError(f"Expected `spec` to be supported, but {reason}: {spec}.")
    return Kernel(spec, _load(library_of(_command(spec))))


def _compiler() -> list[str] | None:
    """Command of the system compiler; like in make, CXX may contain arguments."""
    wanted = shlex.split(os.environ.get("CXX", ""))
    for command in (wanted, *([name] for name in COMPILERS)):
        path = shutil.which(command[0]) if command else None
        if path is not None:
            return [path, *command[1:]]
    return None


def _command(spec: KernelSpec, source: pathlib.Path = SOURCE) -> list[str]:
    return command_for(source, _definitions(spec))


def command_for(source: pathlib.Path, definitions: Sequence[str]) -> list[str]:
    """Returns the command that compiles a source file with these definitions, but for where its output goes.

    Args:
        source: The file.
        definitions: Macros, as the compiler's arguments.
    """
    return [*(_compiler() or []), *FLAGS, *definitions, str(source)]


def _definitions(spec: KernelSpec) -> list[str]:
    values = {
        "REAL": REALS[spec.dtype],
        "SIZES": _joined(spec.layer_sizes),
        "FROM": _joined(a for a, _ in spec.maps),
        "TO": _joined(b for _, b in spec.maps),
        "WIDTHS": _joined(spec.widths),
        "OUTPUT_TANH": str(spec.output_tanh).lower(),
        "OUTPUT_SCALE": repr(float(spec.output_scale)),
    }
    return [f"-DDAN_{name}={value}" for name, value in values.items()]


def _joined(values: Any) -> str:
    return ",".join(str(value) for value in values)


def library_of(command: list[str]) -> pathlib.Path:
    """Returns the compiled library of a command, from the cache if possible.

    Args:
        command: What `command_for` returned.

    Raises:
        RuntimeError: If the compiler fails.
    """
    target = _cache_directory() / f"{pathlib.Path(command[-1]).stem}-{_fingerprint(command)}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _compile(command, target)
    return target


def _cache_directory() -> pathlib.Path:
    root = os.environ.get("HYPERLEARNING_CACHE") or platformdirs.user_cache_dir("hyperlearning")
    return pathlib.Path(root) / "kernels"


def _fingerprint(command: list[str]) -> str:
    parts = (*_texts(pathlib.Path(command[-1])), shlex.join(command[:-1]), _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _texts(source: pathlib.Path) -> list[str]:
    """A source file and the files of ours that it includes."""
    text = source.read_text(encoding="utf-8")
    included = re.findall(r'^#include "(.+)"$', text, flags=re.MULTILINE)
    return [text, *(more for path in included for more in _texts(source.parent / path))]


@functools.cache
def _processor() -> str:
    """Model and instruction sets: `-march=native` may not run on another processor."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kept = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(kept)}))


def _compile(command: list[str], target: pathlib.Path) -> None:
    """Other processes may compile the same library, so that it appears in one step."""
    handle, path = tempfile.mkstemp(suffix=".so", dir=target.parent)
    os.close(handle)
    try:
        result = subprocess.run([*command, "-o", path], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"Compiling {pathlib.Path(command[-1]).name} failed:\n{result.stderr.strip()}")
        os.replace(path, target)
    finally:
        pathlib.Path(path).unlink(missing_ok=True)


def _load(path: pathlib.Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    number, pointer = ctypes.c_int, ctypes.c_void_p
    library.dan_tape_size.argtypes = [number]
    library.dan_tape_size.restype = ctypes.c_long
    library.dan_path.argtypes = [number]
    library.dan_forward.argtypes = [number] * 3 + [pointer] * 4
    library.dan_forward.restype = number
    library.dan_backward.argtypes = [number] * 3 + [pointer] * 7
    library.dan_backward.restype = number
    library.dan_tanh.argtypes = [ctypes.c_long, pointer, pointer]
    library.dan_tanh.restype = None
    return library


class Kernel:
    """Compiled forward and backward pass of one network.

    Attributes:
        spec: The network.
    """

    def __init__(self, spec: KernelSpec, library: ctypes.CDLL) -> None:
        """Initialises the kernel.

        Args:
            spec: The network.
            library: Its compiled library.
        """
        self.spec = spec
        self._library = library
        self._num_maps = len(spec.maps)
        self._shapes = _shapes_per_member(spec)
        self._num_inputs = len(self._shapes) + len(spec.phenotype_shapes)
        self._pointers = ctypes.c_void_p * self._num_inputs
        self._gradient_pointers = ctypes.c_void_p * len(self._shapes)
        self._phenotype_shapes = [torch.Size(shape) for shape in spec.phenotype_shapes]
        self._phenotype_sizes = [shape.numel() for shape in self._phenotype_shapes]
        self._item_bytes = torch.finfo(spec.dtype).bits // 8

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
        inputs = (*weights, *biases, *phenotype)
        self._check(inputs, len(weights), len(biases), x)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
            return _Apply.apply(self, x.contiguous(), *inputs)
        return self._forward(inputs, x.contiguous(), None)

    def tanh(self, x: Tensor) -> Tensor:
        """Evaluates the kernel's own tanh.

        Args:
            x: Contiguous values of the kernel's dtype.

        Returns:
            Their hyperbolic tangents.
        """
        y = torch.empty_like(x)
        self._library.dan_tanh(x.numel(), x.data_ptr(), y.data_ptr())
        return y

    def _check(self, inputs: Sequence[Tensor], weights: int, biases: int, x: Tensor) -> None:
        _expect(weights == self._num_maps, "weights", f"{self._num_maps} tensors", weights)
        _expect(biases == self._num_maps, "biases", f"{self._num_maps} tensors", biases)
        count = len(inputs) - weights - biases
        _expect(count == len(self._phenotype_shapes), "phenotype", "a full phenotype", count)
        self._check_x(x)
        members = x.shape[0]
        for tensor, shape in zip(inputs, self._shapes, strict=False):
            if tensor.shape != (members, *shape):
                raise _shape_error("synapses", (members, *shape), tensor)
        for tensor, shape in zip(inputs[weights + biases :], self._phenotype_shapes, strict=True):
            if tensor.shape != shape:
                raise _shape_error("phenotype", tuple(shape), tensor)
        for tensor in inputs:
            if tensor.dtype != self.spec.dtype or not tensor.is_cpu:
                raise self._kind_error("synapses and phenotype", tensor)

    def _check_x(self, x: Tensor) -> None:
        size = self.spec.layer_sizes[0]
        fits = x.dim() == 3 and x.shape[2] == size
        _expect(fits, "x", f"of shape (members, batch, {size})", tuple(x.shape))
        if x.dtype != self.spec.dtype or not x.is_cpu:
            raise self._kind_error("x", x)
        _expect(not x.requires_grad, "x", "constant", "a tensor that requires a gradient")

    def _kind_error(self, name: str, tensor: Tensor) -> ValueError:
        kind = f"{tensor.dtype} on {tensor.device}"
        return ValueError(f"Expected `{name}` to be {self.spec.dtype} on cpu, but got {kind}.")

    def _forward(self, inputs: Sequence[Tensor], x: Tensor, tape: Tensor | None) -> Tensor:
        inputs = [tensor.contiguous() for tensor in inputs]
        y = x.new_empty(x.shape[0], x.shape[1], self.spec.layer_sizes[-1])
        pointers = self._pointers(*[tensor.data_ptr() for tensor in inputs])
        sizes = (x.shape[0], x.shape[1], torch.get_num_threads())
        _check_memory(self._library.dan_forward(*sizes, pointers, x.data_ptr(), y.data_ptr(), _address(tape)))
        return y

    def _new_tape(self, x: Tensor) -> Tensor | None:
        size = x.shape[0] * self._library.dan_tape_size(x.shape[1])
        fits = size * self._item_bytes <= LARGEST_TAPE_BYTES
        return x.new_empty(size) if fits else None

    def _backward(
        self,
        inputs: Sequence[Tensor],
        x: Tensor,
        tape: Tensor | None,
        y_gradient: Tensor,
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        num_synapses = len(self._shapes)
        synapses = self._new_synapse_gradients(inputs) if any(wanted[:num_synapses]) else None
        flat = self._new_phenotype_gradient(x) if any(wanted[num_synapses:]) else None
        self._run_backward(inputs, x, tape, y_gradient, synapses, flat)
        gradients = [*(synapses or [None] * num_synapses), *self._split(flat)]
        return [g if w else None for g, w in zip(gradients, wanted, strict=True)]

    def _new_synapse_gradients(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        synapses = inputs[: len(self._shapes)]
        return [torch.empty_like(t, memory_format=torch.contiguous_format) for t in synapses]

    def _new_phenotype_gradient(self, x: Tensor) -> Tensor:
        """One row per member and, last, their sum."""
        return x.new_empty(x.shape[0] + 1, sum(self._phenotype_sizes))

    def _run_backward(
        self,
        inputs: Sequence[Tensor],
        x: Tensor,
        tape: Tensor | None,
        y_gradient: Tensor,
        synapses: Sequence[Tensor] | None,
        flat: Tensor | None,
    ) -> None:
        inputs = [tensor.contiguous() for tensor in inputs]
        y_gradient = y_gradient.contiguous()
        pointers = self._pointers(*[tensor.data_ptr() for tensor in inputs])
        addresses = [t.data_ptr() for t in synapses or ()]
        to = self._gradient_pointers(*addresses) if addresses else None
        total = None if flat is None else flat[-1]
        sizes = (x.shape[0], x.shape[1], torch.get_num_threads())
        sources = (pointers, x.data_ptr(), _address(tape), y_gradient.data_ptr())
        _check_memory(self._library.dan_backward(*sizes, *sources, to, _address(flat), _address(total)))

    def _split(self, flat: Tensor | None) -> list[Tensor | None]:
        if flat is None:
            return [None] * len(self._phenotype_shapes)
        parts = flat[-1].split(self._phenotype_sizes)
        return [p.view(s) for p, s in zip(parts, self._phenotype_shapes, strict=True)]


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


def _shapes_per_member(spec: KernelSpec) -> list[tuple[int, ...]]:
    """Shapes of the weights of all maps, then of their biases."""
    targets = [spec.layer_sizes[b] * spec.num_channels for _, b in spec.maps]
    sources = [spec.layer_sizes[a] for a, _ in spec.maps]
    return [*zip(sources, targets, strict=True), *((target,) for target in targets)]


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _check_memory(failed: int) -> None:
    if failed:
        raise MemoryError("The kernel could not allocate its working memory.")


def _expect(condition: bool, name: str, wanted: str, got: Any) -> None:
    if not condition:
        raise ValueError(f"Expected `{name}` to be {wanted}, but got {got}.")


def _shape_error(name: str, wanted: tuple[int, ...], tensor: Tensor) -> ValueError:
    got = tuple(tensor.shape)
    return ValueError(f"Expected `{name}` to contain shape {wanted} here, but got {got}.")
