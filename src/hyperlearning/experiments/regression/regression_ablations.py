"""Regression ablations: what makes learning without forgetting work.

Claims ("Continual Learning with Deep Artificial Neurons", figure 4; dissertation, figures 5.4 and 5.5): a hyper-trained
phenotype, fixed, beats random and plastic ones (net0 to net5); one phenotype for all neurons is enough; more channels help.
Beyond the papers: the population, and outer gradients taken through inner updates. Every condition is hyper-trained from
several seeds and deployed on the same held-out functions, so comparisons are paired.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from rich.console import Console

from hyperlearning.core.expect import Amount, AtLeast, Count, Rate, Seed, Some, check_ranges
from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, count
from hyperlearning.core.rounding import rounded
from hyperlearning.core.seeding import generator
from hyperlearning.core.settings import absent
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import Trained, train_below
from hyperlearning.evaluation import continual
from hyperlearning.experiments.experiment import Experiment, over_runs_in, page_of
from hyperlearning.learners.hyper_step import HyperState
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import OptimizerName, optimizer
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.backbones import RadialBasisNetwork, mlp, mlp_width
from hyperlearning.networks.dan.network import DANNetwork, SynapseInitializer
from hyperlearning.networks.features import GaussianBumps
from hyperlearning.streams.incremental_functions import HyperScope
from hyperlearning.systems.regression.build import build_system, check_system
from hyperlearning.systems.regression.closed_form import (
    FEW_BUMPS,
    LMS_BUMPS,
    NUM_RANDOM,
    closed_form_methods,
    live_lms,
    live_solved,
    random_units,
)
from hyperlearning.systems.regression.lines import ValidationLine, validation_line
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, deploy, hold_out
from hyperlearning.systems.regression.methods import (
    Descent,
    baseline_methods,
    deploying,
    live_bumps,
    live_ewc,
    live_plain,
    with_replay,
)
from hyperlearning.systems.regression.scores import Scores, scores_of, settled
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings
from hyperlearning.systems.system import Method, System

Study = Literal[
    "deployment_models",
    "sharing",
    "num_channels",
    "population",
    "through",
    "polishing",
    "inner_lr",
    "initializer",
    "hyper_scope",
    "baselines",
]
_STUDIES: tuple[Study, ...] = get_args(Study)
_NUM_VALIDATION = 64
_NUM_LOOKS = 12
_SWEEP_SEED = 777


@dataclass(frozen=True, kw_only=True)
class Config:
    """Take the system apart, one study at a time."""

    studies: Annotated[tuple[Study, ...], Some(distinct=True)] = _STUDIES
    """Which studies to run."""
    num_seeds: Count = 3
    """Hyper-training runs per condition."""
    channels: tuple[Count, ...] = (1, 2, 4, 8, 16)
    """Conditions of the study of `num_channels`."""
    populations: tuple[Count, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Conditions of the study of `population`."""
    through_windows: tuple[Amount, ...] = (0, 1, 10, 100)
    """Conditions of the study of `through`; each sets `update_every` to at least 1."""
    polish_epochs: tuple[Amount, ...] = (0, 10, 40, 160)
    """Conditions of the study of `num_polish_epochs`."""
    inner_lrs: tuple[Rate, ...] = (0.01, 0.03, 0.1, 0.3)
    """Conditions of the study of `inner_lr`."""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    num_functions: Annotated[int, AtLeast(2)] = 256
    """Held-out functions to deploy on."""
    seed: Seed = 0
    """The first seed; the others follow."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation; results do not depend on it."""

    def __post_init__(self) -> None:
        check_ranges(self)


class Variant(NamedTuple):
    """The system of one study with one thing changed, hyper-trained from one seed.

    Attributes:
        study: The study.
        label: What a figure calls it.
        network: Its network.
        training: Its training.
        seed: Its seed.
    """

    study: Study
    label: str
    network: NetworkSettings
    training: TrainingSettings
    seed: int

    @property
    def folder(self) -> str:
        """Name of its own record."""
        return f"{self.study}-{self.label}-seed{self.seed}".replace(" ", "_")


