"""Classifiers of DANs of any size, for tests that need one as large as the published ones or as small as can be."""

from functools import partial
from typing import Literal

import torch

from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.image_networks import dan_classifier
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.dan.phenotypes import MLPPhenotype
from hyperlearning.networks.trunk import TrunkNetwork


def classifier(
    side: int = 4,
    maps: int = 16,
    hidden_sizes: tuple[int, ...] = (42,),
    units: int = 16,
    *,
    phenotype: Literal["conv", "mlp"] = "conv",
    checkpoint: bool = False,
    generator: torch.Generator | None = None,
) -> TrunkNetwork:
    """25 classes of 28 x 28 images; by default .3 million parameters. Channels are `side` squared."""
    mlp = partial(MLPPhenotype, hidden_sizes=(2 * units, units), hidden_activation="relu", output_activation="identity")
    return dan_classifier(
        InputDANs((1, 28, 28), maps=(maps,) * 3, checkpoint=checkpoint, generator=generator),
        num_classes=25,
        hidden_sizes=hidden_sizes,
        num_channels=side**2,
        phenotype=mlp if phenotype == "mlp" else partial(ConvPhenotype, maps=(8, 8), hidden_sizes=(units,)),
        generator=generator,
    )


def medium() -> TrunkNetwork:
    """3 million parameters."""
    return classifier(5, 48, (124,), 32)


def large() -> TrunkNetwork:
    """200 million parameters."""
    return classifier(10, 256, (412, 412), 512)


def authors() -> TrunkNetwork:
    """The classifier of the DAN authors' class-incremental script, whose phenotypes are large."""
    return dan_classifier(
        InputDANs((3, 32, 32), maps=(32, 4), downsampling="pool", unit_rms=False),
        num_classes=120,
        hidden_sizes=(40, 20, 20),
        num_channels=100,
        phenotype=partial(
            ConvPhenotype, maps=(16, 8), hidden_sizes=(4000, 30), input_activation=True, output_activation=True
        ),
        skips="concatenation",
    )
