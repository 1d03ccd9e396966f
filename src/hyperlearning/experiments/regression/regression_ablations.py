"""Regression ablations: what makes learning without forgetting work.

Claims ("Continual Learning with Deep Artificial Neurons", figure 4; dissertation, figures 5.4 and 5.5): a hyper-trained
phenotype, fixed, beats random and plastic ones (net0 to net5); one phenotype for all neurons is enough; more channels help.
Beyond the papers: the population, and outer gradients taken through inner updates. Every condition is hyper-trained from
several seeds and deployed on the same held-out functions, so comparisons are paired.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from rich.console import Console

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import count
from hyperlearning.core.rounding import rounded
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import final_state, train_with_record
from hyperlearning.evaluation import continual
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.backbones import RadialBasisNetwork, mlp, mlp_width
from hyperlearning.networks.dan.network import SynapseInitializer
from hyperlearning.streams.incremental_functions import HyperScope
from hyperlearning.systems.regression.build import System, build_system, check_system
from hyperlearning.systems.regression.lives import HeldOut, Lives, deploy, hold_out, scores_of, settled
from hyperlearning.systems.regression.methods import (
    Tuned,
    baseline_methods,
    live_ewc,
    live_joint,
    live_plain,
    live_replay,
)
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings

NAME = "regression-ablations"
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
_OTHER_MODELS = ("net1", "net2", "net3", "net4", "net5", "MLP with EWC")
_NUM_LOOKS = 12


@dataclass(frozen=True, kw_only=True)
class Config:
    """Take the system apart, one study at a time."""

    studies: tuple[Study, ...] = _STUDIES
    """Which studies to run."""
    num_seeds: int = 3
    """Hyper-training runs per condition."""
    channels: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Conditions of the study of `num_channels`."""
    populations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Conditions of the study of `population`."""
    through_windows: tuple[int, ...] = (0, 1, 10, 100)
    """Conditions of the study of `through`; each sets `update_every` to at least 1."""
    polish_epochs: tuple[int, ...] = (0, 10, 40, 160)
    """Conditions of the study of `num_polish_epochs`."""
    inner_lrs: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3)
    """Conditions of the study of `inner_lr`."""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    num_functions: int = 256
    """Held-out functions to deploy on."""
    seed: int = 0
    """The first seed; the others follow."""
    threads: int = 2
    """Threads of the computation; results do not depend on it."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if not self.studies or len(set(self.studies)) < len(self.studies):
            raise ValueError(f"Expected one or more different `studies`, but got {self.studies}.")
        if self.num_seeds < 1 or self.num_functions < 2 or self.seed < 0 or self.threads < 1:
            raise ValueError(
                "Expected positive `num_seeds` and `threads`, at least 2 of `num_functions` and a non-negative `seed`, "
                f"but got {self.num_seeds}, {self.threads}, {self.num_functions} and {self.seed}."
            )
        if min((*self.channels, *self.populations), default=1) < 1:
            raise ValueError(
                f"Expected positive `channels` and `populations`, but got {self.channels} and {self.populations}."
            )
        if min((*self.through_windows, *self.polish_epochs), default=0) < 0 or min(self.inner_lrs, default=1) <= 0:
            raise ValueError(
                "Expected non-negative `through_windows` and `polish_epochs` and positive `inner_lrs`, but got "
                f"{self.through_windows}, {self.polish_epochs} and {self.inner_lrs}."
            )


class Condition(NamedTuple):
    """One setting of one study, hyper-trained from one seed.

    Attributes:
        study: The study.
        label: What a figure calls the condition.
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
        """Name of the condition's own record."""
        return f"{self.study}-{self.label}-seed{self.seed}".replace(" ", "_")


