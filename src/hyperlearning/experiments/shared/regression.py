"""Incremental regression, shared by its experiments: settings, the system they describe, its training and its lives.

Shape suffixes: F functions (lives), T tasks, P points of the evaluation grid.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import (
    DOMAIN,
    NOTEBOOK_DEPLOYMENT_SINES,
    NOTEBOOK_SINES,
    PAPER_SINES,
    SineDistribution,
    SineMixtures,
    on_grid,
)
from hyperlearning.engine.hyper_training import (
    Phase,
    Reset,
    Schedule,
    TrainingState,
    begin,
    outer_schedule,
)
from hyperlearning.evaluation import continual
from hyperlearning.learners.hyper_step import HyperStep, make_hyper_step
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.optimizers import Optimizer, OptimizerName, adam, optimizer
from hyperlearning.learners.population import Backend, compile_step, describe, fused_unroll, population_forward
from hyperlearning.networks.dan import DANNetwork, Sharing, SynapseInitializer
from hyperlearning.networks.fused import why_not_fused
from hyperlearning.networks.phenotypes import (
    Activation,
    DenseSkipPhenotype,
    MLPPhenotype,
    PhenotypeFactory,
)
from hyperlearning.streams.hyper_stream import HyperStream, Stream
from hyperlearning.streams.incremental_functions import (
    HyperScope,
    Windows,
    draw_hyper_stream,
    draw_stream,
)

POINTS_PER_TASK = 50
"""Evaluation points in each window, at the centres of equal cells."""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The network of Deep Artificial Neurons."""

    hidden_sizes: tuple[int, ...] = (16, 16)
    """Neurons in each hidden layer (paper: 40 40; notebook: 10 10 10)."""
    num_channels: int = 16
    """Size of a vector synapse (papers and notebook: 40)."""
    phenotype: Literal["mlp", "dense_skip"] = "mlp"
    """The papers' multilayer perceptron, or the notebook's with dense internal skips."""
    phenotype_sizes: tuple[int, ...] = (15, 8)
    """Hidden units of the phenotype (papers: 15 8; notebook: 40 40 40)."""
    skips: Literal["over_one", "all"] = "over_one"
    """Skip synapses over one layer (papers), or between all layers (notebook)."""
    sharing: Sharing = "network"
    """One phenotype for the network, one per layer, or one per neuron."""
    synaptic_activation: Activation = "identity"
    """Applied to the drive before the phenotype: identity (papers) or tanh (notebook)."""
    output_scale: float = 1.0
    """Factor on the output: 1 (papers) or 5 (notebook)."""
    initializer: SynapseInitializer = "lecun_uniform"
    """How synapses are drawn at birth (notebook: xavier_uniform)."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if not 0 < self.output_scale < math.inf:
            raise ValueError(f"Expected `output_scale` to be positive, but got {self.output_scale}.")
        if not self.hidden_sizes or min(*self.hidden_sizes, *self.phenotype_sizes, self.num_channels) < 1:
            raise ValueError(
                "Expected positive `hidden_sizes`, `phenotype_sizes` and `num_channels`, but got "
                f"{self.hidden_sizes}, {self.phenotype_sizes} and {self.num_channels}."
            )

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
    num_tasks: int = 5
    """Windows that the domain is cut into and met one after another."""
    updates_per_task: int = 100
    """Inner updates in each window (paper: 100; notebook: 10)."""
    batch_size: int = 1
    """Points per inner update (paper: 1; notebook: 5)."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.num_tasks < 2 or self.updates_per_task < 1 or self.batch_size < 1:
            raise ValueError(
                "Expected at least 2 of `num_tasks` and positive `updates_per_task` and `batch_size`, but got "
                f"{self.num_tasks}, {self.updates_per_task} and {self.batch_size}."
            )

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

    population: int = 32
    """Lives side by side, whose innate gradients are averaged (paper: 1; notebook: 3)."""
    num_epochs: int = 16
    """Generations of lives (paper: 200 to 300)."""
    inner_optimizer: OptimizerName = "sgd"
    """How synapses learn: plain backpropagation, or Adam (notebook)."""
    inner_lr: float = 0.1
    """Rate of the synapses, the papers' alpha (paper: .001; notebook: .01)."""
    outer_lr: float = 0.001
    """Highest rate of the phenotype's Adam, the papers' gamma (paper: .0001; notebook: .01)."""
    schedule: Schedule = "cosine"
    """Course of the outer rate after its warm-up."""
    warmup_share: float = 0.02
    """Share of all outer steps in which the outer rate rises from 0."""
    max_grad_norm: float | None = None
    """Bound on the norm of the outer gradient; .02 in any case while polishing."""
    update_every: int = 1
    """Inner updates between outer ones."""
    through: int = 0
    """Inner updates that the outer gradient passes through, exactly; at most `update_every`."""
    num_outer_updates: int = 1
    """Outer updates in a row (notebook: 50)."""
    hyper_scope: HyperScope = "stream"
    """What the hyper-loss covers: windows met so far, those and the ones to come in equal parts, or the whole stream."""
    hyper_batch_size: int = 32
    """Points per hyper-loss and life."""
    reset: Reset = "same"
    """Synapses at birth: always the same, drawn anew, or learned."""
    inner_innate_lr: float = 0.0
    """Rate at which the phenotype follows the task loss too (dissertation, equation 5.5); 0 for not at all."""
    num_polish_epochs: int = 0
    """Epochs that follow, with one outer update a life, exact through the whole life, synapses at birth learned too. They have
    a rate, a batch and a bound of their own, and one outer update on the whole stream, which has been met by then."""
    polish_lr: float = 0.003
    """Highest outer rate while polishing."""
    polish_batch_size: int = 128
    """Points per hyper-loss and life while polishing."""
    backend: Backend = "auto"
    """How a step is computed: eager, compiled, the fused kernel, or the fastest that fits."""

    def __post_init__(self) -> None:
        """Checks what can be checked without building anything."""
        if min(self.population, self.num_epochs, self.hyper_batch_size) < 1 or not 0 < self.inner_lr < math.inf:
            raise ValueError(
                "Expected positive `population`, `num_epochs`, `hyper_batch_size` and `inner_lr`, but got "
                f"{self.population}, {self.num_epochs}, {self.hyper_batch_size} and {self.inner_lr}."
            )
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(f"Expected `max_grad_norm` to be positive, but got {self.max_grad_norm}.")
        if self.num_polish_epochs < 0 or self.polish_batch_size < 1:
            raise ValueError(
                "Expected non-negative `num_polish_epochs` and positive `polish_batch_size`, but got "
                f"{self.num_polish_epochs} and {self.polish_batch_size}."
            )
        if self.num_polish_epochs and self.reset == "redraw":
            raise ValueError(
                "Expected `reset` to be same or learned when polishing, which learns the start, not redraw."
            )
        if self.through and self.backend == "kernel":
            raise ValueError(f"Expected `through` to be 0 with the fused kernel, but got {self.through}.")
        outer_schedule(self.schedule, self.outer_lr, warmup_share=self.warmup_share)
        outer_schedule("cosine", self.polish_lr, warmup_share=0.0)

    def polishing(self, num_updates: int) -> "TrainingSettings":
        """The settings of the polishing phase for lives of so many updates."""
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


