"""Incremental regression: the network, its lives and its hyper-training as settings."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from hyperlearning.core.expect import Amount, AtLeast, Count, Rate, Share, Some, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import (
    DOMAIN,
    NOTEBOOK_DEPLOYMENT_SINES,
    NOTEBOOK_SINES,
    PAPER_SINES,
    SineDistribution,
)
from hyperlearning.engine.hyper_training import Reset, Schedule, outer_schedule
from hyperlearning.learners.optimizers import OptimizerName
from hyperlearning.learners.population import Backend
from hyperlearning.networks.dan.network import DANNetwork, Sharing, SynapseInitializer
from hyperlearning.networks.dan.phenotypes import Activation, DenseSkipPhenotype, MLPPhenotype, PhenotypeFactory
from hyperlearning.streams.incremental_functions import HyperScope, Windows


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The network of Deep Artificial Neurons."""

    hidden_sizes: Annotated[tuple[Count, ...], Some()] = (16, 16)
    """Neurons in each hidden layer (paper: 40 40; notebook: 10 10 10)."""
    num_channels: Count = 16
    """Size of a vector synapse (papers and notebook: 40)."""
    phenotype: Literal["mlp", "dense_skip"] = "mlp"
    """The papers' multilayer perceptron, or the notebook's with dense internal skips."""
    phenotype_sizes: tuple[Count, ...] = (15, 8)
    """Hidden units of the phenotype (papers: 15 8; notebook: 40 40 40)."""
    skips: Literal["over_one", "all"] = "over_one"
    """Skip synapses over one layer (papers), or between all layers (notebook)."""
    sharing: Sharing = "network"
    """One phenotype for the network, one per layer, or one per neuron."""
    synaptic_activation: Activation = "identity"
    """Applied to the drive before the phenotype: identity (papers) or tanh (notebook)."""
    output_scale: Rate = 1.0
    """Factor on the output: 1 (papers) or 5 (notebook)."""
    initializer: SynapseInitializer = "lecun_uniform"
    """How synapses are drawn at birth (notebook: xavier_uniform)."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def build(self, seed: int) -> DANNetwork:
        """Builds the network, its numbers drawn from the seed."""
        sizes = (1, *self.hidden_sizes, 1)
        reach = len(sizes) if self.skips == "all" else 3
        skips = [(a, b) for a in range(len(sizes)) for b in range(a + 2, min(len(sizes), a + reach))]
        kinds: dict[str, PhenotypeFactory] = {
            "mlp": functools.partial(MLPPhenotype, hidden_sizes=self.phenotype_sizes),
            "dense_skip": functools.partial(DenseSkipPhenotype, hidden_sizes=self.phenotype_sizes),
        }
        return DANNetwork(
            sizes,
            num_channels=self.num_channels,
            phenotype=kinds[self.phenotype],
            skips=skips,
            sharing=self.sharing,
            synaptic_activation=self.synaptic_activation,
            output_scale=self.output_scale,
            initializer=self.initializer,
            generator=generator(seed, "network"),
        )


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """What a life consists of."""

    source: Literal["paper", "notebook"] = "paper"
    """Whose target functions: the papers' filtered mixtures, or the notebook's noisy ones."""
    num_tasks: Annotated[int, AtLeast(2)] = 5
    """Windows that the domain is cut into and met one after another."""
    updates_per_task: Count = 100
    """Inner updates in each window (paper: 100; notebook: 10)."""
    batch_size: Count = 1
    """Points per inner update (paper: 1; notebook: 5)."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def windows(self) -> Windows:
        """The tasks' windows."""
        return Windows(*DOMAIN, self.num_tasks)

    @property
    def num_updates(self) -> int:
        """Inner updates in a life."""
        return self.num_tasks * self.updates_per_task

    def distribution(self, *, deployment: bool) -> SineDistribution:
        """The target functions' distribution; the notebook deploys on an easier one than it trains on."""
        if self.source == "paper":
            return PAPER_SINES
        return NOTEBOOK_DEPLOYMENT_SINES if deployment else NOTEBOOK_SINES


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How the phenotype is hyper-trained."""

    population: Count = 32
    """Lives side by side, whose innate gradients are averaged (paper: 1; notebook: 3)."""
    num_epochs: Count = 16
    """Generations of lives (paper: 200 to 300)."""
    inner_optimizer: OptimizerName = "sgd"
    """How synapses learn: plain backpropagation, or Adam (notebook)."""
    inner_lr: Rate = 0.1
    """Rate of the synapses, the papers' alpha (paper: .001; notebook: .01)."""
    outer_lr: Rate = 0.001
    """Highest rate of the phenotype's Adam, the papers' gamma (paper: .0001; notebook: .01)."""
    schedule: Schedule = "cosine"
    """Course of the outer rate after its warm-up."""
    warmup_share: Share = 0.02
    """Share of all outer steps in which the outer rate rises from 0."""
    max_grad_norm: Rate | None = None
    """Bound on the norm of the outer gradient; .02 in any case while polishing."""
    update_every: Count = 1
    """Inner updates between outer ones."""
    through: Amount = 0
    """Inner updates that the outer gradient passes through, exactly; at most `update_every`."""
    num_outer_updates: Count = 1
    """Outer updates in a row (notebook: 50)."""
    hyper_scope: HyperScope = "stream"
    """What the hyper-loss covers: windows met so far, those and the ones to come in equal parts, or the whole stream."""
    hyper_batch_size: Count = 32
    """Points per hyper-loss and life."""
    reset: Reset = "same"
    """Synapses at birth: always the same, drawn anew, or learned."""
    inner_innate_lr: Annotated[float, AtLeast(0)] = 0.0
    """Rate at which the phenotype follows the task loss too (dissertation, equation 5.5); 0 for not at all."""
    num_polish_epochs: Amount = 0
    """Epochs that follow, with one outer update a life, exact through the whole life, synapses at birth learned too. They have
    a rate, a batch and a bound of their own, and one outer update on the whole stream, which has been met by then."""
    polish_lr: Rate = 0.003
    """Highest outer rate while polishing."""
    polish_batch_size: Count = 128
    """Points per hyper-loss and life while polishing."""
    backend: Backend = "auto"
    """How a step is computed: eager, compiled, the fused kernel, or the fastest that fits."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.num_polish_epochs and self.reset == "redraw":
            raise ValueError(
                "Expected `reset` to be same or learned when polishing, which learns the start, not redraw."
            )
        if self.through and self.backend == "kernel":
            raise ValueError(f"Expected `through` to be 0 with the fused kernel, but got {self.through}.")
        outer_schedule(self.schedule, self.outer_lr, warmup_share=self.warmup_share)

    def phases(self, num_updates: int) -> Iterator["TrainingSettings"]:
        """The settings of each phase, one after another, for lives of so many updates."""
        yield self
        if self.num_polish_epochs:
            yield self._polishing(num_updates)

    def _polishing(self, num_updates: int) -> "TrainingSettings":
        return replace(
            self,
            num_epochs=self.num_polish_epochs,
            update_every=num_updates,
            through=num_updates,
            num_outer_updates=1,
            hyper_scope="stream",
            hyper_batch_size=self.polish_batch_size,
            reset="learned",
            inner_innate_lr=0.0,
            outer_lr=self.polish_lr,
            schedule="cosine",
            warmup_share=0.05,
            # The error falls by three orders of magnitude, and gradients with it; a life near divergence then has one that
            # would throw Adam far off.
            max_grad_norm=0.02,
            num_polish_epochs=0,
            backend="auto" if self.backend in ("kernel", "compiled") else self.backend,
        )
