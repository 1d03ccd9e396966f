"""How a step goes through a population: one function of plastic parameters (a leading member axis), innate ones, inputs.

Three backends give the same numbers up to rounding. "eager" is plain PyTorch: batched matrix products for networks of DANs or
warp layers, `torch.vmap` for any other module. "compiled" is the whole step through `torch.compile`. "kernel" is compiled C++
for DAN networks on a CPU, to first order: one fused function where they have the papers' phenotype, the phenotypes alone where
these are small convolutional networks. "auto" takes the fastest that fits.
"""

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.networks.dan.fused import FusedForward, why_not_fused
from hyperlearning.networks.dan.fused_conv import FusedConvForward, has_conv_phenotypes, why_not_fused_conv
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.warp import WarpNetwork
from hyperlearning.networks.trunk import TrunkNetwork, trunk_features

Prepare = Callable[[Params, Tensor], Tensor]
"""Maps innate parameters and inputs (..., M, B, *inputs) to what they make of them, (..., M, B, *prepared)."""

PopulationForward = Callable[[Params, Params, Tensor], Tensor]
"""Maps plastic (M, ...), innate and inputs (M, B, ...) to outputs (M, B, ...)."""

Backend = Literal["auto", "eager", "compiled", "kernel"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_WORTH_COMPILING = 5_000
"""Steps from which on compiling (up to a minute) repays itself."""


def population_forward(
    network: nn.Module, plastic: Params, *, backend: Backend = "eager", second_order: bool = False
) -> PopulationForward:
    """Makes the function that runs every member of a population on its own inputs.

    Args:
        network: Any module. Its own parameter values are not used.
        plastic: The plastic parameters, for names, precision and device.
        backend: See the module's docstring.
        second_order: Whether gradients of gradients will be taken; rules the kernel out.

    Returns:
        A pure function of plastic parameters, innate parameters and inputs.

    Raises:
        ValueError: If the kernel is asked for and does not fit; the message says why.
    """
    if backend in ("kernel", "auto"):
        reason = "second-order gradients are asked for" if second_order else why_no_kernel(network, plastic)
        if reason is None:
            assert isinstance(network, DANNetwork)
            make = FusedConvForward if has_conv_phenotypes(network) else FusedForward
            try:
                return make(network, plastic)
            except (RuntimeError, OSError) as error:
                if backend == "kernel":
                    raise ValueError(f"Expected to be able to build the fused kernel, but got: {error}") from error
                warnings.warn(f"Going on without the fused kernel, many times slower: {error}", stacklevel=2)
        elif backend == "kernel":
            raise ValueError(f"Expected settings that fit the fused kernel, but {reason}.")
    batched = isinstance(network, (DANNetwork, WarpNetwork)) and not any(network.is_innate(name) for name in plastic)
    return _batched(network) if batched else _vmapped(network)


def why_no_kernel(network: nn.Module, plastic: Params) -> str | None:
    """Says why there is no kernel for a network, or nothing if there is one.

    Args:
        network: Any module.
        plastic: The plastic parameters, for names, precision and device.
    """
    return why_not_fused_conv(network, plastic) if has_conv_phenotypes(network) else why_not_fused(network, plastic)


def split_forward(
    network: TrunkNetwork, plastic: Params, *, input_ndim: int, backend: Backend = "eager", second_order: bool = False
) -> tuple[Prepare, PopulationForward]:
    """Makes two functions of a network with an innate trunk: one for its features, one that runs the head on them.

    Args:
        network: The network.
        plastic: Its plastic parameters.
        input_ndim: Axes of one input: 3 for an image (C, H, W).
        backend: How the head is run, as for `population_forward`.
        second_order: As for `population_forward`.

    Returns:
        What `Learner.prepare` and `Learner.forward` take.
    """

    def prepare(innate: Params, inputs: Tensor) -> Tensor:
        return trunk_features(network, innate, inputs, num_batch_axes=inputs.ndim - input_ndim)

    of_head = {name.removeprefix("head."): tensor for name, tensor in plastic.items()}
    head = population_forward(network.head, of_head, backend=backend, second_order=second_order)
    return prepare, HeadForward(head)


@dataclass(frozen=True)
class HeadForward:
    """Runs the head of a `TrunkNetwork` on features, given the whole network's parameters.

    Attributes:
        head: Runs it given its own.
    """

    head: PopulationForward

    def __call__(self, plastic: Params, innate: Params, features: Tensor) -> Tensor:
        """Maps plastic (M, ...), innate and features (M, B, F) to outputs (M, B, ...)."""
        return self.head(_head_part(plastic), _head_part(innate), features)


def _head_part(params: Params) -> Params:
    return {name.removeprefix("head."): tensor for name, tensor in params.items() if name.startswith("head.")}


def fused_unroll(
    forward: PopulationForward,
) -> Callable[[Params, Params, Tensor, Tensor, float], tuple[Params, Tensor]] | None:
    """Returns the kernel that makes many SGD updates on the mean squared error in one call, if `forward` has one.

    It maps plastic, innate, inputs (k, M, B, ...), targets and rate to plastic parameters k updates later and losses (k, M).
    """
    return forward.unroll if isinstance(forward, FusedForward) else None


def describe(forward: PopulationForward, *, compiled: bool) -> str:
    """Names the backend in use, for a record, given whether `compile_step` compiled the step."""
    if _runs_kernel(forward):
        return "kernel"
    return "compiled" if compiled else "eager"


def compile_step(
    step: Callable[_P, _R], forward: PopulationForward, *, backend: Backend, num_calls: int
) -> Callable[_P, _R]:
    """Compiles a step where that is asked for, or is worth it.

    Args:
        step: A hyper step.
        forward: What it runs; the fused kernel needs no compiling.
        backend: "compiled" always compiles, "auto" from several thousand calls on and if there is a C++ compiler.
        num_calls: How often the step will be called.

    Raises:
        ValueError: If compiling is asked for and cannot be had.
    """
    worth_it = backend == "auto" and num_calls >= _WORTH_COMPILING and not _runs_kernel(forward)
    if backend != "compiled" and not worth_it:
        return step  # Without asking whether it could be compiled: that alone takes a second.
    if reason := _why_not_compiled():
        if backend == "compiled":
            raise ValueError(f"Expected to be able to compile, but {reason}.")
        return step
    torch._dynamo.config.trace_autograd_ops = True
    return torch.compile(step, fullgraph=True, dynamic=False)


def _runs_kernel(forward: PopulationForward) -> bool:
    return isinstance(forward.head if isinstance(forward, HeadForward) else forward, (FusedForward, FusedConvForward))


def _why_not_compiled() -> str | None:
    if not any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++")):
        return "no C++ compiler was found"
    if not hasattr(torch._dynamo.config, "trace_autograd_ops"):
        return f"PyTorch {torch.__version__} does not trace gradients"
    return None


def _batched(network: nn.Module) -> PopulationForward:
    def forward(plastic: Params, innate: Params, inputs: Tensor) -> Tensor:
        return torch.func.functional_call(network, {**plastic, **innate}, (inputs,))

    return forward


def _vmapped(network: nn.Module) -> PopulationForward:
    def one_member(plastic: Params, innate: Params, inputs: Tensor) -> Tensor:
        return torch.func.functional_call(network, {**plastic, **innate}, (inputs,))

    return torch.vmap(one_member, in_dims=(0, None, 0), randomness="different")