@dataclass(frozen=True, kw_only=True)
class ConditionConfig:
    """Settings of one condition, for its own record."""

    network: NetworkSettings
    training: TrainingSettings
    stream: StreamSettings
    seed: int


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
    """Raises if any condition's settings contradict one another, before a run exists."""
    for condition in conditions(config):
        if condition.seed == config.seed:
            check_system(condition.network, condition.training, config.stream)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Runs every condition not yet in the record; each has a record and checkpoints of its own below this one."""
    torch.set_num_threads(config.threads)
    held_out = hold_out(config.stream, config.num_functions, seed=config.seed)
    todo = [condition for condition in conditions(config) if not _is_done(record, condition)]
    for number, condition in enumerate(todo, start=1):
        console.print(f"condition {number} of {len(todo)}: {condition.folder}", highlight=False)
        system, state, own = _train(config, condition, record, console)
        lives = deploy(
            system.learner, state.hyper.start, state.hyper.innate, held_out, num_tasks=config.stream.num_tasks
        )
        _append(record, condition, lives, epochs=_columns(own.lines("validation")))
        if condition.study == "deployment_models":
            _deploy_models(config, condition, system, state, held_out, record)
    if "baselines" in config.studies:
        _sweep_baselines(config, record, console)


def conditions(config: Config) -> Iterator[Condition]:
    """Lists all conditions that are hyper-trained."""
    network, training = config.network, config.training
    variants: dict[Study, list[tuple[str, NetworkSettings, TrainingSettings]]] = {
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
        for label, its_network, its_training in variants[study]:
            for seed in range(config.seed, config.seed + config.num_seeds):
                yield Condition(study, label, its_network, its_training, seed)


def _train(
    config: Config, condition: Condition, record: RunRecord, console: Console
) -> tuple[System, TrainingState, RunRecord]:
    path = record.path / "conditions" / condition.folder
    settings = ConditionConfig(
        network=condition.network, training=condition.training, stream=config.stream, seed=condition.seed
    )
    own = (
        RunRecord(path)
        if (path / "config.json").is_file()
        else RunRecord.create(
            record.path, "conditions", condition.folder, settings, preset="", command="", overwrite=path.exists()
        )
    )
    system = build_system(condition.network, condition.training, config.stream, seed=condition.seed)
    if own.manifest.get("finished"):
        return system, final_state(own), own
    validation = hold_out(config.stream, _NUM_VALIDATION, seed=config.seed, purpose="validation")

    def look(epoch: int, state: TrainingState) -> None:
        last = condition.training.num_epochs + condition.training.num_polish_epochs
        if epoch % max(1, last // _NUM_LOOKS) == 0 or epoch == last:
            hyper = state.hyper
            lives = deploy(system.learner, hyper.start, hyper.innate, validation, num_tasks=config.stream.num_tasks)
            memory = float(continual.memory_error(lives.errors).mean())
            total = float(continual.total_error(lives.errors).mean())
            own.append("validation", epoch=epoch, memory_error=memory, total_error=total)

    state = train_with_record(
        own,
        system.phases,
        system.initial,
        system.generator,
        console,
        after_epoch=look,
    )
    own.note(finished=True)
    return system, state, own


def _deploy_models(
    config: Config, condition: Condition, system: System, state: TrainingState, held_out: HeldOut, record: RunRecord
) -> None:
    """Deploys net1 to net5 and the MLP with EWC beside the hyper-trained net0."""
    trained, untrained = state.hyper, system.initial.hyper
    unique = replace(condition.network, sharing="neuron").build(condition.seed + 1000)
    shared_values = {**trained.start, **trained.innate}
    random_values = {**untrained.start, **untrained.innate}
    unique_values = {name: parameter.detach() for name, parameter in unique.named_parameters()}
    models = {
        "net1": (system.network, shared_values, True),
        "net2": (system.network, random_values, False),
        "net3": (system.network, random_values, True),
        "net4": (unique, unique_values, False),
        "net5": (unique, unique_values, True),
    }
    for label, (network, values, plastic_phenotype) in models.items():
        innate = {n: v for n, v in values.items() if network.is_innate(n) and not plastic_phenotype}
        start = {name: value for name, value in values.items() if name not in innate}
        forward = population_forward(network, start, backend="auto")
        learner = Learner(
            forward, mean_squared_error, optimizer(condition.training.inner_optimizer), condition.training.inner_lr
        )
        lives = deploy(learner, start, innate, held_out, num_tasks=config.stream.num_tasks)
        _append(record, condition._replace(label=label), lives)
    ewc = baseline_methods(count(trained.start), num_tasks=config.stream.num_tasks, seed=condition.seed)["mlp_ewc"]
    _append(record, condition._replace(label="MLP with EWC"), ewc.live(held_out))


def _is_done(record: RunRecord, condition: Condition) -> bool:
    labels = {condition.label, *(_OTHER_MODELS if condition.study == "deployment_models" else ())}
    return labels <= {
        line["label"]
        for line in record.lines("condition")
        if (line["study"], line["seed"]) == (condition.study, condition.seed)
    }


def _append(record: RunRecord, condition: Condition, lives: Lives, **more: Any) -> None:
    key = {"study": condition.study, "label": condition.label, "seed": condition.seed}
    if any(key.items() <= line.items() for line in record.lines("condition")):
        return  # A run killed between the models of one condition has some of them already.
    errors, num_diverged = settled(lives.errors)
    record.append(
        "condition",
        **key,
        num_diverged=num_diverged,
        scores=scores_of(errors),
        total_curve=rounded(continual.total_curve(errors).mean(0), 7),
        memory_curve=rounded(continual.memory_curve(errors).mean(0), 7),
        **more,
    )


def _columns(lines: list[dict[str, Any]]) -> dict[str, list[float | int]]:
    return {name: [line[name] for line in lines] for name in ("epoch", "memory_error", "total_error")}


def _sweep_baselines(config: Config, record: RunRecord, console: Console) -> None:
    """Chooses the baselines' rates on functions of their own; NaN marks a rate that diverges."""
    held_out = hold_out(config.stream, _NUM_VALIDATION, seed=777, purpose="baseline tuning")
    width = mlp_width(count(dict(config.network.build(0).synapses.named_parameters())))
    network = mlp((1, width, width, 1), generator=generator(777, "mlp"))
    budget = count(dict(network.named_parameters()))
    rates = [Tuned("sgd", lr) for lr in (0.001, 0.003, 0.01, 0.03, 0.04)]
    rates += [Tuned("adam", lr) for lr in (0.003, 0.01, 0.02, 0.03, 0.05)]
    tasks = config.stream.num_tasks
    trials: list[tuple[str, dict[str, Any], Any]] = []
    for tuned in rates:
        facts = tuned._asdict()
        trials.append(("finetune", facts, lambda t=tuned: live_plain(network, t, held_out, tasks)))
        for strength in (1e4, 1e5, 1e6):
            ewc = facts | {"strength": strength}
            trials.append(("ewc", ewc, lambda t=tuned, s=strength: live_ewc(network, t, s, held_out, tasks)))
        trials.append(("replay", facts, lambda t=tuned: live_replay(network, t, held_out, tasks, seed=777)))
        trials.append(("joint", facts, lambda t=tuned: live_joint(network, t, held_out, tasks, seed=777)))
    for bump in (0.1, 0.2, 0.4, 0.7):
        for lr in (0.1, 0.3, 0.5, 0.8):
            bumps = RadialBasisNetwork(budget, width=bump, domain=DOMAIN)
            facts = {"optimizer": "sgd", "lr": lr, "width": bump}
            trials.append(("rbf", facts, lambda b=bumps, r=lr: live_plain(b, Tuned("sgd", r), held_out, tasks)))
    done = len(record.lines("trial"))
    with reporting(console, "baselines", len(trials), "trials", done=done) as progress:
        for number, (method, facts, live) in enumerate(trials[done:], start=done + 1):
            totals = continual.total_error(live().errors).double().numpy()
            finite = bool(np.isfinite(totals).all())
            record.append("trial", method=method, **facts, total_error=float(totals.mean()) if finite else None)
            progress(number, method)
