"""WarpGrad's layers, the baseline of the DAN papers: plastic dense layers with innate dense layers between them.

Shape suffixes: M members, B batch, N nodes, D drive.
"""

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.networks.dan.network import DANNetwork, OutputInitializer, Synapses
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters
from hyperlearning.networks.trunk import TrunkNetwork

Sizes = tuple[int, ...]

_WIDENINGS = [1.05**power for power in range(80)]
_TOLERANCE = 0.02


class WarpNetwork(nn.Module):
    """A feed-forward network in which every plastic dense layer is followed by an innate dense one, its warp.

    `nodes[l] = leaky_relu(drive @ warp[l] + offset[l])`, `drive = nodes[sources] @ weight[l] + bias[l]`; the last layer has no
    leaky ReLU. The warp is linear, as in the dissertation, and stands where a DAN network has its phenotypes.

    A population lives on a leading axis, as in `DANNetwork`: plastic parameters with an axis M (through
    `torch.func.functional_call`), inputs `(M, B, inputs)`, outputs `(M, B, outputs)`.

    Args:
        layer_sizes: Nodes per layer, inputs first.
        drive_sizes: Width of each layer's drive, between its plastic part and its warp; one for each layer but the inputs.
        skips: Further pairs of layers `(from, to)`; a layer that hears several has one plastic map from all side by side.
        output_initializer: Of the last layer's plastic part: like all others, or zeros.
        synaptic_scaling: Of the plastic parts, as a DAN network has it (`Synapses`), for each unit of drive; 0 for none.
        generator: Source of all initial values (warps: uniform in `+-1/sqrt(fan_in)`); the global one if absent.

    Raises:
        ValueError: If sizes are not positive, do not fit one another, or a skip does not go forward by two or more.

    Source: Flennerhag et al., "Meta-Learning with Warped Gradient Descent"; dissertation, section 6.4.4.

    Example:
        >>> WarpNetwork((8, 16, 4), drive_sizes=(32, 32))(torch.zeros(5, 8)).shape
        torch.Size([5, 4])
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        *,
        drive_sizes: Sequence[int],
        skips: Sequence[tuple[int, int]] = (),
        output_initializer: OutputInitializer = "as_others",
        synaptic_scaling: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_topology(layer_sizes, drive_sizes, skips)
        self.layer_sizes = tuple(layer_sizes)
        self.drive_sizes = tuple(drive_sizes)
        self.maps = tuple(sorted({*pairwise(range(len(layer_sizes))), *skips}, key=lambda pair: (pair[1], -pair[0])))
        self.synapses = nn.ModuleList(
            Synapses(fan_in, drive, 1, initializer="lecun_uniform", scaling=synaptic_scaling, generator=generator)
            for fan_in, drive in zip(_fan_ins(self.layer_sizes, self.maps), drive_sizes, strict=True)
        )
        if output_initializer == "zeros":
            for parameter in self.synapses[-1].parameters():
                nn.init.zeros_(parameter)
        warped = list(zip(drive_sizes, layer_sizes[1:], strict=True))
        self.warp_weights = nn.ParameterList(_uniform((drive, nodes), drive, generator) for drive, nodes in warped)
        self.warp_biases = nn.ParameterList(_uniform((nodes,), drive, generator) for drive, nodes in warped)

    @staticmethod
    def is_innate(name: str) -> bool:
        """Says whether a parameter of this name belongs to a warp."""
        return name.startswith("warp_")

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Runs inputs through all layers; with member-wise synapses the first axis is the member."""
        nodes = [inputs]
        last = len(self.layer_sizes) - 1
        for layer in range(1, last + 1):
            heard = [nodes[source] for source, target in self.maps if target == layer]
            drive_BD = self.synapses[layer - 1](torch.cat(heard, dim=-1) if len(heard) > 1 else heard[0])
            nodes_BN = drive_BD @ self.warp_weights[layer - 1] + self.warp_biases[layer - 1]
            nodes.append(nodes_BN if layer == last else nn.functional.leaky_relu(nodes_BN))
        return nodes[-1]