class System(NamedTuple):
    """A network with its training, ready to begin.

    Attributes:
        network: The network; its own values are the ones at birth before training.
        phases: What hyper-training is made of.
        learner: The inner loop, in training as in deployment.
        initial: The state before the first phase.
        generator: Source of all training data.
        backend: How steps are computed.
    """

    network: DANNetwork
    phases: tuple[Phase, ...]
    learner: Learner
    initial: TrainingState
    generator: torch.Generator
    backend: str


def build_system(network: NetworkSettings, training: TrainingSettings, stream: StreamSettings, *, seed: int) -> System:
    """Builds what the settings describe.

    Raises:
        ValueError: If settings contradict one another.
    """
    module = network.build(seed)
    plastic, innate = partition(module, module.is_innate)
    source = generator(seed, "lives")
    phases = [_build_phase(module, plastic, network, training, stream)]
    if training.num_polish_epochs:
        phases.append(_build_phase(module, plastic, network, training.polishing(stream.num_updates), stream))
    learner = build_learner(module, plastic, training)
    name = describe(learner.forward, phases[0].step)
    return System(module, tuple(phases), learner, begin(innate, plastic, source), source, name)


def build_learner(module: nn.Module, plastic: Params, training: TrainingSettings) -> Learner:
    """Builds the inner loop of a network: the fused kernel where it fits, for updates in a row too."""
    forward = population_forward(module, plastic, backend=training.backend)
    inner = optimizer(training.inner_optimizer)
    unroll = fused_unroll(forward) if training.inner_optimizer == "sgd" else None
    return Learner(forward, mean_squared_error, inner, training.inner_lr, unroll)


