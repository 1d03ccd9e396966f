"""The convolutional kernel as a population's forward pass: synapses by batched matrix products, every phenotype compiled.

Shape suffixes: M members, B batch, N neurons of a layer, C channels, K = N * C.
"""

import torch
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.kernels.convolution import ConvKernelSpec, build, unsupported
from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import ACTIVATIONS


class FusedConvForward:
    """Runs a population of DAN networks with convolutional phenotypes, differentiable once.

    Args:
        network: A network for which `why_not_fused_conv` has no objection.
        plastic: Its plastic parameters, for their precision.

    Raises:
        RuntimeError: If the compiler fails; the message is the compiler's.
    """

    def __init__(self, network: DANNetwork, plastic: Params) -> None:
        self._num_channels = network.num_channels
        self._activation = ACTIVATIONS[network.synaptic_activation]
        self._output_scale = network.output_scale
        layers = range(1, len(network.layer_sizes))
        self._maps = [[(a, f"synapses.{a}_{b}.") for a, b in network.maps if b == layer] for layer in layers]
        numbers = [0 if network.sharing == "network" else layer - 1 for layer in layers]
        kernels = [build(_spec(phenotype, plastic)) for phenotype in _phenotypes(network)]
        names = [_names(phenotype, number) for number, phenotype in enumerate(_phenotypes(network))]
        self._phenotypes = [(kernels[number], names[number]) for number in numbers]

    def __call__(self, plastic: Params, innate: Params, inputs: Tensor) -> Tensor:
        """Maps plastic (M, ...), innate and inputs (M, B, inputs) to outputs (M, B, outputs)."""
        activations = [inputs]
        for maps, (kernel, names) in zip(self._maps, self._phenotypes, strict=True):
            drive_MBK = self._drive(plastic, maps, activations)
            drive_MBNC = self._activation(drive_MBK.unflatten(-1, (-1, self._num_channels)))
            activations.append(kernel([innate[name] for name in names], drive_MBNC))
        return activations[-1] * self._output_scale if self._output_scale != 1 else activations[-1]

    @staticmethod
    def _drive(plastic: Params, maps: list[tuple[int, str]], activations: list[Tensor]) -> Tensor:
        bias_MK = sum(plastic[name + "bias"] for _, name in maps)
        assert isinstance(bias_MK, Tensor)
        drive_MBK = bias_MK.unsqueeze(1)
        for source, name in maps:
            drive_MBK = torch.baddbmm(drive_MBK, activations[source], plastic[name + "weight"])
        return drive_MBK


def why_not_fused_conv(network: nn.Module, plastic: Params) -> str | None:
    """Says why the convolutional kernel does not fit, or nothing if it does.

    Args:
        network: Any module.
        plastic: The plastic parameters, for names, precision and device.
    """
    if not isinstance(network, DANNetwork):
        return "the network is not a DAN network"
    if any(network.is_innate(name) for name in plastic):
        return "a phenotype is plastic"
    if not has_conv_phenotypes(network):
        return "it needs convolutional phenotypes that neurons of a layer share"
    if network.joining != "sum" or network.synaptic_scaling:
        return "it needs layers summed and synapses as they are"
    if any(tensor.device.type != "cpu" for tensor in plastic.values()):
        return "the parameters are not on a CPU"
    reasons = (unsupported(_spec(phenotype, plastic)) for phenotype in _phenotypes(network))
    return next((reason for reason in reasons if reason is not None), None)


def has_conv_phenotypes(network: nn.Module) -> bool:
    """Says whether a module is a DAN network all of whose phenotypes are convolutional."""
    return isinstance(network, DANNetwork) and all(isinstance(p, ConvPhenotype) for p in network.phenotypes)


def _phenotypes(network: DANNetwork) -> list[ConvPhenotype]:
    return [phenotype for phenotype in network.phenotypes if isinstance(phenotype, ConvPhenotype)]


def _names(phenotype: ConvPhenotype, number: int) -> list[str]:
    """Parameters in the kernel's order."""
    kinds = (
        (("conv_weights", "conv_biases"), len(phenotype.conv_weights)),
        (("weights", "biases"), len(phenotype.weights)),
    )
    return [f"phenotypes.{number}.{name}.{i}" for pair, depth in kinds for i in range(depth) for name in pair]


def _spec(phenotype: ConvPhenotype, plastic: Params) -> ConvKernelSpec:
    dtype: torch.dtype = next(iter(plastic.values())).dtype
    return ConvKernelSpec(
        num_channels=phenotype.side**2,
        maps=tuple(len(bias) for bias in phenotype.conv_biases),
        kernel_size=phenotype.conv_weights[0].shape[-1] if len(phenotype.conv_weights) else 1,
        hidden_sizes=tuple(len(bias) for bias in phenotype.biases)[:-1],
        input_activation=phenotype.input_activation,
        output_activation=phenotype.output_activation,
        dtype=dtype,
    )
