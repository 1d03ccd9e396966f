"""Networks for images: innate convolutions (input DANs) before a network of DANs, as a classifier and as an autoencoder."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch

from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.dan.network import DANNetwork, OutputInitializer, SynapseInitializer
from hyperlearning.networks.dan.phenotypes import PhenotypeFactory
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
