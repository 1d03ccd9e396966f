"""Learned activation: with one channel per synapse the phenotype is an activation function, and hyper-training shapes it.

Claim (dissertation, section 6.4.6, figure 6.12): hyper-trained on continual regression, one-channel DANs become functions
unlike the usual activations, with interesting derivatives.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

import torch
from rich.console import Console
from torch import Tensor, nn

from hyperlearning.core.expect import AtLeast, Count, Seed, check_ranges
from hyperlearning.core.params import Params
from hyperlearning.core.rounding import rounded
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import run_job, save_model
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.regression.deploying import DEPLOY
from hyperlearning.experiments.regression.entering import fared, functions_entry
from hyperlearning.experiments.regression.verbs import EVALUATE_FUNCTIONS
from hyperlearning.learners.hyper_step import HyperState
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.systems.regression.build import build_system, check_system
from hyperlearning.systems.regression.lives import HeldOut, deploy, hold_out
from hyperlearning.systems.regression.scores import Scores, scores_of, settled
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings
from hyperlearning.systems.regression.trained import evaluate, open_run
from hyperlearning.systems.system import System

_REACH = 4.0
_NUM_POINTS = 401


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hyper-train one-channel neurons and look at what they compute."""

    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden_sizes=(40, 40), num_channels=1))
    training: TrainingSettings = field(default_factory=TrainingSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    num_functions: Annotated[int, AtLeast(2)] = 256
    """Held-out functions to deploy on."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation; results do not depend on it."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.network.num_channels != 1 or self.network.sharing != "network":
            raise ValueError(
                "Expected `num_channels` to be 1 and `sharing` to be network, for one activation function, but got "
                f"{self.network.num_channels} and {self.network.sharing}."
            )


_QUICK = Config(training=TrainingSettings(num_epochs=12, num_polish_epochs=60))

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "smoke": replace(
        _QUICK,
        training=replace(_QUICK.training, population=4, num_epochs=1, num_polish_epochs=1),
        stream=StreamSettings(updates_per_task=20),
        num_functions=8,
    ),
    "paper": replace(
        _QUICK,
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
    """Raises if settings contradict one another, before a run exists."""
    check_system(config.network, config.training, config.stream)


@dataclass(frozen=True, kw_only=True)
class ActivationLine:
    """A one-channel phenotype as a function, and how well it serves.

    Attributes:
        which: Before hyper-training or after.
        drive: (N,), where it is evaluated.
        activation: (N,), its values.
        derivative: (N,), by backpropagation.
        scores: Of every held-out function.
    """

    kind: ClassVar[str] = "activation"

    which: Literal["initial", "learned"]
    drive: list[float]
    activation: list[float]
    derivative: list[float]
    scores: Scores


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains, or goes on doing so, then records the function, its derivative and how well it serves."""
    system = build_system(config.network, config.training, config.stream, seed=config.seed)
    record.note(threads=config.threads, summary=system.network.summary())
    learned = run_job(record, system.job, console).hyper
    save_model(record, learned.innate, learned.start)
    held_out = hold_out(config.stream, config.num_functions, seed=config.seed)
    initial = system.job.begin().hyper
    record.once(ActivationLine, {"which": "initial"}, lambda: _line("initial", system, initial, held_out))
    record.once(ActivationLine, {"which": "learned"}, lambda: _line("learned", system, learned, held_out))


def _line(
    which: Literal["initial", "learned"], system: System[DANNetwork], hyper: HyperState, held_out: HeldOut
) -> ActivationLine:
    lives = deploy(system.learner, hyper.start, hyper.innate, held_out)
    drive, activation, derivative = activation_function(system.network, hyper.innate)
    return ActivationLine(
        which=which,
        drive=rounded(drive),
        activation=rounded(activation),
        derivative=rounded(derivative),
        scores=scores_of(settled(lives.errors)[0]),
    )


def activation_function(network: DANNetwork, innate: Params) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluates a one-channel phenotype and its derivative by backpropagation.

    Returns:
        Drives (N,), activations (N,) and derivatives (N,).
    """
    phenotype = network.phenotypes[0]
    assert isinstance(phenotype, nn.Module)
    own = {name.removeprefix("phenotypes.0."): tensor for name, tensor in innate.items()}
    drive = torch.linspace(-_REACH, _REACH, _NUM_POINTS, requires_grad=True)
    activation = torch.func.functional_call(phenotype, own, (drive[:, None],))
    (derivative,) = torch.autograd.grad(activation.sum(), drive)
    return drive.detach(), activation.detach(), derivative


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """The network before and after hyper-training on the run's own functions, or after it on further ones."""
    config, title = record.settings(Config), "one-channel network, {}".format
    if further is None:
        found = {line.which: line.scores for line in record.lines(ActivationLine)}
    else:
        found = {"learned": evaluate(record, num_functions=further.num_lives, seed=further.seed)}
    systems = [fared(which, title(which), scores, enters=which == "learned") for which, scores in found.items()]
    return functions_entry(config.stream, config.num_functions, config.seed, systems, further=further)


EXPERIMENT = Experiment(
    claim="With one channel the phenotype is a learned activation function.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": EVALUATE_FUNCTIONS, "deploy": DEPLOY},
    enter=enter,
    load=open_run,
)
