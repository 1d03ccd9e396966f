"""Incremental regression: a DAN network learns a function piece by piece and keeps all of it.

Claim ("Continual Learning with Deep Artificial Neurons", sections 4.1 and 6.1, figures 3 and 4; dissertation, chapter 5):
a network whose neurons share a hyper-trained phenotype, deployed with the phenotype fixed, learns five windows of an unseen
function one after another by plain backpropagation, one example at a time, and retains a good fit over the whole function.

The page `docs/experiments/incremental-regression.md` lists every deviation from the sources.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from hyperlearning.core.params import Params, count, stack_members
from hyperlearning.core.rounding import rounded
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model, train_with_record
from hyperlearning.evaluation import continual
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.learners.inner_loop import live
from hyperlearning.systems.regression.build import System, build_system, check_system
from hyperlearning.systems.regression.lives import HeldOut, Lives, deploy, hold_out, scores_of, settled
from hyperlearning.systems.regression.methods import Method, baseline_methods, dan_methods
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings

NAME = "incremental-regression"
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
    num_functions: int = 256
    """Held-out functions to deploy on."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation; results do not depend on it."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.num_functions < _NUM_EXAMPLES or self.seed < 0 or self.threads < 1:
            raise ValueError(
                f"Expected at least {_NUM_EXAMPLES} of `num_functions`, a non-negative `seed` and positive `threads`, "
                f"but got {self.num_functions}, {self.seed} and {self.threads}."
            )


_QUICK = Config(training=TrainingSettings(num_epochs=8, num_polish_epochs=120))

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "smoke": replace(
        _QUICK,
        training=replace(_QUICK.training, population=4, num_epochs=1, num_polish_epochs=1),
        stream=StreamSettings(updates_per_task=20),
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


def check(config: Config) -> None:
    """Raises if settings contradict one another, before a run exists."""
    check_system(config.network, config.training, config.stream)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains, or goes on doing so, then deploys every method on held-out functions."""
    torch.set_num_threads(config.threads)
    system = build_system(config.network, config.training, config.stream, seed=config.seed)
    console.print(f"{system.network.summary()}\nbackend: {system.backend}, {config.threads} threads", highlight=False)
    if system.backend == "eager":
        console.print(
            "Without the fused kernel this takes many times as long; it needs a C++ compiler (c++, g++ or clang++)."
        )
    record.note(
        backend=system.backend,
        threads=config.threads,
        summary=system.network.summary(),
    )
    validation = hold_out(config.stream, _NUM_VALIDATION, seed=config.seed, purpose="validation")
    with record.timed("training_seconds"):
        state = train_with_record(
            record,
            system.phases,
            system.initial,
            system.generator,
            console,
            after_epoch=partial(_validate, config, system, validation, record),
        )
    save_model(record, state)
    held_out = hold_out(config.stream, config.num_functions, seed=config.seed)
    _deploy_all(config, system, state, held_out, record, console)
    _record_animation(config, system, state, held_out, record)


def _validate(config: Config, system: System, validation: HeldOut, record: RunRecord, epoch: int, state: Any) -> None:
    last = config.training.num_epochs + config.training.num_polish_epochs
    if epoch % max(1, last // _NUM_LOOKS) and epoch != last:
        return
    lives = _deploy_dan(config, system, state, validation)
    record.append(
        "validation",
        epoch=epoch,
        total_error=float(continual.total_error(lives.errors).mean()),
        memory_error=float(continual.memory_error(lives.errors).mean()),
    )


def _deploy_dan(config: Config, system: System, state: TrainingState, held_out: HeldOut) -> Lives:
    return deploy(system.learner, state.hyper.start, state.hyper.innate, held_out, num_tasks=config.stream.num_tasks)


def methods(config: Config, system: System, state: TrainingState) -> dict[str, Method]:
    """All methods of the comparison: the DAN network, itself untrained, and baselines of the same plastic size."""
    untrained = (system.initial.hyper.start, system.initial.hyper.innate)
    dan = dan_methods(
        system.learner,
        state.hyper.start,
        state.hyper.innate,
        untrained,
        num_tasks=config.stream.num_tasks,
        seed=config.seed,
    )
    budget = count(state.hyper.start)
    return dan | baseline_methods(budget, num_tasks=config.stream.num_tasks, seed=config.seed)


def _deploy_all(
    config: Config, system: System, state: TrainingState, held_out: HeldOut, record: RunRecord, console: Console
) -> None:
    compared = methods(config, system, state)
    examples: dict[str, Any] = {}
    with reporting(console, "deployment", len(compared), "methods") as report:
        for done, (name, method) in enumerate(compared.items(), start=1):
            lives = method.live(held_out)
            errors, num_diverged = settled(lives.errors)
            record.append(
                "method",
                method=name,
                title=method.title,
                note=method.note,
                num_plastic=method.num_plastic,
                num_diverged=num_diverged,
                scores=scores_of(errors),
                error_matrix=rounded(errors.mean(0), 7),
                total_curve=_course(continual.total_curve(errors)),
                memory_curve=_course(continual.memory_curve(errors)),
            )
            examples[name] = rounded(lives.predictions[:, :_NUM_EXAMPLES].nan_to_num(0.0).clamp(-9.0, 9.0))
            report(done, method.title)
    record.append(
        "examples",
        grid=rounded(held_out.grid[0, :, 0]),
        functions=rounded(held_out.values[:_NUM_EXAMPLES, :, 0]),
        predictions=examples,
    )


def _course(lives: Float[Tensor, "lives stages"]) -> dict[str, list[float]]:
    """A curve over stages: its mean over lives and half the width of its 95 % interval."""
    points = [estimate(stage.double().numpy()) for stage in lives.T]
    return {"mean": [point.mean for point in points], "ci95": [point.ci95 for point in points]}


def _record_animation(
    config: Config, system: System, state: TrainingState, held_out: HeldOut, record: RunRecord
) -> None:
    """Keeps some fifty looks at one life, for the animation."""
    grid, values = held_out.grid[:1], held_out.values[:1]
    inputs, targets = held_out.stream.inputs[:, :1], held_out.stream.targets[:, :1]
    every = max(1, config.stream.num_updates // _NUM_FRAMES)
    births = stack_members(state.hyper.start, 1)
    life = live(system.learner, births, state.hyper.innate, inputs, targets, every=every)
    frames = [
        {"update": min(look * every, len(inputs)), "prediction": _look(system, plastic, state.hyper.innate, grid)}
        for look, plastic in enumerate(life)
    ]
    record.append(
        "animation",
        grid=rounded(grid[0, :, 0]),
        function=rounded(values[0, :, 0]),
        frames=frames,
        examples=rounded(torch.cat([inputs, targets], dim=-1)[:, 0].flatten(0, 1), 4),
        examples_per_update=config.stream.batch_size,
        updates_per_task=config.stream.updates_per_task,
    )


def _look(system: System, plastic: Params, innate: Params, grid: Tensor) -> list[float]:
    with torch.no_grad():
        return rounded(system.learner.forward(plastic, innate, grid)[0, :, 0])
