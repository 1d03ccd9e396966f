"""OML's regression benchmark: ten sine waves learned one after another, without replay.

Claim ("Meta-Learning Representations for Continual Learning", Javed and White, 2019): on a representation that was meta-trained
through whole lives, a prediction network learns ten unseen functions in a row by plain backpropagation and hardly
interferes with what it knows. Here beside it, under the same engine: a network of Deep Artificial Neurons.

The page `docs/experiments/oml-regression.md` lists every deviation from the source.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from hyperlearning.core.params import Params, count
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import HyperState, TrainingState
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import final_state, save_model, train_with_record
from hyperlearning.evaluation import continual
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.learners.population import describe
from hyperlearning.streams.incremental_functions import shuffled
from hyperlearning.systems.regression.lives import HeldOut, Lives, deploy, scores_of, settled
from hyperlearning.systems.regression.sine_build import SineSystem, dan_system, oml_system, pretraining_system
from hyperlearning.systems.regression.sine_lives import hold_out_lives
from hyperlearning.systems.regression.sine_methods import DIVERGED, Baseline, choose, name_of, sine_baselines
from hyperlearning.systems.regression.sine_settings import DANSettings, LifeSettings, OMLSettings, TrainingSettings

NAME = "oml-regression"
_NUM_LOOKS = 10
_NUM_POINTS = 100


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn ten sine waves one after another without forgetting."""

    life: LifeSettings = field(default_factory=LifeSettings)
    oml: OMLSettings = field(default_factory=OMLSettings)
    dan: DANSettings = field(default_factory=DANSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    num_lives: int = 50
    """Held-out lives to deploy on (authors' code: 50)."""
    num_validation_lives: int = 16
    """Lives on which training is looked at and the settings of the baselines are chosen."""
    sgd_lrs: tuple[float, ...] = (0.001, 0.003, 0.01)
    """Rates of the baselines' SGD to choose from."""
    adam_lrs: tuple[float, ...] = (0.001, 0.003, 0.01)
    """Rates of the baselines' Adam to choose from."""
    ewc_strengths: tuple[float, ...] = (1.0, 100.0, 10000.0)
    """Strengths of elastic weight consolidation to choose from."""
    replay_buffer: int = 50
    """Points that the replay buffer holds."""
    replay_batch: int = 8
    """Points replayed at every update."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 1
    """Threads of the computation; at `laptop` sizes a second gains little and on a busy machine costs."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if min(self.num_lives, self.num_validation_lives) < 2 or self.seed < 0 or self.threads < 1:
            raise ValueError(
                "Expected at least 2 of `num_lives` and `num_validation_lives`, a non-negative `seed` and positive `threads`, "
                f"but got {self.num_lives}, {self.num_validation_lives}, {self.seed} and {self.threads}."
            )
        if not (self.sgd_lrs or self.adam_lrs) or not self.ewc_strengths:
            raise ValueError("Expected some of `sgd_lrs` or `adam_lrs`, and of `ewc_strengths`, but got none.")
        if min(self.replay_buffer, self.replay_batch) < 1:
            raise ValueError(
                f"Expected positive `replay_buffer` and `replay_batch`, but got {self.replay_buffer} and {self.replay_batch}."
            )


_LAPTOP = Config()

PRESETS: dict[str, Config] = {
    "laptop": _LAPTOP,
    "smoke": replace(
        _LAPTOP,
        life=LifeSettings(num_tasks=3, capacity=4, updates_per_task=2, batch_size=4),
        oml=OMLSettings(width=8, num_representation_layers=2, oml_epochs=2),
        dan=DANSettings(hidden_sizes=(4,), num_channels=4, dan_epochs=2),
        training=TrainingSettings(population=2, hyper_points=4, pretrain_population=2, pretrain_updates=4),
        num_lives=4,
        num_validation_lives=2,
        sgd_lrs=(0.001,),
        adam_lrs=(),
        ewc_strengths=(1.0,),
    ),
    # The authors' code: 40 updates on each wave, 32 points each, one life at a time.
    "paper": replace(
        _LAPTOP,
        life=LifeSettings(capacity=50, updates_per_task=40, batch_size=32),
        oml=OMLSettings(
            width=300, num_representation_layers=6, oml_inner_lr=0.003, oml_outer_lr=0.0001, oml_epochs=300_000
        ),
        dan=DANSettings(hidden_sizes=(40, 40), num_channels=40, dan_epochs=20_000),
        training=TrainingSettings(population=1),
        replay_batch=32,
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, before a run exists."""
    oml_system(config.oml, config.training, config.life, seed=0)
    dan_system(config.dan, config.training, config.life, seed=0, compiles=False)
    pretraining_system(config.oml, config.training, config.life, seed=0)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains both systems and the pretrained representation, or goes on doing so, then deploys every method."""
    torch.set_num_threads(config.threads)
    life, training = config.life, config.training
    validation = hold_out_lives(life, config.num_validation_lives, seed=config.seed, purpose="validation")
    held_out = hold_out_lives(life, config.num_lives, seed=config.seed)
    systems = {
        "oml": oml_system(config.oml, training, life, seed=config.seed),
        "dan": dan_system(config.dan, training, life, seed=config.seed),
        "pretraining": pretraining_system(config.oml, training, life, seed=config.seed),
    }
    record.note(threads=config.threads, backend=describe(systems["dan"].learner.forward, systems["dan"].phase.step))
    states = {}
    with record.timed("training_seconds"):
        for name, system in systems.items():
            states[name] = _train(config, record, name, system, validation, console)
    save_model(record, states["oml"])
    _deploy_trained(config, systems, states, held_out, record)
    _deploy_baselines(config, states["pretraining"].hyper.innate, validation, held_out, record, console)


@dataclass(frozen=True, kw_only=True)
class SystemConfig:
    """Settings of one system, for its own record."""

    settings: Config
    method: str


def _train(
    config: Config, record: RunRecord, name: str, system: SineSystem, validation: HeldOut, console: Console
) -> TrainingState:
    """Trains one system with a record of its own below the run's, or goes on, or returns what is there."""
    path = record.path / "systems" / name
    if (path / "config.json").is_file():
        own = RunRecord(path)
    else:
        settings = SystemConfig(settings=config, method=name)
        own = RunRecord.create(record.path, "systems", name, settings, preset="", command="", overwrite=path.exists())
    if not own.manifest.get("finished"):
        console.print(f"{name}: {count(system.initial.hyper.start):,} plastic, {_num_innate(system):,} innate numbers")
        last = system.phase.num_epochs

        def after_epoch(epoch: int, state: TrainingState) -> None:
            if name != "pretraining" and (epoch % max(1, last // _NUM_LOOKS) == 0 or epoch == last):
                lives = _live(config, system, state.hyper, validation)
                own.append("look", epoch=epoch, total_error=float(continual.total_error(lives.errors).mean()))

        with own.timed("training_seconds"):
            train_with_record(own, [system.phase], system.initial, system.generator, console, after_epoch=after_epoch)
        own.note(finished=True)
    _tell(record, name, own)
    return final_state(own)


def _tell(record: RunRecord, name: str, own: RunRecord) -> None:
    """Writes the course of training into the run's own lines, once."""
    if any(line["system"] == name for line in record.lines("system")):
        return
    epochs = own.lines("epoch")
    every = max(1, len(epochs) // _NUM_POINTS)
    parts = [epochs[i : i + every] for i in range(0, len(epochs), every)]
    record.append(
        "system",
        system=name,
        looks=own.lines("look"),
        epochs=[part[-1]["epoch"] for part in parts],
        hyper_loss=[sum(line["hyper_loss"] for line in part) / len(part) for part in parts],
        training_seconds=own.manifest["training_seconds"],
    )


def _num_innate(system: SineSystem) -> int:
    return count(system.initial.hyper.innate)


def _live(config: Config, system: SineSystem, hyper: HyperState, held_out: HeldOut, *, joint: bool = False) -> Lives:
    stream = shuffled(held_out.stream, generator(config.seed, "joint order")) if joint else None
    return deploy(system.learner, hyper.start, hyper.innate, held_out, num_tasks=config.life.num_tasks, stream=stream)


def _deploy_trained(
    config: Config,
    systems: dict[str, SineSystem],
    states: dict[str, TrainingState],
    held_out: HeldOut,
    record: RunRecord,
) -> None:
    done = _methods_done(record)
    titles = {"oml": "OML", "dan": "DAN network"}
    for name, title in titles.items():
        system, rate = systems[name], f"SGD {systems[name].learner.inner_lr:g}"
        for suffix, hyper, kind, note in (
            ("", states[name].hyper, "hyper-trained", f"wave after wave, {rate}"),
            ("_joint", states[name].hyper, "hyper-trained, joint", f"batches shuffled, {rate}"),
            ("_random", system.initial.hyper, "random", f"before hyper-training, {rate}"),
        ):
            if name + suffix in done:
                continue
            lives = _live(config, system, hyper, held_out, joint=suffix == "_joint")
            _append(
                record,
                name + suffix,
                f"{title}, {kind}",
                note,
                lives,
                num_plastic=count(hyper.start),
                num_innate=_num_innate(system),
            )
    if not record.lines("zero"):
        record.append("zero", error=float(held_out.values.square().mean()))


def _deploy_baselines(
    config: Config, pretrained: Params, validation: HeldOut, held_out: HeldOut, record: RunRecord, console: Console
) -> None:
    done = _methods_done(record)
    methods = sine_baselines(
        config.oml.build(config.life, config.seed),
        pretrained,
        num_tasks=config.life.num_tasks,
        replay_buffer=config.replay_buffer,
        replay_batch=config.replay_batch,
        ewc_strengths=config.ewc_strengths,
        seed=config.seed,
    )
    with reporting(console, "baselines", len(methods), "methods") as report:
        for number, (name, baseline) in enumerate(methods.items(), start=1):
            if name not in done:
                _deploy_baseline(config, name, baseline, validation, held_out, record)
            report(number, baseline.title)


def _deploy_baseline(
    config: Config, name: str, baseline: Baseline, validation: HeldOut, held_out: HeldOut, record: RunRecord
) -> None:
    chosen = choose(baseline, validation, sgd_lrs=config.sgd_lrs, adam_lrs=config.adam_lrs)
    lives = baseline.live(held_out, chosen.tuned, chosen.strength)
    note = f"{baseline.note}; {name_of(chosen.tuned, chosen.strength)}"
    num_innate = count(dict(config.oml.build(config.life, 0).named_parameters())) - baseline.num_plastic
    _append(
        record,
        name,
        baseline.title,
        note,
        lives,
        num_plastic=baseline.num_plastic,
        num_innate=num_innate,
        trials=dict(chosen.trials),
    )


def _methods_done(record: RunRecord) -> set[str]:
    return {line["method"] for line in record.lines("method")}


def _append(record: RunRecord, method: str, title: str, note: str, lives: Lives, **facts: Any) -> None:
    errors, num_diverged = settled(lives.errors, instead=DIVERGED)
    record.append(
        "method",
        method=method,
        title=title,
        note=note,
        num_diverged=num_diverged,
        scores=scores_of(errors),
        error_matrix=_stages(errors, lambda point: point.mean),
        error_matrix_ci95=_stages(errors, lambda point: point.ci95),
        total_curve=_course(continual.total_curve(errors)),
        memory_curve=_course(continual.memory_curve(errors)),
        **facts,
    )


def _stages(errors: Tensor, of: Callable[[Any], float]) -> list[list[float]]:
    return [[of(estimate(cell.double().numpy())) for cell in row.T] for row in errors.transpose(0, 1)]


def _course(lives: Tensor) -> dict[str, list[float]]:
    """A curve over stages: its mean over lives and half the width of its 95 % interval."""
    points = [estimate(stage.double().numpy()) for stage in lives.T]
    return {"mean": [point.mean for point in points], "ci95": [point.ci95 for point in points]}
