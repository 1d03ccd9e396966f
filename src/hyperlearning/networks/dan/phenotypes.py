"""Phenotypes: the small networks that every neuron of a DAN network runs on its vector of channels.

A phenotype is any `nn.Module` that maps `(..., channels)` to `(...)`. Two come from the sources; bring your own.

Shape suffixes: C channels, H hidden units, N neurons.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Activation = Literal["tanh", "relu", "identity"]

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda drive: drive,
}


_FIRST_BEND = 0.1
"""Share of the usual initial size that a residual phenotype's MLP begins with."""


class MLPPhenotype(nn.Module):
    """The papers' neuron: a multilayer perceptron from a vector of channels to one number.

    Weights start as PyTorch's `nn.Linear` does: uniform in `+-1/sqrt(fan_in)`.

    Args:
        num_channels: Size of the vector synapse, C.
        hidden_sizes: Units of the hidden layers.
        hidden_activation: Applied to every hidden layer.
        output_activation: Applied to the output; "tanh" keeps the neuron within +-1.
        generator: Source of the initial weights; the global one if absent.

    Raises:
        ValueError: If a size is not positive or there is no hidden layer.

    Source: "Continual Learning with Deep Artificial Neurons", section 3.1; dissertation, section 5.6 (channels-15-8-1).
    """

    def __init__(
        self,
        num_channels: int,
        *,
        hidden_sizes: Sequence[int] = (15, 8),
        hidden_activation: Activation = "tanh",
        output_activation: Activation = "tanh",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = (num_channels, *hidden_sizes, 1)
        if len(sizes) < 3 or min(sizes) < 1:
            raise ValueError(
                "Expected `num_channels` and at least one of `hidden_sizes`, all positive, "
                f"but got {num_channels} and {tuple(hidden_sizes)}."
            )
        self.hidden_sizes = tuple(hidden_sizes)
        self.hidden_activation: Activation = hidden_activation
        self.output_activation: Activation = output_activation
        self.weights = nn.ParameterList(_uniform((a, b), a, generator) for a, b in pairwise(sizes))
        self.biases = nn.ParameterList(_uniform((b,), a, generator) for a, b in pairwise(sizes))

    def forward(self, drive: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch"]:
        """Turns each neuron's channels into its activation."""
        return self.after_first_layer(drive @ self.weights[0] + self.biases[0])

    def after_first_layer(self, hidden: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch"]:
        """Finishes from the first layer's weighted sum, before its activation: where a folded network enters."""
        activate = ACTIVATIONS[self.hidden_activation]
        # A slice of a ParameterList would wrap its tensors in new parameters and cut the graph.
        for weight, bias in list(zip(self.weights, self.biases, strict=True))[1:]:
            hidden = activate(hidden) @ weight + bias
        return ACTIVATIONS[self.output_activation](hidden)[..., 0]


class DenseSkipPhenotype(nn.Module):
    """The notebook's neuron: an MLP in which every layer also feeds every later one, each by its own affine map.

    Args:
        num_channels: Size of the vector synapse, C.
        hidden_sizes: Units of the hidden layers; the notebook has three of its `dan_width`, 40.
        generator: Source of the initial weights; the global one if absent.

    Raises:
        ValueError: If a size is not positive or there is no hidden layer.

    Source: the authors' incremental-regression notebook (tanh after each layer, output included).
    """

    def __init__(
        self,
        num_channels: int,
        *,
        hidden_sizes: Sequence[int] = (40, 40, 40),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes = (num_channels, *hidden_sizes, 1)
        if len(sizes) < 3 or min(sizes) < 1:
            raise ValueError(
                "Expected `num_channels` and at least one of `hidden_sizes`, all positive, "
                f"but got {num_channels} and {tuple(hidden_sizes)}."
            )
        # Summing the affine maps of all earlier layers equals one affine map of their concatenation.
        fan_ins = [sum(sizes[:layer]) for layer in range(1, len(sizes))]
        self.weights = nn.ParameterList(
            torch.cat([_uniform((a, b), a, generator) for a in sizes[:layer]])
            for layer, b in enumerate(sizes[1:], start=1)
        )
        self.biases = nn.ParameterList(
            torch.stack([_uniform((b,), a, generator) for a in sizes[:layer]]).sum(0)
            for layer, b in enumerate(sizes[1:], start=1)
        )
        assert [weight.shape[0] for weight in self.weights] == fan_ins

    def forward(self, drive: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch"]:
        """Turns each neuron's channels into its activation."""
        layers = drive
        for weight, bias in zip(self.weights, self.biases, strict=True):
            layers = torch.cat([layers, torch.tanh(layers @ weight + bias)], dim=-1)
        return layers[..., -1]


class ResidualPhenotype(nn.Module):
    """A neuron that starts out nearly linear: a weighted sum of its channels plus an MLP of them.

    `a(z) = sum_c g_c z_c + MLP(z)`, with `g_c = 1/sqrt(C)` and the MLP's output weights small at first. A network of such
    neurons begins as a linear one would, and hyper-training bends it.

    Args:
        num_channels: Size of the vector synapse, C.
        hidden_sizes: Units of the MLP's hidden layers, tanh.
        generator: Source of the initial weights; the global one if absent.

    Raises:
        ValueError: If a size is not positive or there is no hidden layer.
    """

    def __init__(
        self, num_channels: int, *, hidden_sizes: Sequence[int] = (16,), generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.full((num_channels,), num_channels**-0.5))
        self.bend = MLPPhenotype(
            num_channels, hidden_sizes=hidden_sizes, output_activation="identity", generator=generator
        )
        with torch.no_grad():
            self.bend.weights[-1].mul_(_FIRST_BEND)
            self.bend.biases[-1].zero_()

    def forward(self, drive: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch"]:
        """Turns each neuron's channels into its activation."""
        return drive @ self.gains + self.bend(drive)


@runtime_checkable
class PhenotypeFactory(Protocol):
    """Makes one phenotype for a number of channels, drawing its initial weights from a generator."""

    def __call__(self, num_channels: int, *, generator: torch.Generator | None) -> nn.Module:
        """Makes one phenotype."""
        ...


class PerNeuronPhenotypes(nn.Module):
    """One phenotype of its own for every neuron of a layer, run as one batch.

    Parameters are stacked on a leading neuron axis; `torch.vmap` pairs neuron n with phenotype n.

    Args:
        phenotypes: One module per neuron, all of the same shape.

    Source: dissertation, section 5.6, net2 (81 unique DANs).
    """

    def __init__(self, phenotypes: Sequence[nn.Module]) -> None:
        super().__init__()
        stacked, _ = torch.func.stack_module_state(list(phenotypes))
        self._names = {name.replace(".", "-"): name for name in stacked}
        for flat_name, name in self._names.items():
            self.register_parameter(flat_name, nn.Parameter(stacked[name].detach().clone()))
        # In a tuple, so that the template's own parameters are not registered.
        self._template = (phenotypes[0],)

    def forward(self, drive: Float[Tensor, "*batch neurons channels"]) -> Float[Tensor, "*batch neurons"]:
        """Turns the channels of neuron n into its activation by phenotype n."""

        def one_neuron(params: dict[str, Tensor], drive: Tensor) -> Tensor:
            return torch.func.functional_call(self._template[0], params, (drive,))

        params = {name: getattr(self, flat_name) for flat_name, name in self._names.items()}
        return torch.vmap(one_neuron, in_dims=(0, -2), out_dims=-1)(params, drive)


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator | None) -> nn.Parameter:
    bound = fan_in**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))
