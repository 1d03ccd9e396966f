"""An activation turned into Deep Artificial Neurons, and the layer before it into vector synapses.

Neuron n of a layer receives C channels: outputs `n * C` to `n * C + C - 1` of a layer C times as wide, as in `Synapses`.

Shape suffixes: N neurons, C channels.
"""

from typing import TypeAlias

import torch
from torch import Tensor, nn

from hyperlearning.networks.dan.phenotypes import PhenotypeFactory

Layer: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


class ResidualPhenotype(nn.Module):
    """A phenotype times an innate gain that starts at zero: what hyper-training adds to a neuron's original activation.

    Args:
        phenotype: Maps (..., C) to (...).
    """

    def __init__(self, phenotype: nn.Module) -> None:
        super().__init__()
        self.phenotype = phenotype
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, drive: Tensor) -> Tensor:
        """Maps (..., C) to (...)."""
        return self.gain * self.phenotype(drive)


class Expansion(nn.Module):
    """Plastic vector synapses from every neuron's one number to its own channels: `channel[n, c] = h[n] * w[n, c] + b[n, c]`.

    Where something stands between a layer and its activation, the layer cannot be widened; this stands before the neurons.

    Args:
        num_neurons: N.
        num_channels: C.
        neuron_dim: The neurons' axis, counted from the end: -1 after a linear layer, -3 after a two-dimensional convolution.
        keep_function: Whether `sum_c channel[n, c] / sqrt(C)` is `h[n]` at first.
        like: A tensor of the precision and on the device wanted.
        generator: Source of the initial values; the global one if absent.
    """

    def __init__(
        self,
        num_neurons: int,
        num_channels: int,
        *,
        neuron_dim: int,
        keep_function: bool,
        like: Tensor,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        ones, zeros = like.new_ones(num_neurons), like.new_zeros(num_neurons)
        weight, bias = (_spread(values, num_channels, 1.0, keep_function, generator) for values in (ones, zeros))
        self.weight = nn.Parameter(weight.unflatten(0, (-1, num_channels)))
        self.bias = nn.Parameter(bias.unflatten(0, (-1, num_channels)))
        self._trailing_axes = (1,) * (-neuron_dim - 1)

    def forward(self, drive: Tensor) -> Tensor:
        """Maps (..., N, *places) to (..., N, *places, C)."""
        shape = (self.weight.shape[-2], *self._trailing_axes, self.weight.shape[-1])
        return drive.unsqueeze(-1) * self.weight.reshape(shape) + self.bias.reshape(shape)


class Channels(nn.Module):
    """Lays out what a widened layer puts out as channels of its neurons.

    Args:
        num_channels: C.
        neuron_dim: The neurons' axis, counted from the end.
    """

    def __init__(self, num_channels: int, *, neuron_dim: int) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.neuron_dim = neuron_dim

    def forward(self, drive: Tensor) -> Tensor:
        """Maps (..., N * C, *places) to (..., N, *places, C)."""
        return drive.unflatten(self.neuron_dim, (-1, self.num_channels)).movedim(self.neuron_dim, -1)


class DANActivation(nn.Module):
    """Deep Artificial Neurons in an activation's place.

    Args:
        channels: Makes channels (..., C) of what comes in: `Channels` after a widened layer, or an `Expansion`.
        phenotype: Maps (..., C) to (...). It is shared, so it is not registered here: the converted module holds it.
        activation: The original activation, to which the phenotype then adds: `activation(sum_c channel[c] / sqrt(C))`.
            The phenotype stands alone if absent.
    """

    def __init__(self, channels: nn.Module, phenotype: nn.Module, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.activation = activation
        # In a tuple, so that parameters have one name however many activations share them.
        self._phenotype = (phenotype,)

    def forward(self, drive: Tensor) -> Tensor:
        """Maps (..., N * C, *places), or (..., N, *places) before an expansion, to (..., N, *places)."""
        drive_C = self.channels(drive)
        output = self._phenotype[0](drive_C)
        if self.activation is None:
            return output
        return self.activation(drive_C.sum(-1) * drive_C.shape[-1] ** -0.5) + output


def make_phenotype(
    make: PhenotypeFactory, num_channels: int, *, keep_function: bool, generator: torch.Generator | None
) -> nn.Module:
    """Makes a phenotype that stands alone, or one that adds nothing yet to an original activation."""
    phenotype = make(num_channels, generator=generator)
    return ResidualPhenotype(phenotype) if keep_function else phenotype


def widen(layer: Layer, num_channels: int, *, keep_function: bool, generator: torch.Generator | None) -> None:
    """Widens a layer in place to C outputs for each of its own.

    To keep the function, channel c of neuron n gets `w[n] / sqrt(C) + e[n, c]` with uniform `e` whose sum over channels is 0:
    then `sum_c channel[n, c] / sqrt(C)` is the layer's own output, and gradient descent moves it as it would have moved the
    layer's (channels' gradients are `1/sqrt(C)` of the layer's, and `C * 1/sqrt(C) * 1/sqrt(C) = 1`). Otherwise all
    weights are drawn anew, uniform in `+-1/sqrt(fan_in)` as PyTorch's own.

    Args:
        layer: The layer.
        num_channels: C.
        keep_function: See above.
        generator: Source of the new values; the global one if absent.
    """
    bound = layer.weight[0].numel() ** -0.5
    for name, tensor in list(layer.named_parameters()):
        wide = _spread(tensor.detach(), num_channels, bound, keep_function, generator)
        setattr(layer, name, nn.Parameter(wide, requires_grad=tensor.requires_grad))
    if isinstance(layer, nn.Linear):
        layer.out_features *= num_channels
    else:
        layer.out_channels *= num_channels


def _spread(
    values: Tensor, num_channels: int, bound: float, keep_function: bool, generator: torch.Generator | None
) -> Tensor:
    """Spreads (N, ...) over channels, to (N * C, ...)."""
    device = generator.device if generator else values.device
    size = (len(values), num_channels, *values.shape[1:])
    noise = torch.empty(size, dtype=values.dtype, device=device).uniform_(-bound, bound, generator=generator)
    noise = noise.to(values.device)
    if keep_function:
        noise = noise - noise.mean(1, keepdim=True) + values.unsqueeze(1) * num_channels**-0.5
    return noise.flatten(0, 1)