@dataclass(frozen=True, kw_only=True)
class VariantSettings:
    """Settings of one variant, for its own record."""

    network: NetworkSettings
    training: TrainingSettings
    stream: StreamSettings
    seed: int


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The course of hyper-training on validation functions, column by column."""

    epoch: list[int]
    memory_error: list[float]
    total_error: list[float]


@dataclass(frozen=True, kw_only=True)
class VariantLine:
    """A variant, or a model made of what it trained, on the held-out functions.

    Attributes:
        study: The study.
        label: The variant's, or the model's.
        seed: The seed.
        num_diverged: Lives that diverged, which count with an error of 1.
        scores: Of every function.
        total_curve: Mean error on all tasks in the course of a life.
        memory_curve: Mean error on the tasks met so far.
        epochs: The course of its hyper-training, if it had one of its own.
    """

    kind: ClassVar[str] = "condition"

    study: Study
    label: str
    seed: int
    num_diverged: int
    scores: Scores
    total_curve: list[float]
    memory_curve: list[float]
    epochs: Looks | None = absent()


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """A baseline with one of the settings that it could have.

    Attributes:
        method: The baseline.
        optimizer: Its optimizer.
        lr: Its rate.
        strength: Of elastic weight consolidation.
        width: Of radial basis functions.
        total_error: Mean over functions; none if a life diverged.
    """

    kind: ClassVar[str] = "trial"

    method: str
    optimizer: OptimizerName
    lr: float
    strength: float | None = absent()
    width: float | None = absent()
    total_error: float | None


@dataclass(frozen=True, kw_only=True)
class SolvedTrialLine:
    """A readout on fixed features with one of the settings that it could have.

    Attributes:
        method: The readout.
        num_features: Features.
        size: Width of bumps, in distances of neighbours, or scale of random units.
        amount: The prior's precision, or the rate of normalised steps.
        total_error: Mean over functions; none if a life diverged.
    """

    kind: ClassVar[str] = "solved_trial"

    method: str
    num_features: int
    size: float
    amount: float
    total_error: float | None


_QUICK = Config(training=TrainingSettings(population=16, num_epochs=12))

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "smoke": Config(
        num_seeds=1,
        channels=(1, 2),
        populations=(1, 2),
        through_windows=(0, 2),
        polish_epochs=(0, 1),
        inner_lrs=(0.01, 0.1),
        network=NetworkSettings(hidden_sizes=(4, 4), num_channels=2, phenotype_sizes=(4,)),
        training=TrainingSettings(population=2, num_epochs=1, backend="eager"),
        stream=StreamSettings(updates_per_task=4),
        num_functions=4,
        threads=1,
    ),
    "paper": Config(
        channels=(1, 10, 20, 40),
        populations=(1,),
        network=NetworkSettings(hidden_sizes=(40, 40), num_channels=40, initializer="xavier_uniform"),
        training=TrainingSettings(
            population=1,
            num_epochs=300,
            inner_lr=0.001,
            outer_lr=0.0001,
            schedule="constant",
            warmup_share=0.0,
            hyper_scope="memory",
        ),
    ),
}


def check(config: Config) -> None:
    """Raises if any variant's settings contradict one another, before a run exists."""
    for variant in variants(config):
        if variant.seed == config.seed:
            check_system(variant.network, variant.training, config.stream)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains and deploys every variant not yet in the record; each has a record and checkpoints of its own below this one."""
    held_out = hold_out(config.stream, config.num_functions, seed=config.seed)
    every = list(variants(config))
    for number, variant in enumerate(every, start=1):
        console.print(f"condition {number} of {len(every)}: {variant.folder}", highlight=False)
        system = build_system(variant.network, variant.training, config.stream, seed=variant.seed)
        trained = _train(config, variant, system, record, console)
        live = deploying(system.learner, trained.state.hyper)
        _live_once(record, variant, Method(variant.label, variant.label, "", live), held_out, trained.record)
        if variant.study == "deployment_models":
            for method in _models(variant, system, trained.state):
                _live_once(record, variant, method, held_out)
    if "baselines" in config.studies:
        _sweep_baselines(config, record, console)


def variants(config: Config) -> Iterator[Variant]:
    """Lists all variants that are hyper-trained."""
    network, training = config.network, config.training
    by_study: dict[Study, list[tuple[str, NetworkSettings, TrainingSettings]]] = {
        "deployment_models": [("net0", network, training)],
        "sharing": [
            ("net0 network", network, training),
            ("net1 layer", replace(network, sharing="layer"), training),
            ("net2 neuron", replace(network, sharing="neuron"), training),
        ],
        "num_channels": [(str(c), replace(network, num_channels=c), training) for c in config.channels],
        "population": [(str(m), network, replace(training, population=m)) for m in config.populations],
        "through": [
            (str(k), network, replace(training, through=k, update_every=max(k, 1))) for k in config.through_windows
        ],
        "polishing": [(str(n), network, replace(training, num_polish_epochs=n)) for n in config.polish_epochs],
        "inner_lr": [(f"{lr:g}", network, replace(training, inner_lr=lr)) for lr in config.inner_lrs],
        "initializer": [(name, replace(network, initializer=name), training) for name in get_args(SynapseInitializer)],
        "hyper_scope": [(name, network, replace(training, hyper_scope=name)) for name in get_args(HyperScope)],
        "baselines": [],
    }
    for study in config.studies:
        for label, its_network, its_training in by_study[study]:
            for seed in range(config.seed, config.seed + config.num_seeds):
                yield Variant(study, label, its_network, its_training, seed)


def _train(
    config: Config, variant: Variant, system: System[DANNetwork], record: RunRecord, console: Console
) -> Trained[TrainingState]:
    settings = VariantSettings(
        network=variant.network, training=variant.training, stream=config.stream, seed=variant.seed
    )
    validation = hold_out(config.stream, _NUM_VALIDATION, seed=config.seed, purpose="validation")

    def look(epoch: int, state: TrainingState) -> ValidationLine:
        return validation_line(epoch, deploy(system.learner, state.hyper.start, state.hyper.innate, validation))

    return train_below(
        record,
        variant.folder,
        settings,
        system.job,
        console,
        look=look,
        num_looks=_NUM_LOOKS,
        folder="conditions",
    )


def _live_once(
    record: RunRecord,
    variant: Variant,
    method: Method[HeldOut, LifeErrors],
    held_out: HeldOut,
    own: RunRecord | None = None,
) -> None:
    key = {"study": variant.study, "label": method.name, "seed": variant.seed}

    def line() -> VariantLine:
        errors, num_diverged = settled(method.live(held_out).errors)
        return VariantLine(
            study=variant.study,
            label=method.name,
            seed=variant.seed,
            num_diverged=num_diverged,
            scores=scores_of(errors),
            total_curve=rounded(continual.total_curve(errors).mean(0), 10),
            memory_curve=rounded(continual.memory_curve(errors).mean(0), 10),
            epochs=None if own is None else _looks(own),
        )

    record.once(VariantLine, key, line)


def _looks(own: RunRecord) -> Looks:
    lines = own.lines(ValidationLine)
    return Looks(
        epoch=[line.epoch for line in lines],
        memory_error=[line.memory_error for line in lines],
        total_error=[line.total_error for line in lines],
    )


def _models(
    variant: Variant, system: System[DANNetwork], state: TrainingState
) -> Iterator[Method[HeldOut, LifeErrors]]:
    """The models net1 to net5, the MLP with EWC and a solved readout, to stand beside the hyper-trained net0."""
    unique = replace(variant.network, sharing="neuron").build(variant.seed + 1000)
    shared_values, random_values = (_values(hyper) for hyper in (state.hyper, system.job.begin().hyper))
    unique_values = {name: parameter.detach() for name, parameter in unique.named_parameters()}
    models = {
        "net1": (system.network, shared_values, True),
        "net2": (system.network, random_values, False),
        "net3": (system.network, random_values, True),
        "net4": (unique, unique_values, False),
        "net5": (unique, unique_values, True),
    }
    training = variant.training
    for label, (network, values, plastic_phenotype) in models.items():
        innate = {n: v for n, v in values.items() if network.is_innate(n) and not plastic_phenotype}
        start = {name: value for name, value in values.items() if name not in innate}
        forward = population_forward(network, start, backend="auto")
        learner = Learner(forward, mean_squared_error, optimizer(training.inner_optimizer), training.inner_lr)
        yield Method(label, label, "", partial(deploy, learner, start, innate))
    baselines = {method.name: method for method in baseline_methods(count(state.hyper.start), seed=variant.seed)}
    yield replace(baselines["mlp_ewc"], name="MLP with EWC")
    solved = {method.name: method for method in closed_form_methods(seed=variant.seed)}
    yield replace(solved["rls"], name="recursive least squares")


def _values(hyper: HyperState) -> Params:
    return {**hyper.start, **hyper.innate}


def _sweep_baselines(config: Config, record: RunRecord, console: Console) -> None:
    """Chooses the baselines' rates, and sizes and priors of readouts, on functions of their own."""
    held_out = hold_out(config.stream, _NUM_VALIDATION, seed=_SWEEP_SEED, purpose="baseline tuning")
    trials = [(TrialLine, trial) for trial in _trials(config)]
    trials += [(SolvedTrialLine, trial) for trial in _solved_trials()]
    with reporting(console, "baselines", len(trials), "trials") as progress:
        for done, (kind, trial) in enumerate(trials, start=1):
            record.once(
                kind,
                trial.facts,
                lambda kind=kind, trial=trial: kind(**trial.facts, total_error=_total_error(trial, held_out)),
            )
            progress(done, trial.name)


