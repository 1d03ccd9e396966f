"""Networks for images: innate convolutions (input DANs) before a network of DANs. A classifier and an autoencoder."""

from collections.abc import Sequence
from typing import Literal

import torch

from hyperlearning.networks.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan import DANNetwork, SynapseInitializer
from hyperlearning.networks.input_dans import InputDANs
from hyperlearning.networks.phenotypes import PhenotypeFactory
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
    output_scale: float = 1.0,
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
        output_scale: Factor on the logits.
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
        output_scale=output_scale,
        generator=generator,
    )
    return TrunkNetwork(trunk, head)
