"""Hyper-Learning on images: data, network, lives and training as settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

import torch

from hyperlearning.core.expect import Amount, AtLeast, Count, Rate, Seed, Share, Some, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import Schedule, outer_schedule
from hyperlearning.learners.optimizers import OptimizerName
from hyperlearning.learners.population import Backend
from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.image_networks import dan_classifier
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.dan.network import OutputInitializer
from hyperlearning.networks.dan.phenotypes import MLPPhenotype, PhenotypeFactory, ResidualPhenotype
from hyperlearning.networks.dan.warp import matched_warp
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters, without_allocating
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.augmentation import AugmentationName
from hyperlearning.streams.class_incremental import ClassScope, HyperMix

Dataset = Literal["omniglot", "mixture", "digits"]
Through = Literal["life", "none"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where classes come from."""

    dataset: Dataset = "omniglot"
    """omniglot: its background alphabets, then its evaluation alphabets and MNIST. mixture: Omniglot, Fashion-MNIST, CIFAR-100
    and mini-ImageNet, each met as often, then the same two. digits: scikit-learn's built-in ones, for a machine without data."""
    side: Count = 28
    """Height and width that images are brought to."""
    rotated_classes: bool = True
    """Whether each class rotated by 90, 180 and 270 degrees is a class of its own in hyper-training."""
    augmentation: AugmentationName = "strong"
    """How all images of hyper-training are changed at random, each time they are met."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Innate convolutions (input DANs), then layers of DANs with plastic vector synapses."""

    maps: Annotated[tuple[Count, ...], Some()] = (32, 64, 64, 64)
    """Feature maps of each convolution; each halves the side."""
    hidden_sizes: tuple[Count, ...] = ()
    """DANs of each hidden layer, all of them also joined to the output DANs (authors: 40 20 20)."""
    num_channels: Count = 9
    """Size of a vector synapse (authors: 100)."""
    phenotype: Literal["residual", "mlp", "conv"] = "residual"
    """A nearly linear start, a plain multilayer perceptron, or the papers' small convolutional network on the channels."""
    phenotype_units: Count = 16
    """Hidden units of the phenotype's dense layer."""
    synaptic_scaling: Annotated[float, AtLeast(0)] = 1.0
    """How much synapses can grow before they are scaled back; 0 for not at all (papers)."""
    zero_start: bool = True
    """Whether synapses into the output DANs are 0 at first; else drawn at random as all others (papers)."""
    num_outputs: Count = 25
    """Output DANs: labels that a life may use (authors: 120)."""
    warp: bool = False
    """Whether dense WarpGrad layers stand in for the DANs, as many numbers in all."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def build(self, data: DataSettings, seed: int) -> TrunkNetwork:
        """Builds the network, its numbers drawn from the seed."""
        source = generator(seed, "network")
        output: OutputInitializer = "zeros" if self.zero_start else "as_others"
        network = dan_classifier(
            self.trunk(data, source),
            num_classes=self.num_outputs,
            hidden_sizes=self.hidden_sizes,
            num_channels=self.num_channels,
            output_initializer=output,
            phenotype=self.phenotype_factory(),
            synaptic_scaling=self.synaptic_scaling,
            generator=source,
        )
        if not self.warp:
            return network
        return matched_warp(
            network, output_initializer=output, synaptic_scaling=self.synaptic_scaling, generator=source
        )

    def trunk(self, data: DataSettings, source: torch.Generator) -> InputDANs:
        """Builds the innate convolutions alone."""
        groups = 8 if all(size % 8 == 0 for size in self.maps) else 1
        return InputDANs(
            (1, data.side, data.side),
            maps=self.maps,
            normalization="group",
            num_groups=groups,
            rectifier="relu",
            centred=True,
            generator=source,
        )

    def count(self, data: DataSettings) -> ParameterCounts:
        """Counts plastic and innate parameters, allocating none."""
        network = without_allocating(lambda: self.build(data, 0))
        return count_parameters(network, network.is_innate)

    def phenotype_factory(self) -> PhenotypeFactory:
        """Makes what makes phenotypes."""
        units = self.phenotype_units
        kinds: dict[str, PhenotypeFactory] = {
            "residual": partial(ResidualPhenotype, hidden_sizes=(units,)),
            "mlp": partial(MLPPhenotype, hidden_sizes=(2 * units, units), output_activation="identity"),
            "conv": partial(ConvPhenotype, hidden_sizes=(units,)),
        }
        return kinds[self.phenotype]


@dataclass(frozen=True, kw_only=True)
class LifeSettings:
    """What a deployed life consists of."""

    num_tasks: Count = 10
    """Classes learned one after another, the papers' d."""
    num_instances: Count = 5
    """Images of each class, the papers' i, met as one batch."""
    steps_per_task: Count = 2
    """Updates on each class, the papers' k (paper: 25)."""
    num_held_out: Count = 15
    """Further images of each class that generalization is measured on."""
    num_lives: Annotated[int, AtLeast(2)] = 100
    """Lives of each split."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How what is innate is hyper-trained."""

    population: Count = 4
    """Lives side by side, whose innate gradients are averaged (paper: 3)."""
    num_epochs: Count = 1000
    """Generations of lives."""
    train_tasks: Count = 20
    """Classes that a life learns in hyper-training, the papers' h_CL: more than it will meet when deployed."""
    train_classes: Count = 25
    """Classes of a hyper-stream in all, the papers' h_H; those beyond `train_tasks` are never learned."""
    train_held_out: Amount = 5
    """Further images of each class for the hyper-loss."""
    hyper_batch_size: Count = 200
    """Images per hyper-loss and life."""
    hyper_mix: HyperMix = (0.5, 0.5, 0.0)
    """Shares of the hyper-batch: images learned, other images of the same classes, classes never learned."""
    scope: ClassScope = "stream"
    """Whether a hyper-loss covers all of a life's classes, or those met so far."""
    through: Through = "life"
    """Whether the outer gradient passes, exactly, through the whole life, with one outer update a life and synapses at birth
    learned too; or through none of it, with an outer update after every inner one (papers)."""
    inner_optimizer: OptimizerName = "sgd"
    """How synapses learn."""
    inner_lr: Rate = 0.3
    """Rate of the synapses, the papers' alpha (paper: .001, Adam)."""
    temperature: Rate = 100.0
    """Of the task loss's softmax; 1 for the plain one (papers)."""
    outer_lr: Rate = 0.002
    """Highest rate of the outer Adam, the papers' gamma (paper: .001)."""
    schedule: Schedule = "cosine"
    """Course of the outer rate after its warm-up."""
    warmup_share: Share = 0.02
    """Share of all outer steps in which the outer rate rises from 0."""
    max_grad_norm: Rate | None = 1.0
    """Bound on the norm of the outer gradient."""
    backend: Backend = "auto"
    """How a step is computed."""

    def __post_init__(self) -> None:
        check_ranges(self)
        _ = self.outer_rate  # Which raises.

    @property
    def outer_rate(self) -> Callable[[float], float]:
        """Maps the share of outer steps done to the outer rate."""
        return outer_schedule(self.schedule, self.outer_lr, warmup_share=self.warmup_share)


