"""OML's regression benchmark: lives, networks and training as settings."""

import functools
import math
from dataclasses import dataclass

from hyperlearning.core.seeding import generator
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype
from hyperlearning.networks.gated.oml_regressor import OMLRegressor

_DAN_SCALE = 6.0
"""Factor on the DAN network's output, which lies in (-1, 1): a little above the largest amplitude, 5.1."""


@dataclass(frozen=True, kw_only=True)
class LifeSettings:
    """What a life consists of, in training as in deployment."""

    num_tasks: int = 10
    """Sine waves met one after another."""
    capacity: int = 10
    """Places of the one-hot code, at least as many as tasks."""
    updates_per_task: int = 5
    """Inner updates on each wave (authors' code: 40, later 5)."""
    batch_size: int = 16
    """Points per inner update (authors' code: 32)."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.num_tasks < 2 or self.updates_per_task < 1 or self.batch_size < 1:
            raise ValueError(
                "Expected at least 2 of `num_tasks` and positive `updates_per_task` and `batch_size`, but got "
                f"{self.num_tasks}, {self.updates_per_task} and {self.batch_size}."
            )
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

    width: int = 100
    """Units of every hidden layer (authors' code: 300 or 400)."""
    num_representation_layers: int = 4
    """Innate layers (authors' code: 6)."""
    num_prediction_layers: int = 2
    """Plastic layers."""
    oml_inner_lr: float = 0.01
    """Rate of the inner SGD (authors' code: .003)."""
    oml_outer_lr: float = 0.001
    """Highest rate of the outer Adam (authors' code: .0001)."""
    oml_epochs: int = 1500
    """Outer updates, each after a generation of lives."""

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

    hidden_sizes: tuple[int, ...] = (24, 24)
    """Neurons in each hidden layer."""
    num_channels: int = 16
    """Size of a vector synapse."""
    phenotype_sizes: tuple[int, ...] = (15, 8)
    """Hidden units of the phenotype."""
    dan_inner_lr: float = 0.003
    """Rate of the inner SGD."""
    dan_outer_lr: float = 0.005
    """Highest rate of the outer Adam."""
    dan_epochs: int = 1500
    """Outer updates, each after a generation of lives."""

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
class TrainingSettings:
    """What the training of both systems has in common, and the pretraining that transfer begins with."""

    population: int = 4
    """Lives side by side, whose outer gradients are averaged (authors' code: 1)."""
    hyper_points: int = 32
    """Points of the outer loss on each wave (authors' code: 32)."""
    clamp: float = 10.0
    """Largest magnitude of any number of OML's gradients, inner and outer (authors' code: 10)."""
    max_grad_norm: float = 1.0
    """Bound on the norm of the DAN network's outer gradient."""
    warmup_share: float = 0.05
    """Share of all outer updates in which the outer rate rises from 0; after it falls on a cosine."""
    pretrain_population: int = 16
    """Lives whose waves a representation is pretrained on, with a prediction network for each."""
    pretrain_updates: int = 5000
    """Updates of pretraining."""
    pretrain_lr: float = 0.001
    """Rate of its Adam."""

    def __post_init__(self) -> None:
        """Checks what can be checked without building anything."""
        if min(self.population, self.hyper_points, self.pretrain_population, self.pretrain_updates) < 1:
            raise ValueError(
                "Expected positive `population`, `hyper_points`, `pretrain_population` and `pretrain_updates`, but got "
                f"{self.population}, {self.hyper_points}, {self.pretrain_population} and {self.pretrain_updates}."
            )
        if not (self.clamp > 0 and self.max_grad_norm > 0 and 0 < self.pretrain_lr < math.inf):
            raise ValueError(
                "Expected positive `clamp`, `max_grad_norm` and `pretrain_lr`, but got "
                f"{self.clamp}, {self.max_grad_norm} and {self.pretrain_lr}."
            )