def _trials(config: Config) -> Iterator[Method[HeldOut, LifeErrors]]:
    width = mlp_width(count(dict(config.network.build(0).synapses.named_parameters())))
    network = mlp((1, width, width, 1), generator=generator(_SWEEP_SEED, "mlp"))
    budget = count(dict(network.named_parameters()))
    descents = [Descent("sgd", lr) for lr in (0.001, 0.003, 0.01, 0.03, 0.04)]
    descents += [Descent("adam", lr) for lr in (0.003, 0.01, 0.02, 0.03, 0.05)]
    for descent in descents:
        plain = partial(live_plain, network, descent)
        yield _trial("finetune", plain, descent)
        for strength in (1e4, 1e5, 1e6):
            firm = descent._replace(strength=strength)
            yield _trial("ewc", partial(live_ewc, network, firm), firm)
        yield _trial("replay", lambda h, live=plain: live(with_replay(h, _SWEEP_SEED)), descent)
        yield _trial("joint", lambda h, live=plain: live(h.joint(_SWEEP_SEED)), descent)
    for bump in (0.1, 0.2, 0.4, 0.7):
        bumps = RadialBasisNetwork(budget, width=bump, domain=DOMAIN)
        for lr in (0.1, 0.3, 0.5, 0.8):
            yield _trial("rbf", partial(live_bumps, bumps, lr), Descent("sgd", lr), width=bump)