PAPER_NETWORK = NetworkSettings(
    maps=(32, 64, 64),
    hidden_sizes=(40, 20, 20),
    num_channels=100,
    phenotype="conv",
    phenotype_units=30,
    synaptic_scaling=0.0,
    zero_start=False,
    num_outputs=120,
)
"""Classifier of the dissertation, section 6.4.1, as the authors' script has it."""

PAPER_TRAINING = TrainingSettings(
    population=3,
    num_epochs=1000,
    train_held_out=10,
    hyper_batch_size=20,
    hyper_mix=(0.4, 0.4, 0.2),
    through="none",
    inner_optimizer="adam",
    inner_lr=0.001,
    temperature=1.0,
    outer_lr=0.001,
    schedule="constant",
    warmup_share=0.0,
    max_grad_norm=None,
)
"""Hyper-training of the dissertation, section 6.4.1: first order, with an outer update after every inner one."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingSettings:
    """How convolutions are trained alone, as an embedding for class means, which costs a fraction of what lives cost."""

    embedding_epochs: Amount = 0
    """Generations of this training, which comes before hyper-training; 0 for none (papers)."""
    embedding_classes: Annotated[int, AtLeast(2)] = 60
    """Classes of each generation, or all there are: to tell many apart is a harder lesson than to tell few."""
    embedding_lr: Rate = 0.002
    """Highest rate of its Adam, with the course that hyper-training's has."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """All of a hyper-trained image system."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_ranges(self)
