"""Incremental regression: a DAN network learns a function piece by piece and keeps all of it.

Claim ("Continual Learning with Deep Artificial Neurons", sections 4.1 and 6.1, figures 3 and 4; dissertation, chapter 5):
a network whose neurons share a hyper-trained phenotype, deployed with the phenotype fixed, learns five windows of an unseen
function one after another by plain backpropagation, one example at a time, and retains a good fit over the whole function.

The page `docs/experiments/incremental-regression.md` lists every deviation from the sources.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

import torch
import tyro
from rich.console import Console
from torch import Tensor

from hyperlearning.core.expect import AtLeast, Count, Seed, check_ranges
from hyperlearning.core.params import Params, count, stack_members
from hyperlearning.core.rounding import rounded
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import run_job, save_model
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, over_runs_in, page_of
from hyperlearning.experiments.regression.deploying import DEPLOY
from hyperlearning.experiments.regression.entering import fared, functions_entry
from hyperlearning.experiments.regression.verbs import EVALUATE_FUNCTIONS
from hyperlearning.learners.hyper_step import HyperState
from hyperlearning.learners.inner_loop import live
from hyperlearning.learners.population import describe
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.systems.regression.alpaca import AlpacaSettings, alpaca_method, train_alpaca
from hyperlearning.systems.regression.build import build_system, check_system
from hyperlearning.systems.regression.closed_form import closed_form_methods
from hyperlearning.systems.regression.lines import MethodLine, ValidationLine, method_line, validation_line
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, deploy, hold_out
from hyperlearning.systems.regression.methods import baseline_methods, dan_methods
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings
from hyperlearning.systems.regression.trained import evaluate, open_run
from hyperlearning.systems.system import Method, System

_NUM_EXAMPLES = 4
_NUM_VALIDATION = 64
_NUM_LOOKS = 12
_NUM_FRAMES = 50


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn a function piece by piece without forgetting."""

    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    alpaca: tyro.conf.OmitArgPrefixes[AlpacaSettings] = field(default_factory=AlpacaSettings)
    num_functions: Annotated[int, AtLeast(_NUM_EXAMPLES)] = 256
    """Held-out functions to deploy on."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation; results do not depend on it."""

    def __post_init__(self) -> None:
        check_ranges(self)


_QUICK = Config(training=TrainingSettings(num_epochs=8, num_polish_epochs=120))

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "smoke": replace(
        _QUICK,
        training=replace(_QUICK.training, population=4, num_epochs=1, num_polish_epochs=1),
        stream=StreamSettings(updates_per_task=20),
        alpaca=AlpacaSettings(alpaca_steps=3),
        num_functions=8,
    ),
    "best": replace(_QUICK, training=replace(_QUICK.training, population=64, num_epochs=12, num_polish_epochs=1200)),
    # Dissertation, section 5.6: rates, sizes, one life at a time, hyper-loss on memory alone.
    "paper": Config(
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
    # The authors' notebook (facts in the experiment's page).
    "notebook": Config(
        network=NetworkSettings(
            hidden_sizes=(10, 10, 10),
            num_channels=40,
            phenotype="dense_skip",
            phenotype_sizes=(40, 40, 40),
            skips="all",
            synaptic_activation="tanh",
            output_scale=5.0,
            initializer="xavier_uniform",
        ),
        training=TrainingSettings(
            population=3,
            num_epochs=200,
            inner_optimizer="adam",
            inner_lr=0.01,
            outer_lr=0.01,
            schedule="constant",
            warmup_share=0.0,
            num_outer_updates=50,
            hyper_batch_size=20,
        ),
        stream=StreamSettings(source="notebook", updates_per_task=10, batch_size=5),
    ),
}


@dataclass(frozen=True, kw_only=True)
class ExamplesLine:
    """Some of the functions, and what every method makes of them.

    Attributes:
        grid: (P,), positions.
        functions: (E, P), their values.
        predictions: (T + 1, E, P) of every method, before learning and after every task.
    """

    kind: ClassVar[str] = "examples"

    grid: list[float]
    functions: list[list[float]]
    predictions: dict[str, list[list[list[float]]]]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A look at a life.

    Attributes:
        update: Updates made so far.
        prediction: (P,).
    """

    update: int
    prediction: list[float]


@dataclass(frozen=True, kw_only=True)
class AnimationLine:
    """Some fifty looks at one life.

    Attributes:
        grid: (P,), positions.
        function: (P,), its values.
        frames: The looks.
        examples: (updates * batch, 2), what is met, as position and target.
        examples_per_update: Batch size.
        updates_per_task: Updates in each window.
    """

    kind: ClassVar[str] = "animation"

    grid: list[float]
    function: list[float]
    frames: list[Frame]
    examples: list[list[float]]
    examples_per_update: int
    updates_per_task: int


def check(config: Config) -> None:
    """Raises if settings contradict one another, before a run exists."""
    check_system(config.network, config.training, config.stream)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains, or goes on doing so, then deploys every method on held-out functions."""
    system = build_system(config.network, config.training, config.stream, seed=config.seed)
    _introduce(config, system, record, console)
    validation = hold_out(config.stream, _NUM_VALIDATION, seed=config.seed, purpose="validation")

    def look(epoch: int, state: TrainingState) -> ValidationLine:
        return validation_line(epoch, deploy(system.learner, state.hyper.start, state.hyper.innate, validation))

    with record.timed("training_seconds"):
        state = run_job(record, system.job, console, look=look, num_looks=_NUM_LOOKS)
    save_model(record, state.hyper.innate, state.hyper.start)
    compared = methods(config, system, state.hyper)
    if config.alpaca.alpaca_steps:
        compared.append(alpaca_method(train_alpaca(record, config.alpaca, config.stream, console, seed=config.seed)))
    held_out = hold_out(config.stream, config.num_functions, seed=config.seed)
    _deploy_all(compared, held_out, record, console)
    record.once(AnimationLine, {}, lambda: _animation(config, system, state.hyper, held_out))