def check_system(network: NetworkSettings, training: TrainingSettings, stream: StreamSettings) -> None:
    """Raises what `build_system` would, without compiling anything.

    Raises:
        ValueError: If settings contradict one another.
    """
    module = network.build(0)
    plastic, _ = partition(module, module.is_innate)
    phases = [training, *([training.polishing(stream.num_updates)] if training.num_polish_epochs else [])]
    for phase in phases:
        if phase.backend == "kernel":
            reason = why_not_fused(module, plastic)
            if reason:
                raise ValueError(f"Expected settings that fit the fused kernel, but {reason}.")
        _make_step(Learner(population_forward(module, plastic), mean_squared_error, adam(), 1.0), adam(), phase)
        _drawing(phase, stream)(torch.Generator().manual_seed(0))


def _make_step(learner: Learner, outer: Optimizer, training: TrainingSettings) -> HyperStep:
    return make_hyper_step(
        learner,
        outer,
        update_every=training.update_every,
        through=training.through,
        num_outer_updates=training.num_outer_updates,
        learn_start=training.reset == "learned",
        inner_innate_lr=training.inner_innate_lr,
        max_grad_norm=training.max_grad_norm,
    )


def _build_phase(
    module: DANNetwork, plastic: Params, network: NetworkSettings, training: TrainingSettings, stream: StreamSettings
) -> Phase:
    learner = build_learner(module, plastic, training)
    if training.through and learner.unroll is None:
        second_order = population_forward(module, plastic, backend=training.backend, second_order=True)
        learner = learner._replace(forward=second_order)
    outer = adam()
    step = _make_step(learner, outer, training)
    num_calls = training.num_epochs * stream.num_updates // training.update_every
    return Phase(
        step=compile_step(step, learner.forward, backend=training.backend, num_calls=num_calls),
        inner=learner.optimizer,
        outer=outer,
        learn_start=training.reset == "learned",
        draw=_drawing(training, stream),
        births=_redrawing(network, training.population) if training.reset == "redraw" else None,
        population=training.population,
        update_every=training.update_every,
        num_epochs=training.num_epochs,
        steps_per_epoch=stream.num_updates // training.update_every,
        outer_lr=outer_schedule(training.schedule, training.outer_lr, warmup_share=training.warmup_share),
    )


def _drawing(training: TrainingSettings, stream: StreamSettings) -> Callable[[torch.Generator], HyperStream]:
    distribution = stream.distribution(deployment=False)

    def draw(source: torch.Generator) -> HyperStream:
        functions = distribution.sample(training.population, source)
        return draw_hyper_stream(
            functions,
            stream.windows,
            source,
            num_members=training.population,
            updates_per_task=stream.updates_per_task,
            batch_size=stream.batch_size,
            hyper_batch_size=training.hyper_batch_size,
            scope=training.hyper_scope,
            update_every=training.update_every,
            num_outer_updates=training.num_outer_updates,
            noise_sd=noise_of(functions, distribution),
        )

    return draw


def _redrawing(network: NetworkSettings, population: int) -> Callable[[Params, HyperStream, torch.Generator], Params]:
    def redraw(start: Params, stream: HyperStream, source: torch.Generator) -> Params:
        seeds = torch.randint(2**31, (population,), generator=source).tolist()
        births = [partition(module := network.build(seed), module.is_innate)[0] for seed in seeds]
        return {name: torch.stack([birth[name] for birth in births]) for name in births[0]}

    return redraw


def noise_of(functions: SineMixtures, distribution: SineDistribution) -> Float[Tensor, " functions"] | None:
    """Standard deviation of the noise on each function's training targets."""
    if distribution.noise == 0:
        return None
    values = on_grid(functions, 201)
    return distribution.noise * (values.amax(1) - values.amin(1))


class HeldOut(NamedTuple):
    """Functions never trained on, the stream each is met in, and where predictions are compared.

    Attributes:
        stream: Training data of F lives, in order.
        grid: (F, P, 1), ordered, `POINTS_PER_TASK` in each window.
        values: (F, P, 1), without noise.
    """

    stream: Stream
    grid: Float[Tensor, "functions points 1"]
    values: Float[Tensor, "functions points 1"]


