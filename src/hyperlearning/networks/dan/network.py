"""Networks of Deep Artificial Neurons (DANs): plastic vector synapses, and neurons that are small networks.

Source: "Continual Learning with Deep Artificial Neurons", section 3.1; dissertation, sections 5.4 and 5.6.

Shape suffixes: M members, B batch, N neurons of a layer, C channels, K = N * C, H phenotype's first hidden units.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.networks.dan.phenotypes import (
    ACTIVATIONS,
    Activation,
    MLPPhenotype,
    PerNeuronPhenotypes,
    PhenotypeFactory,
)

Sharing = Literal["network", "layer", "neuron"]
Joining = Literal["sum", "concatenation"]
SynapseInitializer = Literal["xavier_uniform", "lecun_uniform", "zeros"]
OutputInitializer = Literal["as_others", "zeros"]


class Synapses(nn.Module):
    """Plastic vector synapses from every node of one layer to every neuron of another: an affine map.

    `drive[n, c] = sum_i activation[i] * weight[i, n * C + c] + bias[n * C + c]` (dissertation, equation 5.2).
    Members of a population may each have their own: then weight and bias carry a leading axis M.

    Args:
        num_inputs: Nodes of the layer they come from.
        num_neurons: Neurons of the layer they go to, N.
        num_channels: Size of each vector synapse, C.
        initializer: "xavier_uniform" (the notebook's, gain 1, over the whole map) or "lecun_uniform"
            (`+-1/sqrt(num_inputs)`, PyTorch's own for a linear layer), biases `+-1/sqrt(num_inputs)` in both; or "zeros".
        scaling: If positive, weights act as `weight / sqrt(|weight|^2 + scaling^2)`, the norm being that of one channel's
            synapses (synaptic scaling): a neuron that has learned much hears hardly louder than one that has learned little.
            0 for weights as they are.
        generator: Source of the initial values; the global one if absent.
    """

    def __init__(
        self,
        num_inputs: int,
        num_neurons: int,
        num_channels: int,
        *,
        initializer: SynapseInitializer = "xavier_uniform",
        scaling: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if scaling < 0:
            raise ValueError(f"Expected `scaling` to be non-negative, but got {scaling}.")
        self.scaling = scaling
        size = num_neurons * num_channels
        lecun = 0.0 if initializer == "zeros" else num_inputs**-0.5
        bound = (6 / (num_inputs + size)) ** 0.5 if initializer == "xavier_uniform" else lecun
        self.weight = nn.Parameter(torch.empty(num_inputs, size).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.empty(size).uniform_(-lecun, lecun, generator=generator))

    def forward(self, activation: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch drive"]:
        """Sums every node's activation times its synapses."""
        return activation @ self.effective_weight() + _over_batch(self.bias)

    def effective_weight(self) -> Float[Tensor, "*members inputs drive"]:
        """The weights as they act, which is scaled if `scaling` is positive."""
        if not self.scaling:
            return self.weight
        return self.weight * torch.rsqrt(self.weight.square().sum(-2, keepdim=True) + self.scaling**2)


class DANNetwork(nn.Module):
    """A feed-forward network whose neurons are Deep Artificial Neurons.

    Nodes of the first layer are inputs; every later node is a DAN. Its drive is the sum over all synapse maps that reach
    its layer (neighbouring layers, and the skip maps named); its activation is the phenotype of that drive.
    Synapses are plastic, phenotypes innate: `is_innate` tells which from a parameter's name.

    A population lives on a leading axis: given synapses with an axis M (through `torch.func.functional_call`), inputs are
    `(M, B, inputs)` and outputs `(M, B, outputs)`, and members never touch each other.

    Args:
        layer_sizes: Nodes per layer, inputs first.
        num_channels: Size of each vector synapse, C. One channel makes the phenotype a learned activation function
            (dissertation, section 6.4.6).
        phenotype: Makes a phenotype; the papers' `MLPPhenotype` if absent.
        skips: Further pairs of layers `(from, to)` joined by synapses of their own (dissertation, equation 5.3).
        joining: How a layer with skips hears several layers: a "sum" over maps of their own (the papers), or one map from
            their "concatenation" (the authors' class-incremental script), nearest layer first, under the name of the
            nearest. The same function but for one bias instead of several; initial values follow the joint fan-in.
        sharing: One phenotype for the "network" (the papers' net0), one per "layer" (net1), one per "neuron" (net2).
        synaptic_activation: Applied to the drive. "identity" in the papers (section 5.4 says so); "tanh" in the notebook.
        output_scale: Factor on the last layer: 1 in the papers, 5 in the notebook.
        initializer: See `Synapses`.
        output_initializer: Of the last layer's synapses: "as_others", or "zeros", so that a network is born without an opinion.
        synaptic_scaling: The synapses' `scaling`, 0 for none.
        fold: Whether `(x @ S) @ W` is computed as `x @ (S @ W)` wherever that takes fewer operations and nothing stands
            between synapses S and the phenotype's first weights W. Same numbers up to rounding.
        generator: Source of all initial values; the global one if absent.

    Raises:
        ValueError: If there are fewer than two layers, a size is not positive, or a skip does not go forward by two or more.

    Example:
        >>> network = DANNetwork((1, 16, 16, 1), num_channels=16, skips=((0, 2), (1, 3)))
        >>> network(torch.zeros(5, 1)).shape
        torch.Size([5, 1])
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        *,
        num_channels: int,
        phenotype: PhenotypeFactory = MLPPhenotype,
        skips: Sequence[tuple[int, int]] = (),
        joining: Joining = "sum",
        sharing: Sharing = "network",
        synaptic_activation: Activation = "identity",
        output_scale: float = 1.0,
        initializer: SynapseInitializer = "xavier_uniform",
        output_initializer: OutputInitializer = "as_others",
        synaptic_scaling: float = 0.0,
        fold: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_topology(layer_sizes, num_channels, skips)
        self.layer_sizes = tuple(layer_sizes)
        self.num_channels = num_channels
        self.joining: Joining = joining
        self.sharing: Sharing = sharing
        self.synaptic_activation: Activation = synaptic_activation
        self.output_scale = output_scale
        self.synaptic_scaling = synaptic_scaling
        self.fold = fold
        neighbours = pairwise(range(len(layer_sizes)))
        self.maps = tuple(sorted({*neighbours, *skips}, key=lambda pair: (pair[1], -pair[0])))
        silent = output_initializer == "zeros"
        self.synapses = nn.ModuleDict(
            {
                f"{source}_{target}": Synapses(
                    self._fan_in(source, target),
                    layer_sizes[target],
                    num_channels,
                    initializer="zeros" if silent and target == len(layer_sizes) - 1 else initializer,
                    scaling=synaptic_scaling,
                    generator=generator,
                )
                for source, target in (self.maps if joining == "sum" else pairwise(range(len(layer_sizes))))
            }
        )
        self.phenotypes = nn.ModuleList(self._make_phenotypes(phenotype, generator))

    def _make_phenotypes(self, make: PhenotypeFactory, generator: torch.Generator | None) -> Iterator[nn.Module]:
        if self.sharing == "network":
            yield make(self.num_channels, generator=generator)
            return
        for size in self.layer_sizes[1:]:
            num_types = size if self.sharing == "neuron" else 1
            types = [make(self.num_channels, generator=generator) for _ in range(num_types)]
            yield PerNeuronPhenotypes(types) if self.sharing == "neuron" else types[0]

    def _sources(self, layer: int) -> list[int]:
        return [source for source, target in self.maps if target == layer]

    def _fan_in(self, source: int, target: int) -> int:
        joined = [source] if self.joining == "sum" else self._sources(target)
        return sum(self.layer_sizes[layer] for layer in joined)

    @staticmethod
    def is_innate(name: str) -> bool:
        """Says whether a parameter of this name belongs to a phenotype."""
        return name.startswith("phenotypes.")

    def phenotype_of(self, layer: int) -> nn.Module:
        """Returns the phenotype (or the stack of them) that serves the neurons of a layer, 1 for the first."""
        return self.phenotypes[0 if self.sharing == "network" else layer - 1]

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Runs inputs through all layers; with member-wise synapses the first axis is the member."""
        outputs = self.activations(inputs)[-1]
        return outputs * self.output_scale if self.output_scale != 1 else outputs

    def activations(self, inputs: Float[Tensor, "*batch inputs"]) -> list[Float[Tensor, "*batch neurons"]]:
        """What every layer makes of inputs, which come first; the last is not scaled."""
        activations = [inputs]
        for layer in range(1, len(self.layer_sizes)):
            sources = self._sources(layer)
            num_samples = inputs.shape[-2] if inputs.ndim > 1 else 1
            run = self._folded if self._folds(layer, sources, num_samples) else self._plain
            heard = {source: activations[source] for source in sources}
            if self.joining == "concatenation" and len(sources) > 1:
                heard = {layer - 1: torch.cat(list(heard.values()), dim=-1)}
            activations.append(run(layer, heard))
        return activations

    def _plain(self, layer: int, sources: dict[int, Tensor]) -> Tensor:
        drive_BK = _sum(self.synapses[f"{source}_{layer}"](activation) for source, activation in sources.items())
        drive_BNC = drive_BK.unflatten(-1, (-1, self.num_channels))
        return self.phenotype_of(layer)(ACTIVATIONS[self.synaptic_activation](drive_BNC))

    def _folded(self, layer: int, sources: dict[int, Tensor]) -> Tensor:
        phenotype = self.phenotype_of(layer)
        assert isinstance(phenotype, MLPPhenotype)
        first_CH, offset_H = phenotype.weights[0], phenotype.biases[0]
        maps = [self._map(source, layer) for source in sources]
        hidden = _sum(
            activation @ self._through(synapses.effective_weight(), first_CH)
            for synapses, activation in zip(maps, sources.values(), strict=True)
        )
        bias_K = _sum(synapses.bias for synapses in maps)
        hidden = hidden + _over_batch(self._through(bias_K, first_CH))
        return phenotype.after_first_layer(hidden.unflatten(-1, (-1, len(offset_H))) + offset_H)

    def _map(self, source: int, target: int) -> Synapses:
        synapses = self.synapses[f"{source}_{target}"]
        assert isinstance(synapses, Synapses)
        return synapses

    def _through(self, synapses_K: Tensor, first_CH: Tensor) -> Tensor:
        return (synapses_K.unflatten(-1, (-1, self.num_channels)) @ first_CH).flatten(-2)

    def _folds(self, layer: int, sources: Sequence[int], num_samples: int) -> bool:
        """Whether folding takes fewer multiplications, forward, for this many samples."""
        phenotype = self.phenotype_of(layer)
        if not (self.fold and isinstance(phenotype, MLPPhenotype) and self.synaptic_activation == "identity"):
            return False
        num_inputs = sum(self.layer_sizes[source] for source in sources)
        channels, hidden = self.num_channels, phenotype.hidden_sizes[0]
        plain = num_samples * channels * (num_inputs + hidden)
        folded = (num_inputs + 1) * channels * hidden + num_samples * num_inputs * hidden
        return folded < plain

    def summary(self) -> str:
        """Describes the network at a glance: layers, maps, and how many numbers are plastic and innate."""
        sizes = "-".join(map(str, self.layer_sizes))
        skips = [f"{a}->{b}" for a, b in self.maps if b - a > 1]
        plastic = {name: p.numel() for name, p in self.synapses.named_parameters()}
        innate = sum(p.numel() for p in self.phenotypes.parameters())
        rows = [f"DAN network {sizes}, {self.num_channels} channels, skips {', '.join(skips) or 'none'}"]
        for layer in range(1, len(self.layer_sizes)):
            into = [name for name in plastic if name.split(".")[0].endswith(f"_{layer}")]
            own = sum(p.numel() for p in self.phenotype_of(layer).parameters())
            shared = " (shared)" if self.sharing == "network" else ""
            rows.append(
                f"  layer {layer}: {self.layer_sizes[layer]} neurons, {sum(plastic[name] for name in into):,} plastic, "
                f"{own:,} innate{shared}"
            )
        total = sum(plastic.values())
        rows.append(f"  total: {total:,} plastic + {innate:,} innate = {total + innate:,} parameters")
        return "\n".join(rows)


def _sum(tensors: Iterable[Tensor]) -> Tensor:
    return functools.reduce(torch.add, tensors)


def _over_batch(bias: Tensor) -> Tensor:
    """Lets a member's bias (M, K) broadcast over that member's batch."""
    return bias if bias.ndim == 1 else bias.unsqueeze(-2)


def _check_topology(layer_sizes: Sequence[int], num_channels: int, skips: Sequence[tuple[int, int]]) -> None:
    if len(layer_sizes) < 2 or min(layer_sizes) < 1:
        raise ValueError(f"Expected `layer_sizes` to be two or more positive sizes, but got {tuple(layer_sizes)}.")
    if num_channels < 1:
        raise ValueError(f"Expected `num_channels` to be positive, but got {num_channels}.")
    for source, target in skips:
        if not (0 <= source and source + 2 <= target < len(layer_sizes)):
            raise ValueError(
                f"Expected each of `skips` to go forward over at least one of {len(layer_sizes)} layers, "
                f"but got {source}->{target}."
            )
