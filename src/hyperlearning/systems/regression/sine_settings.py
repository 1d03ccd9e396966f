"""OML's regression benchmark: lives, networks and training as settings."""

import functools
from dataclasses import dataclass
from typing import Annotated

from hyperlearning.core.expect import AtLeast, Count, Rate, Share, Some, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype
from hyperlearning.networks.gated.oml_regressor import OMLRegressor
from hyperlearning.networks.sequence_model import AttentionName

_DAN_SCALE = 6.0
"""Factor on the DAN network's output, which lies in (-1, 1): a little above the largest amplitude, 5.1."""


@dataclass(frozen=True, kw_only=True)
class LifeSettings:
    """What a life consists of, in training as in deployment."""

    num_tasks: Annotated[int, AtLeast(2)] = 10
    """Sine waves met one after another."""
    capacity: Count = 10
    """Places of the one-hot code, at least as many as tasks."""
    updates_per_task: Count = 5
    """Inner updates on each wave (authors' code: 40, later 5)."""
    batch_size: Count = 16
    """Points per inner update (authors' code: 32)."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.capacity < self.num_tasks:
            raise ValueError(
                f"Expected `capacity` to be at least `num_tasks` ({self.num_tasks}), but got {self.capacity}."
            )

    @property
    def num_inputs(self) -> int:
        """Size of an input: the code and x."""
        return self.capacity + 1

    @property
    def num_updates(self) -> int:
        """Inner updates in a life."""
        return self.num_tasks * self.updates_per_task


@dataclass(frozen=True, kw_only=True)
class OMLSettings:
    """OML's network, which is also that of the baselines, and its training."""

    width: Count = 100
    """Units of every hidden layer (authors' code: 300 or 400)."""
    num_representation_layers: Count = 4
    """Innate layers (authors' code: 6)."""
    num_prediction_layers: Count = 2
    """Plastic layers."""
    oml_inner_lr: Rate = 0.01
    """Rate of the inner SGD (authors' code: .003)."""
    oml_outer_lr: Rate = 0.001
    """Highest rate of the outer Adam (authors' code: .0001)."""
    oml_epochs: Count = 1500
    """Outer updates, each after a generation of lives."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def build(self, life: LifeSettings, seed: int) -> OMLRegressor:
        """Builds the network, its numbers drawn from the seed."""
        return OMLRegressor(
            life.num_inputs,
            width=self.width,
            num_representation_layers=self.num_representation_layers,
            num_prediction_layers=self.num_prediction_layers,
            generator=generator(seed, "oml network"),
        )


@dataclass(frozen=True, kw_only=True)
class DANSettings:
    """The network of Deep Artificial Neurons and its training; innate is the phenotype, plastic are the synapses."""

    hidden_sizes: Annotated[tuple[Count, ...], Some()] = (24, 24)
    """Neurons in each hidden layer."""
    num_channels: Count = 16
    """Size of a vector synapse."""
    phenotype_sizes: tuple[Count, ...] = (15, 8)
    """Hidden units of the phenotype."""
    dan_inner_lr: Rate = 0.003
    """Rate of the inner SGD."""
    dan_outer_lr: Rate = 0.005
    """Highest rate of the outer Adam."""
    dan_epochs: Count = 1500
    """Outer updates, each after a generation of lives."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def build(self, life: LifeSettings, seed: int) -> DANNetwork:
        """Builds the network, its numbers drawn from the seed."""
        sizes = (life.num_inputs, *self.hidden_sizes, 1)
        return DANNetwork(
            sizes,
            num_channels=self.num_channels,
            phenotype=functools.partial(MLPPhenotype, hidden_sizes=self.phenotype_sizes),
            skips=[(a, a + 2) for a in range(len(sizes) - 2)],
            output_scale=_DAN_SCALE,
            initializer="lecun_uniform",
            generator=generator(seed, "dan network"),
        )


@dataclass(frozen=True, kw_only=True)
class SequenceSettings:
    """The sequence model and its meta-training; innate are all its weights, plastic is what it keeps of examples."""

    sequence_steps: Count = 1500
    """Steps of meta-training, each on stretches of new lives."""
    sequence_population: Count = 8
    """Lives of a step."""
    sequence_width: Count = 64
    """Features of a token."""
    sequence_layers: Count = 2
    """Layers."""
    sequence_heads: Count = 2
    """Heads of each."""
    sequence_attention: AttentionName = "softmax"
    """softmax, whose memory grows with the life, or linear, whose memory does not."""
    sequence_lr: Rate = 0.002
    """Highest rate of Adam."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What the training of these systems has in common, and the pretraining that transfer begins with."""

    population: Count = 4
    """Lives side by side, whose outer gradients are averaged (authors' code: 1)."""
    hyper_points: Count = 32
    """Points of the outer loss on each wave (authors' code: 32)."""
    clamp: Rate = 10.0
    """Largest magnitude of any number of OML's gradients, inner and outer (authors' code: 10)."""
    max_grad_norm: Rate = 1.0
    """Bound on the norm of the DAN network's outer gradient."""
    warmup_share: Share = 0.05
    """Share of all outer updates in which the outer rate rises from 0; after it falls on a cosine."""
    pretrain_population: Count = 16
    """Lives whose waves a representation is pretrained on, with a prediction network for each."""
    pretrain_updates: Count = 5000
    """Updates of pretraining."""
    pretrain_lr: Rate = 0.001
    """Rate of its Adam."""

    def __post_init__(self) -> None:
        check_ranges(self)
