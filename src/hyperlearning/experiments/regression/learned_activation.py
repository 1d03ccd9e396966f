"""Learned activation: with one channel per synapse the phenotype is an activation function, and hyper-training shapes it.

Claim (dissertation, section 6.4.6, figure 6.12): hyper-trained on continual regression, one-channel DANs become functions
unlike the usual activations, with interesting derivatives.
"""

from dataclasses import dataclass, field, replace

import torch
from rich.console import Console
from torch import Tensor, nn

from hyperlearning.core.params import Params
from hyperlearning.core.rounding import rounded
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import train_with_record
from hyperlearning.systems.regression.build import System, build_system, check_system
from hyperlearning.systems.regression.lives import deploy, hold_out, scores_of, settled
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings

NAME = "learned-activation"
_REACH = 4.0
_NUM_POINTS = 401


@dataclass(frozen=True, kw_only=True)
class Config:
    """Hyper-train one-channel neurons and look at what they compute."""

    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden_sizes=(40, 40), num_channels=1))
    training: TrainingSettings = field(default_factory=TrainingSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    num_functions: int = 256
    """Held-out functions to deploy on."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation; results do not depend on it."""

    def __post_init__(self) -> None:
        """Checks what makes it an activation function."""
        if self.network.num_channels != 1 or self.network.sharing != "network":
            raise ValueError(
                "Expected `num_channels` to be 1 and `sharing` to be network, for one activation function, but got "
                f"{self.network.num_channels} and {self.network.sharing}."
            )
        if self.num_functions < 2 or self.seed < 0 or self.threads < 1:
            raise ValueError(
                f"Expected at least 2 of `num_functions`, a non-negative `seed` and positive `threads`, "
                f"but got {self.num_functions}, {self.seed} and {self.threads}."
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


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains, or goes on doing so, then records the function, its derivative and how well it serves."""
    torch.set_num_threads(config.threads)
    system = build_system(config.network, config.training, config.stream, seed=config.seed)
    record.note(threads=config.threads, summary=system.network.summary())
    state = train_with_record(
        record,
        system.phases,
        system.initial,
        system.generator,
        console,
        after_epoch=lambda epoch, state: None,
    )
    held_out = hold_out(config.stream, config.num_functions, seed=config.seed)
    for name, hyper in (("initial", system.initial.hyper), ("learned", state.hyper)):
        lives = deploy(system.learner, hyper.start, hyper.innate, held_out, num_tasks=config.stream.num_tasks)
        drive, activation, derivative = activation_function(system, hyper.innate)
        record.append(
            "activation",
            which=name,
            drive=rounded(drive),
            activation=rounded(activation),
            derivative=rounded(derivative),
            scores=scores_of(settled(lives.errors)[0]),
        )


def activation_function(system: System, innate: Params) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluates a one-channel phenotype and its derivative by backpropagation.

    Returns:
        Drives (N,), activations (N,) and derivatives (N,).
    """
    phenotype = system.network.phenotypes[0]
    assert isinstance(phenotype, nn.Module)
    own = {name.removeprefix("phenotypes.0."): tensor for name, tensor in innate.items()}
    drive = torch.linspace(-_REACH, _REACH, _NUM_POINTS, requires_grad=True)
    activation = torch.func.functional_call(phenotype, own, (drive[:, None],))
    (derivative,) = torch.autograd.grad(activation.sum(), drive)
    return drive.detach(), activation.detach(), derivative