def matched_warp(
    network: TrunkNetwork,
    *,
    output_initializer: OutputInitializer = "as_others",
    synaptic_scaling: float = 0.0,
    generator: torch.Generator | None = None,
) -> TrunkNetwork:
    """Makes the network of warp layers that has as many parameters as a network of DANs.

    It has a copy of the same trunk, initial values included, the same layers and skips. Each hidden layer has as many nodes
    as the other has DANs, or more; drives are as wide as the total demands. Of all such networks it is the one whose
    plastic and innate parts are nearest: dense warps have more innate parameters than shared phenotypes, so that a
    network of few DAN types cannot be met in both.

    Args:
        network: A trunk with a DAN network for a head; on the meta device the result is too.
        output_initializer: As for `WarpNetwork`.
        synaptic_scaling: As for `WarpNetwork`.
        generator: Source of the warp network's initial values; the global one if absent.

    Returns:
        The network. `count_parameters` gives both networks' counts, to be reported side by side.

    Raises:
        TypeError: If the head is not a DAN network.
        ValueError: If no sizes come within 2 % of the total.

    Source: dissertation, section 6.4.4 (the total number of parameters roughly the same).
    """
    head = network.head
    if not isinstance(head, DANNetwork):
        raise TypeError(f"Expected a network whose head is a DANNetwork, but got {type(head).__name__}.")
    wanted = count_parameters(head, head.is_innate)
    allowed = _TOLERANCE * count_parameters(network, network.is_innate).total
    counted = [(pair, _counts(*pair, head.maps)) for pair in _candidates(head, wanted.total)]
    near = [(pair, counts) for pair, counts in counted if abs(counts.total - wanted.total) <= allowed]
    if not near:
        raise ValueError(f"Expected a DAN network that warp layers can match within 2 %, but got {wanted}.")
    (sizes, drives), _ = min(near, key=lambda option: abs(option[1].innate - wanted.innate))
    skips = tuple((source, target) for source, target in head.maps if target - source > 1)
    with torch.device(next(head.parameters()).device):
        warp = WarpNetwork(
            sizes,
            drive_sizes=drives,
            skips=skips,
            output_initializer=output_initializer,
            synaptic_scaling=synaptic_scaling,
            generator=generator,
        )
    return TrunkNetwork(copy.deepcopy(network.trunk), warp)


def _candidates(head: DANNetwork, total: int) -> Iterator[tuple[Sizes, Sizes]]:
    """Layer and drive sizes of networks with nearly this total: ever more hidden nodes, ever narrower drives."""
    inputs, *hidden, outputs = head.layer_sizes
    for widening in _WIDENINGS:
        sizes = (inputs, *(round(size * widening) for size in hidden), outputs)
        fan_ins = _fan_ins(sizes, head.maps)
        # Parameters for each unit of drive.
        costs = [nodes * (fan_in + 1 + nodes) for nodes, fan_in in zip(sizes[1:], fan_ins, strict=True)]
        width = (total - sum(sizes[1:])) / sum(costs)
        yield sizes, tuple(max(1, round(width * size)) for size in sizes[1:])


def _counts(sizes: Sizes, drives: Sizes, maps: Sequence[tuple[int, int]]) -> ParameterCounts:
    plastic = sum((fan_in + 1) * drive for fan_in, drive in zip(_fan_ins(sizes, maps), drives, strict=True))
    innate = sum((drive + 1) * nodes for drive, nodes in zip(drives, sizes[1:], strict=True))
    return ParameterCounts(plastic, innate)


def _fan_ins(sizes: Sizes, maps: Sequence[tuple[int, int]]) -> list[int]:
    return [sum(sizes[source] for source, target in maps if target == layer) for layer in range(1, len(sizes))]


def _check_topology(layer_sizes: Sequence[int], drive_sizes: Sequence[int], skips: Sequence[tuple[int, int]]) -> None:
    if len(layer_sizes) < 2 or min(layer_sizes) < 1:
        raise ValueError(f"Expected `layer_sizes` to be two or more positive sizes, but got {tuple(layer_sizes)}.")
    if len(drive_sizes) != len(layer_sizes) - 1 or min(drive_sizes) < 1:
        raise ValueError(
            f"Expected `drive_sizes` to be {len(layer_sizes) - 1} positive sizes, but got {tuple(drive_sizes)}."
        )
    for source, target in skips:
        if not (0 <= source and source + 2 <= target < len(layer_sizes)):
            raise ValueError(
                f"Expected each of `skips` to go forward over at least one of {len(layer_sizes)} layers, "
                f"but got {source}->{target}."
            )


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator | None) -> nn.Parameter:
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))