def hold_out(settings: StreamSettings, num_functions: int, *, seed: int, purpose: str = "held-out") -> HeldOut:
    """Draws functions to deploy on; they depend on the seed and purpose alone, so methods meet the same ones."""
    source = generator(seed, f"{purpose} functions")
    distribution = settings.distribution(deployment=True)
    functions = distribution.sample(num_functions, source)
    stream = draw_stream(
        functions,
        settings.windows,
        source,
        num_members=num_functions,
        updates_per_task=settings.updates_per_task,
        batch_size=settings.batch_size,
        noise_sd=noise_of(functions, distribution),
    )
    grid = evaluation_grid(settings.num_tasks).expand(num_functions, -1, 1).contiguous()
    return HeldOut(stream, grid, functions(grid[..., 0])[..., None])


def evaluation_grid(num_tasks: int) -> Float[Tensor, "points 1"]:
    """Points at the centres of equal cells of the domain, `POINTS_PER_TASK` in each window."""
    num_points = POINTS_PER_TASK * num_tasks
    low, high = DOMAIN
    return (low + (high - low) * (torch.arange(num_points) + 0.5) / num_points)[:, None]


class Lives(NamedTuple):
    """What became of F lives.

    Attributes:
        errors: (F, T + 1, T), mean squared error on task j after learning i tasks.
        predictions: (T + 1, F, P), over the whole grid before learning and after every task.
    """

    errors: Float[Tensor, "functions stages tasks"]
    predictions: Float[Tensor, "stages functions points"]


def deploy(
    learner: Learner, start: Params, innate: Params, held_out: HeldOut, *, num_tasks: int, stream: Stream | None = None
) -> Lives:
    """Lives one life per held-out function, all from the same start, and looks at it after every task.

    Args:
        learner: Network, loss and inner optimizer.
        start: Plastic parameters at birth, without a member axis.
        innate: Innate parameters, shared.
        held_out: The functions.
        num_tasks: Tasks of a life.
        stream: What is learned from in place of the held-out stream, such as its shuffled copy.
    """
    stream = stream or held_out.stream
    return lives_from(watch(learner, start, innate, stream, held_out.grid, num_tasks=num_tasks), held_out, num_tasks)


def watch(
    learner: Learner, start: Params, innate: Params, stream: Stream, grid: Tensor, *, num_tasks: int
) -> Float[Tensor, "stages functions points"]:
    """Lives F lives and returns what they predict on a grid (F, P, ...) before learning and after every task."""
    predictions = []
    with torch.no_grad():
        grid = learner.prepared(innate, grid)
    births = stack_members(start, len(grid))
    every = len(stream.inputs) // num_tasks
    for plastic in live(learner, births, innate, stream.inputs, stream.targets, every=every):
        with torch.no_grad():
            predictions.append(learner.forward(plastic, innate, grid)[..., 0])
    return torch.stack(predictions)


def lives_from(predictions: Float[Tensor, "stages functions points"], held_out: HeldOut, num_tasks: int) -> Lives:
    """Compares predictions with the functions' values, task by task."""
    squared = (predictions - held_out.values[..., 0]).square()
    errors = squared.unflatten(-1, (num_tasks, -1)).mean(-1)
    return Lives(errors.transpose(0, 1), predictions)


def settled(
    errors: Float[Tensor, "functions stages tasks"], *, instead: float = 1.0
) -> tuple[Float[Tensor, "functions stages tasks"], int]:
    """Gives lives that diverged an error `instead`, more than predicting 0 throughout could cost, and counts them."""
    diverged = ~torch.isfinite(errors).flatten(1).all(1)
    return torch.where(diverged[:, None, None], instead, errors), int(diverged.sum())


def scores_of(errors: Float[Tensor, "functions stages tasks"]) -> dict[str, list[float]]:
    """Every score of every life, by name, to be averaged and paired."""
    scores = {
        "total_error": continual.total_error(errors),
        "memory_error": continual.memory_error(errors),
        "forgetting": continual.forgetting(errors),
        "backward_transfer": continual.backward_transfer(errors),
    }
    return {name: rounded(values, 8) for name, values in scores.items()}


def rounded(values: Tensor, digits: int = 5) -> Any:
    """Turns a tensor into nested lists of short numbers, for a record."""
    return np.round(values.double().numpy(), digits).tolist()
