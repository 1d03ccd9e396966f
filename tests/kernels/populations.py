"""Populations of DAN networks for kernels: three networks that take every branch, their numbers, and plain PyTorch."""

import dataclasses
import itertools

import torch
from torch import Tensor

from hyperlearning.kernels.dan_spec import KernelSpec

# `skips`: channels that fill whole vectors, and layers that hear several. `linear`: channels that do not, several inputs and
# outputs, no activation at the end. `narrow`: one channel, for which folding does not pay, and three hidden layers.
SPECS = {
    "skips": KernelSpec((1, 6, 5, 1), ((0, 1), (1, 2), (0, 2), (2, 3), (1, 3)), 16, (15, 8), dtype=torch.float64),
    "linear": KernelSpec(
        (3, 5, 4, 2),
        ((0, 2), (0, 1), (1, 3), (1, 2), (2, 3)),
        5,
        (7,),
        output_tanh=False,
        output_scale=2.5,
        dtype=torch.float64,
    ),
    "narrow": KernelSpec((2, 6, 3), ((0, 1), (1, 2)), 1, (9, 4, 3), dtype=torch.float64),
}
SPECS |= {f"{name} in single precision": dataclasses.replace(spec, dtype=torch.float32) for name, spec in SPECS.items()}
SKIPS, LINEAR, NARROW = SPECS["skips"], SPECS["linear"], SPECS["narrow"]
SINGLE = SPECS["skips in single precision"]
_TANH = 20
"""Operations of a tanh: an argument cut in two, a polynomial of twelve terms, a division."""


def draw_population(spec: KernelSpec, members: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Draws synapses (all weights, then all biases) and a phenotype with which no layer saturates."""
    source = torch.Generator().manual_seed(seed)

    def draw(*shape: int, fan_in: int = 9) -> Tensor:
        numbers = torch.randn(*shape, generator=source, dtype=torch.float64) / fan_in**0.5
        return numbers.to(spec.dtype).requires_grad_()

    sizes, channels = spec.layer_sizes, spec.num_channels
    weights = [draw(members, sizes[a], sizes[b] * channels, fan_in=sizes[a]) for a, b in spec.maps]
    biases = [draw(members, sizes[b] * channels) for _, b in spec.maps]
    pairs = itertools.pairwise(spec.widths)
    return [*weights, *biases], [t for a, b in pairs for t in (draw(a, b, fan_in=a), draw(b))]


def draw_data(spec: KernelSpec, *shape: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draws inputs and something of the shape of outputs."""
    source = torch.Generator().manual_seed(seed)
    sizes = (spec.layer_sizes[0], spec.layer_sizes[-1])
    x, y = (torch.randn(*shape, size, generator=source, dtype=torch.float64).to(spec.dtype) for size in sizes)
    return x, y


def plain(spec: KernelSpec, synapses: list[Tensor], phenotype: list[Tensor], x: Tensor) -> Tensor:
    """Evaluates all members with PyTorch's operations."""
    maps, outputs = len(spec.maps), [x]
    for layer in range(1, len(spec.layer_sizes)):
        into = [(i, source) for i, (source, target) in enumerate(spec.maps) if target == layer]
        drive = sum(outputs[source] @ synapses[i] + synapses[maps + i][:, None] for i, source in into)
        assert isinstance(drive, Tensor)
        value = drive.unflatten(-1, (-1, spec.num_channels))
        outputs.append(_through(spec, phenotype, value).squeeze(-1))
    return spec.output_scale * outputs[-1]


def _through(spec: KernelSpec, phenotype: list[Tensor], value: Tensor) -> Tensor:
    last = len(phenotype) - 2
    for k in range(0, len(phenotype), 2):
        value = value @ phenotype[k] + phenotype[k + 1]
        value = value.tanh() if k < last or spec.output_tanh else value
    return value


def forward_operations(spec: KernelSpec) -> int:
    """Operations from an input to an output: through every layer the sums over its sources, then the phenotype's."""
    layers = range(1, len(spec.layer_sizes))
    sources = max(sum(spec.layer_sizes[a] + 1 for a, b in spec.maps if b == layer) for layer in layers)
    return len(layers) * (sources + sum(width + 1 + _TANH for width in spec.widths))


def num_nodes(spec: KernelSpec) -> int:
    """Nodes that the phenotype's gradient is summed over, a sample."""
    return sum(spec.layer_sizes[1:])
