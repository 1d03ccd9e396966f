"""Networks for images: innate convolutions (input DANs) before a network of DANs. Classifiers of many sizes, an autoencoder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch

from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.dan.network import DANNetwork, OutputInitializer, SynapseInitializer
from hyperlearning.networks.dan.phenotypes import MLPPhenotype, PhenotypeFactory
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters, without_allocating
from hyperlearning.networks.trunk import TrunkNetwork

Skips = Literal["none", "sum", "concatenation"]


def dan_classifier(
    trunk: InputDANs,
    *,
    num_classes: int,
    hidden_sizes: Sequence[int],
    num_channels: int,
    phenotype: PhenotypeFactory = ConvPhenotype,
    sharing: Literal["network", "layer"] = "layer",
    skips: Skips = "sum",
    initializer: SynapseInitializer = "lecun_uniform",
    output_initializer: OutputInitializer = "as_others",
    output_scale: float = 1.0,
    synaptic_scaling: float = 0.0,
    generator: torch.Generator | None = None,
) -> TrunkNetwork:
    """Makes a classifier: features of input DANs, hidden layers of DANs, one DAN per class.

    All DANs of the output layer share one phenotype, so classes are symmetrical: which logit a class gets makes no
    difference but for the synapses' initial values.

    Args:
        trunk: Turns images (B, C, S, S) into features (B, F).
        num_classes: Output DANs; each makes one logit.
        hidden_sizes: DANs of each hidden layer.
        num_channels: Size of each vector synapse; a square number for `ConvPhenotype`.
        phenotype: Makes a phenotype, such as `ConvPhenotype` or `functools.partial(MLPPhenotype, ...)`.
        sharing: One phenotype per "layer" (the sources' image networks) or one for the whole "network".
        skips: How earlier layers, features included, also reach the output DANs: not at all ("none"); by synapse maps of
            their own ("sum"); by one map from all of them side by side ("concatenation", as in the authors' script).
        initializer: Of the synapses (`Synapses`).
        output_initializer: Of those into the last layer (`DANNetwork`).
        output_scale: Factor on the logits.
        synaptic_scaling: Of the synapses (`Synapses`).
        generator: Source of all initial values of the head; the global one if absent.

    Returns:
        The network: (B, C, S, S) to logits (B, num_classes).

    Raises:
        ValueError: If a size is not positive, or the phenotype refuses the channels.

    Source: "Continual Learning with Deep Artificial Neurons", section 3.2; dissertation, chapter 6.

    Example:
        >>> trunk = InputDANs((1, 28, 28), maps=(16, 16, 16))
        >>> network = dan_classifier(trunk, num_classes=10, hidden_sizes=(32,), num_channels=16)
        >>> network(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
    """
    sizes = (trunk.num_features, *hidden_sizes, num_classes)
    output = len(sizes) - 1
    head = DANNetwork(
        sizes,
        num_channels=num_channels,
        phenotype=phenotype,
        skips=() if skips == "none" else tuple((layer, output) for layer in range(output - 1)),
        joining="concatenation" if skips == "concatenation" else "sum",
        sharing=sharing,
        initializer=initializer,
        output_initializer=output_initializer,
        output_scale=output_scale,
        synaptic_scaling=synaptic_scaling,
        generator=generator,
    )
    return TrunkNetwork(trunk, head)


def dan_autoencoder(
    trunk: InputDANs,
    *,
    hidden_sizes: Sequence[int] = (120, 100, 120),
    num_channels: int = 100,
    phenotype: PhenotypeFactory | None = None,
    sharing: Literal["network", "layer"] = "layer",
    initializer: SynapseInitializer = "lecun_uniform",
    generator: torch.Generator | None = None,
) -> TrunkNetwork:
    """Makes an autoencoder: features of input DANs, an encoder and a decoder of DANs, one DAN per pixel.

    The code is the middle hidden layer. Skip synapses reach it from the features, and the pixels from it.

    Where it differs from the paper:
        1. Synapse maps end in `num_channels` numbers a neuron; the paper's `sqrt(num_channels)` must be a slip, since the
           phenotype takes an image of that side.
        2. The second skip starts at the code's 100 DANs, as the paper's words say; its numbers say 120.
        3. `ConvPhenotype` has no max-pool (3 x 3, stride 1, to judge by the 144 inputs of the paper's first dense layer),
           so that its first dense layer has 256 inputs.

    Args:
        trunk: Turns images (B, C, S, S) into features (B, F). The paper's has two layers and 784 features.
        hidden_sizes: DANs of each hidden layer, an odd number of layers.
        num_channels: Size of each vector synapse.
        phenotype: Makes a phenotype; convolutions of 8 and 4 maps of side 2, then 30 units, if absent.
        sharing: One phenotype per "layer" (the paper's) or one for the whole "network".
        initializer: Of the synapses (`Synapses`).
        generator: Source of all initial values of the head; the global one if absent.

    Returns:
        The network: (B, C, S, S) to pixels (B, C * S * S), in the order of `images.flatten(1)`.

    Raises:
        ValueError: If the number of hidden layers is even, or a size is not positive.

    Source: "Continual Learning with Deep Artificial Neurons", section 3.2 and figure 2.
    """
    if len(hidden_sizes) % 2 == 0:
        raise ValueError(f"Expected an odd number of `hidden_sizes`, the code in the middle, but got {hidden_sizes}.")
    code = len(hidden_sizes) // 2 + 1
    pairs = [(0, code), (code, len(hidden_sizes) + 1)]
    head = DANNetwork(
        (trunk.num_features, *hidden_sizes, math.prod(trunk.image_shape)),
        num_channels=num_channels,
        phenotype=partial(ConvPhenotype, maps=(8, 4), hidden_sizes=(30,)) if phenotype is None else phenotype,
        skips=[(source, target) for source, target in pairs if target - source > 1],
        sharing=sharing,
        initializer=initializer,
        generator=generator,
    )
    return TrunkNetwork(trunk, head)


def papers_autoencoder(*, generator: torch.Generator | None = None) -> TrunkNetwork:
    """Makes the paper's autoencoder of 28 x 28 images, 37.1 million parameters.

    The paper says of its two convolutions only that 784 features leave them: here 16 maps of 7 x 7.

    Args:
        generator: Source of all initial values; the global one if absent.

    Source: "Continual Learning with Deep Artificial Neurons", section 3.2; `dan_autoencoder` lists the deviations.
    """
    return dan_autoencoder(
        InputDANs((1, 28, 28), maps=(16, 16), unit_rms=False, generator=generator), generator=generator
    )


def authors_classifier(*, generator: torch.Generator | None = None) -> TrunkNetwork:
    """Makes the classifier of the authors' class-incremental script: 13,888,696 parameters, of which 5,196,000 plastic.

    Args:
        generator: Source of all initial values; the global one if absent.

    Returns:
        The network: (B, 3, 32, 32) to logits (B, 120).

    Source: the authors' class-incremental script; dissertation, section 6.4.1 ("10 million parameters").
    """
    return dan_classifier(
        InputDANs((3, 32, 32), maps=(32, 4), downsampling="pool", unit_rms=False, generator=generator),
        num_classes=120,
        hidden_sizes=(40, 20, 20),
        num_channels=100,
        phenotype=partial(
            ConvPhenotype, maps=(16, 8), hidden_sizes=(4000, 30), input_activation=True, output_activation=True
        ),
        skips="concatenation",
        generator=generator,
    )


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """A classifier of three layers of input DANs, one or two hidden layers of DANs, and skips into the output DANs.

    `dataclasses.replace` fits a rung of the ladder to other images, classes or phenotypes.

    Attributes:
        maps: Feature maps of each convolution; each halves the side by its stride.
        hidden_sizes: DANs of each hidden layer.
        num_channels: Size of each vector synapse, a square number.
        phenotype_units: Units of the phenotype's last hidden layer.
        phenotype: "conv": two convolutions of 8 maps before these units. "mlp": a ReLU layer twice as wide before them.
        num_classes: Outputs; 25 are a hyper-stream's classes in chapter 6 of the dissertation.
        image_shape: Channels and both sides of the images.
        normalization: Of the convolutions (`InputDANs`).
    """

    maps: tuple[int, ...]
    hidden_sizes: tuple[int, ...]
    num_channels: int
    phenotype_units: int
    phenotype: Literal["conv", "mlp"] = "conv"
    num_classes: int = 25
    image_shape: tuple[int, int, int] = (1, 28, 28)
    normalization: Literal["none", "instance"] = "none"

    def build(self, generator: torch.Generator | None = None, *, checkpoint: bool = False) -> TrunkNetwork:
        """Makes the network.

        Args:
            generator: Source of all initial values; the global one if absent.
            checkpoint: Whether the convolutions save memory (`InputDANs`).
        """
        trunk = InputDANs(
            self.image_shape,
            maps=self.maps,
            normalization=self.normalization,
            checkpoint=checkpoint,
            generator=generator,
        )
        return dan_classifier(
            trunk,
            num_classes=self.num_classes,
            hidden_sizes=self.hidden_sizes,
            num_channels=self.num_channels,
            phenotype=self._phenotype_factory(),
            generator=generator,
        )

    def count(self) -> ParameterCounts:
        """Counts the network's parameters, allocating none."""
        network = without_allocating(self.build)
        return count_parameters(network, network.is_innate)

    def _phenotype_factory(self) -> PhenotypeFactory:
        units = self.phenotype_units
        if self.phenotype == "conv":
            return partial(ConvPhenotype, maps=(8, 8), hidden_sizes=(units,))
        return partial(
            MLPPhenotype, hidden_sizes=(2 * units, units), hidden_activation="relu", output_activation="identity"
        )


def _rung(side: int, maps: int, hidden_sizes: tuple[int, ...], phenotype_units: int) -> ClassifierSettings:
    """A rung whose channels are `side` squared."""
    return ClassifierSettings(
        maps=(maps,) * 3, hidden_sizes=hidden_sizes, num_channels=side**2, phenotype_units=phenotype_units
    )


LADDER: Mapping[str, ClassifierSettings] = MappingProxyType(
    {
        "0.3M": _rung(4, 16, (42,), 16),
        "1M": _rung(4, 32, (90,), 16),
        "3M": _rung(5, 48, (124,), 32),
        "10M": _rung(7, 64, (168,), 64),
        "25M": _rung(8, 96, (195, 195), 128),
        "75M": _rung(9, 160, (293, 293), 256),
        "200M": _rung(10, 256, (412, 412), 512),
    }
)
"""Classifiers by their number of parameters, within 2 %: also for 3 x 32 x 32 images, either phenotype, either normalization."""
