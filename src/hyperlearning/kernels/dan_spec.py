"""What is fixed when a kernel for a population of DAN networks is compiled, for `dan` and `unroll` alike."""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from hyperlearning.kernels import toolchain
from hyperlearning.kernels.tensors import expect, expect_kind, expect_shapes


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

    @functools.cached_property
    def phenotype_shapes(self) -> tuple[torch.Size, ...]:
        """Shapes of the phenotype's weights and biases, alternating."""
        pairs = itertools.pairwise(self.widths)
        return tuple(torch.Size(shape) for fan_in, fan_out in pairs for shape in ((fan_in, fan_out), (fan_out,)))

    @functools.cached_property
    def synapse_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of one member's weights of all maps, then of their biases."""
        targets = [self.layer_sizes[b] * self.num_channels for _, b in self.maps]
        sources = [self.layer_sizes[a] for a, _ in self.maps]
        return (*zip(sources, targets, strict=True), *((target,) for target in targets))

    @property
    def definitions(self) -> dict[str, str]:
        """The same as macros of `phenotype.h`."""
        return {
            "DAN_SIZES": joined(self.layer_sizes),
            "DAN_FROM": joined(a for a, _ in self.maps),
            "DAN_TO": joined(b for _, b in self.maps),
            "DAN_WIDTHS": joined(self.widths),
            "DAN_OUTPUT_TANH": str(self.output_tanh).lower(),
            "DAN_OUTPUT_SCALE": repr(float(self.output_scale)),
        }


def joined(values: Iterable[int]) -> str:
    """Numbers as the initialiser of an array in C++."""
    return ",".join(map(str, values))


def unsupported(spec: KernelSpec) -> str | None:
    """Returns why no kernel can be built for `spec`, or None if one can.

    Args:
        spec: Network to build a kernel for.
    """
    return toolchain.why_missing(spec.dtype) or _invalid_sizes(spec) or _invalid_maps(spec)


def check_supported(spec: KernelSpec) -> None:
    """Raises a ValueError if no kernel can be built for `spec`."""
    reason = unsupported(spec)
    if reason is not None:
        raise ValueError(f"Expected `spec` to be supported, but {reason}: {spec}.")


def check_population(
    spec: KernelSpec, members: int, weights: Sequence[Tensor], biases: Sequence[Tensor], phenotype: Sequence[Tensor]
) -> None:
    """Raises a ValueError unless the parameters are those of a population of this network.

    Args:
        spec: The network.
        members: Size of the population.
        weights: Weight of each map, (members, source nodes, target nodes * channels).
        biases: Bias of each map, (members, target nodes * channels).
        phenotype: Weight (in, out) and bias (out) of each layer, alternating.
    """
    for name, tensors in (("weights", weights), ("biases", biases)):
        expect(len(tensors) == len(spec.maps), name, f"{len(spec.maps)} tensors", len(tensors))
    expect_shapes("synapses", [(members, *shape) for shape in spec.synapse_shapes], [*weights, *biases])
    expect_shapes("phenotype", spec.phenotype_shapes, phenotype)
    expect_kind("synapses and phenotype", spec.dtype, *weights, *biases, *phenotype)


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