def _trial(
    name: str, live: Callable[[HeldOut], LifeErrors], descent: Descent, width: float | None = None
) -> Method[HeldOut, LifeErrors]:
    facts = {
        "method": name,
        "optimizer": descent.optimizer,
        "lr": descent.lr,
        "strength": descent.strength or None,
        "width": width,
    }
    return Method(name, name, "", live, facts)


def _solved_trials() -> Iterator[Method[HeldOut, LifeErrors]]:
    """Readouts on as many features as the comparison's."""
    for precision in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        for width in (1.0, 1.5, 2.0, 3.0):
            bumps = GaussianBumps(FEW_BUMPS, width=width, domain=DOMAIN)
            yield _solved_trial("rls", FEW_BUMPS, width, precision, partial(live_solved, bumps, precision=precision))
        for scale in (0.3, 1.0, 3.0):
            units = random_units(scale=scale, seed=_SWEEP_SEED)
            live = partial(live_solved, units, precision=precision)
            yield _solved_trial("random_ridge", NUM_RANDOM, scale, precision, live)
    for rate in (0.1, 0.3, 1.0):
        for width in (4.0, 8.0, 12.0):
            bumps = GaussianBumps(LMS_BUMPS, width=width, domain=DOMAIN)
            yield _solved_trial("lms", LMS_BUMPS, width, rate, partial(live_lms, bumps, rate))


def _solved_trial(
    name: str, num_features: int, size: float, amount: float, live: Callable[[HeldOut], LifeErrors]
) -> Method[HeldOut, LifeErrors]:
    facts = {"method": name, "num_features": num_features, "size": size, "amount": amount}
    return Method(name, name, "", live, facts)


def _total_error(trial: Method[HeldOut, LifeErrors], held_out: HeldOut) -> float | None:
    totals = continual.total_error(trial.live(held_out).errors).double().cpu().numpy()
    return float(totals.mean()) if bool(np.isfinite(totals).all()) else None


EXPERIMENT = Experiment(
    claim="What makes it work: the phenotype, its sharing, channels, the population, exact gradients.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    over_runs=over_runs_in(f"{__name__}_overview"),
)