def methods(config: Config, system: System[DANNetwork], trained: HyperState) -> list[Method[HeldOut, LifeErrors]]:
    """All methods of the comparison: the DAN network, itself untrained, baselines of the same plastic size, solved readouts."""
    untrained = system.job.begin().hyper
    return [
        *dan_methods(system.learner, trained, untrained, seed=config.seed),
        *baseline_methods(count(trained.start), seed=config.seed),
        *closed_form_methods(seed=config.seed),
    ]


def _introduce(config: Config, system: System[DANNetwork], record: RunRecord, console: Console) -> None:
    summary, backend = (
        system.network.summary(),
        describe(system.learner.forward, compiled=system.job.phases[0].compiled),
    )
    console.print(f"{summary}\nbackend: {backend}, {config.threads} threads", highlight=False)
    if backend == "eager":
        console.print(
            "Without the fused kernel this takes many times as long; it needs a C++ compiler (c++, g++ or clang++)."
        )
    record.note(backend=backend, threads=config.threads, summary=summary)


def _deploy_all(
    compared: list[Method[HeldOut, LifeErrors]], held_out: HeldOut, record: RunRecord, console: Console
) -> None:
    lives = {method.name: functools.cache(functools.partial(method.live, held_out)) for method in compared}
    with reporting(console, "deployment", len(compared), "methods") as report:
        for done, method in enumerate(compared, start=1):
            record.once(
                MethodLine, {"method": method.name}, lambda method=method: method_line(method, lives[method.name]())
            )
            report(done, method.title)
    record.once(ExamplesLine, {}, lambda: _examples(lives, held_out))


def _examples(lives: dict[str, Callable[[], LifeErrors]], held_out: HeldOut) -> ExamplesLine:
    """Keeps some lives of every method; those that were lived before an interruption are lived again."""
    few = slice(_NUM_EXAMPLES)
    return ExamplesLine(
        grid=rounded(held_out.grid[0, :, 0]),
        functions=rounded(held_out.values[few, :, 0]),
        predictions={
            name: rounded(lived().predictions[:, few].nan_to_num(0.0).clamp(-9.0, 9.0)) for name, lived in lives.items()
        },
    )


def _animation(config: Config, system: System[DANNetwork], hyper: HyperState, held_out: HeldOut) -> AnimationLine:
    grid = held_out.grid[:1]
    inputs, targets = held_out.stream.inputs[:, :1], held_out.stream.targets[:, :1]
    every = max(1, config.stream.num_updates // _NUM_FRAMES)
    life = live(system.learner, stack_members(hyper.start, 1), hyper.innate, inputs, targets, every=every)
    return AnimationLine(
        grid=rounded(grid[0, :, 0]),
        function=rounded(held_out.values[0, :, 0]),
        frames=[
            Frame(update=min(look * every, len(inputs)), prediction=_look(system, plastic, hyper.innate, grid))
            for look, plastic in enumerate(life)
        ],
        examples=rounded(torch.cat([inputs, targets], dim=-1)[:, 0].flatten(0, 1), 4),
        examples_per_update=config.stream.batch_size,
        updates_per_task=config.stream.updates_per_task,
    )


def _look(system: System[DANNetwork], plastic: Params, innate: Params, grid: Tensor) -> list[float]:
    with torch.no_grad():
        return rounded(system.learner.forward(plastic, innate, grid)[0, :, 0])


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every method on the run's own functions, or the network on further ones."""
    config = record.settings(Config)
    if further is None:
        lines = record.lines(MethodLine)
        systems = [fared(line.method, line.title, line.scores, enters=line.method == "dan") for line in lines]
    else:
        scores = evaluate(record, num_functions=further.num_lives, seed=further.seed)
        systems = [fared("dan", "DAN network, hyper-trained", scores, enters=True)]
    return functions_entry(config.stream, config.num_functions, config.seed, systems, further=further)


EXPERIMENT = Experiment(
    claim="A DAN network learns a function piece by piece and keeps all of it.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={
        "evaluate": EVALUATE_FUNCTIONS,
        "deploy": DEPLOY,
    },
    enter=enter,
    load=open_run,
    over_runs=over_runs_in(f"{__name__}_seeds"),
)
