"""The fused kernel as a population's forward pass: where it fits, and how a DAN network's parameters reach it."""

import torch
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.kernels.dan import build
from hyperlearning.kernels.dan_spec import KernelSpec, unsupported
from hyperlearning.kernels.unroll import build_unrolled
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype


class FusedForward:
    """Runs a population of DAN networks in one C++ function, differentiable once.

    Args:
        network: A network for which `why_not_fused` has no objection.
        plastic: Its plastic parameters, for their precision.

    Raises:
        RuntimeError: If the compiler fails; the message is the compiler's.
    """

    def __init__(self, network: DANNetwork, plastic: Params) -> None:
        self._kernel = build(_spec(network, plastic))
        maps = [f"synapses.{source}_{target}" for source, target in network.maps]
        self._weights = [f"{name}.weight" for name in maps]
        self._biases = [f"{name}.bias" for name in maps]
        depth = len(_phenotype(network).hidden_sizes) + 1
        self._phenotype = [f"phenotypes.0.{kind}.{i}" for i in range(depth) for kind in ("weights", "biases")]

    def __call__(self, plastic: Params, innate: Params, inputs: Tensor) -> Tensor:
        """Maps plastic (M, ...), innate and inputs (M, B, inputs) to outputs (M, B, outputs)."""
        return self._kernel(*self._parameters(plastic, innate), inputs)

    def unroll(
        self, plastic: Params, innate: Params, inputs: Tensor, targets: Tensor, lr: float
    ) -> tuple[Params, Tensor]:
        """Makes k steps of plain gradient descent on the mean squared error; differentiable once, through all of them.

        The first use of a network compiles a kernel of its own, for some seconds.

        Args:
            plastic: Plastic parameters before the first step, (M, ...) each.
            innate: Innate parameters.
            inputs: One batch per step and member, (k, M, B, inputs). Must not require a gradient.
            targets: Their targets, (k, M, B, outputs). Must not require a gradient.
            lr: Rate of the steps.

        Returns:
            Plastic parameters after the last step, and losses before every step, (k, M), which have no gradient.
        """
        kernel = build_unrolled(self._kernel.spec)
        weights, biases, losses = kernel(*self._parameters(plastic, innate), inputs, targets, lr)
        updated = dict(zip([*self._weights, *self._biases], [*weights, *biases], strict=True))
        return {name: updated[name] for name in plastic}, losses

    def _parameters(self, plastic: Params, innate: Params) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Weights, biases and phenotype, in the kernel's order."""
        weights, biases = ([plastic[name] for name in names] for names in (self._weights, self._biases))
        return weights, biases, [innate[name] for name in self._phenotype]


def why_not_fused(network: nn.Module, plastic: Params) -> str | None:
    """Says why the kernel does not fit, or nothing if it does.

    Args:
        network: Any module.
        plastic: The plastic parameters, for names, precision and device.
    """
    if not isinstance(network, DANNetwork):
        return "the network is not a DAN network"
    if any(network.is_innate(name) for name in plastic):
        return "a phenotype is plastic"
    if network.sharing != "network" or not isinstance(network.phenotypes[0], MLPPhenotype):
        return "it needs one MLP phenotype for the whole network"
    phenotype = _phenotype(network)
    if phenotype.hidden_activation != "tanh" or phenotype.output_activation not in ("tanh", "identity"):
        return "it needs a phenotype of tanh units"
    if network.joining != "sum":
        return "it needs a map of its own from every layer that another hears"
    if network.synaptic_scaling:
        return "it needs synapses that act as they are"
    if network.synaptic_activation != "identity":
        return "it needs no activation on the drive"
    if any(tensor.device.type != "cpu" for tensor in plastic.values()):
        return "the parameters are not on a CPU"
    return unsupported(_spec(network, plastic))


def _phenotype(network: DANNetwork) -> MLPPhenotype:
    phenotype = network.phenotypes[0]
    assert isinstance(phenotype, MLPPhenotype)
    return phenotype


def _spec(network: DANNetwork, plastic: Params) -> KernelSpec:
    phenotype = _phenotype(network)
    dtype: torch.dtype = next(iter(plastic.values())).dtype
    return KernelSpec(
        layer_sizes=network.layer_sizes,
        maps=network.maps,
        num_channels=network.num_channels,
        hidden_sizes=phenotype.hidden_sizes,
        output_tanh=phenotype.output_activation == "tanh",
        output_scale=network.output_scale,
        dtype=dtype,
    )
