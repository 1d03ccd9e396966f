"""OML's regression benchmark: ten sine waves learned one after another, without replay.

Claim ("Meta-Learning Representations for Continual Learning", Javed and White, 2019): on a representation that was meta-trained
through whole lives, a prediction network learns ten unseen functions in a row by plain backpropagation and hardly
interferes with what it knows. Here beside it, under the same engine: a network of Deep Artificial Neurons.

The page `docs/experiments/oml-regression.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

from rich.console import Console

from hyperlearning.core.expect import AtLeast, Count, Rate, Seed, Some, check_ranges
from hyperlearning.core.params import count
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.fitting import FitState
from hyperlearning.engine.hyper_training import HyperTraining, TrainingState
from hyperlearning.engine.lines import EpochLine
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.engine.sub_records import train_below
from hyperlearning.evaluation import continual
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Answer, Experiment, Verb, page_of
from hyperlearning.experiments.regression.entering import fared, sine_entry
from hyperlearning.experiments.regression.verbs import EvaluateLives, evaluated
from hyperlearning.learners.population import describe
from hyperlearning.systems.regression.lines import MethodLine, method_line
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, deploy
from hyperlearning.systems.regression.methods import Descent, deploying
from hyperlearning.systems.regression.sine_build import dan_system, oml_system, pretraining_system
from hyperlearning.systems.regression.sine_lives import hold_out_lives
from hyperlearning.systems.regression.sine_methods import (
    DIVERGED,
    Candidates,
    best_of,
    closed_form_candidates,
    sine_methods,
)
from hyperlearning.systems.regression.sine_sequence import live_reading, sequence_method, sequence_system
from hyperlearning.systems.regression.sine_settings import (
    DANSettings,
    LifeSettings,
    OMLSettings,
    SequenceSettings,
    TrainingSettings,
)
from hyperlearning.systems.regression.sine_trained import TrainedOML, open_oml
from hyperlearning.systems.system import Method, System

TITLES = {"oml": "OML", "dan": "DAN network"}
"""The systems that are hyper-trained."""

_NUM_POINTS = 100


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn ten sine waves one after another without forgetting."""

    life: LifeSettings = field(default_factory=LifeSettings)
    oml: OMLSettings = field(default_factory=OMLSettings)
    dan: DANSettings = field(default_factory=DANSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    sequence: SequenceSettings = field(default_factory=SequenceSettings)
    num_lives: Annotated[int, AtLeast(2)] = 50
    """Held-out lives to deploy on (authors' code: 50)."""
    num_validation_lives: Annotated[int, AtLeast(2)] = 16
    """Lives on which training is looked at and the settings of the baselines are chosen."""
    sgd_lrs: tuple[Rate, ...] = (0.001, 0.003, 0.01)
    """Rates of the baselines' SGD to choose from."""
    adam_lrs: tuple[Rate, ...] = (0.001, 0.003, 0.01)
    """Rates of the baselines' Adam to choose from."""
    ewc_strengths: Annotated[tuple[Rate, ...], Some()] = (1.0, 100.0, 10000.0)
    """Strengths of elastic weight consolidation to choose from."""
    replay_buffer: Count = 50
    """Points that the replay buffer holds."""
    replay_batch: Count = 8
    """Points replayed at every update."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 1
    """Threads of the computation; at `laptop` sizes a second gains little and on a busy machine costs."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if not (self.sgd_lrs or self.adam_lrs):
            raise ValueError("Expected some of `sgd_lrs` or `adam_lrs`, but got none.")

    @property
    def descents(self) -> tuple[Descent, ...]:
        """How the baselines may learn."""
        return (*(Descent("sgd", lr) for lr in self.sgd_lrs), *(Descent("adam", lr) for lr in self.adam_lrs))


_LAPTOP = Config()

PRESETS: dict[str, Config] = {
    "laptop": _LAPTOP,
    "smoke": replace(
        _LAPTOP,
        life=LifeSettings(num_tasks=3, capacity=4, updates_per_task=2, batch_size=4),
        oml=OMLSettings(width=8, num_representation_layers=2, oml_epochs=2),
        dan=DANSettings(hidden_sizes=(4,), num_channels=4, dan_epochs=2),
        training=TrainingSettings(population=2, hyper_points=4, pretrain_population=2, pretrain_updates=4),
        sequence=SequenceSettings(
            sequence_steps=2, sequence_population=2, sequence_width=8, sequence_attention="linear"
        ),
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
        sequence=SequenceSettings(sequence_steps=20_000, sequence_width=128, sequence_layers=4, sequence_heads=4),
        replay_batch=32,
    ),
}


@dataclass(frozen=True, kw_only=True)
class LookLine:
    """How a system in training fares on validation lives."""

    kind: ClassVar[str] = "look"

    epoch: int
    total_error: float


@dataclass(frozen=True, kw_only=True)
class Look:
    """The same, as the run's own record has it."""

    kind: str = "look"
    epoch: int
    total_error: float


@dataclass(frozen=True, kw_only=True)
class SystemLine:
    """The course of a system's training.

    Attributes:
        system: Its name.
        looks: Looks on the way.
        epochs: Where the curve of the hyper-loss has its points.
        hyper_loss: Means up to there.
        training_seconds: What it took.
    """

    kind: ClassVar[str] = "system"

    system: str
    looks: list[Look]
    epochs: list[int]
    hyper_loss: list[float]
    training_seconds: float


@dataclass(frozen=True, kw_only=True)
class ZeroLine:
    """What predicting 0 throughout costs."""

    kind: ClassVar[str] = "zero"

    error: float


def check(config: Config) -> None:
    """Raises if settings contradict one another, before a run exists."""
    oml_system(config.oml, config.training, config.life, seed=0)
    dan_system(config.dan, config.training, config.life, seed=0, compiles=False)
    pretraining_system(config.oml, config.training, config.life, seed=0)
    sequence_system(config.sequence, config.training, config.life, seed=0)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains both systems and the pretrained representation, or goes on doing so, then deploys every method."""
    life, training = config.life, config.training
    validation = hold_out_lives(life, config.num_validation_lives, seed=config.seed, purpose="validation")
    held_out = hold_out_lives(life, config.num_lives, seed=config.seed)
    systems: dict[str, System[Any]] = {
        "oml": oml_system(config.oml, training, life, seed=config.seed),
        "dan": dan_system(config.dan, training, life, seed=config.seed),
        "pretraining": pretraining_system(config.oml, training, life, seed=config.seed),
    }
    backend = describe(systems["dan"].learner.forward, compiled=systems["dan"].job.phases[0].compiled)
    record.note(threads=config.threads, backend=backend)
    with record.timed("training_seconds"):
        states = {name: _train(config, record, name, system, validation, console) for name, system in systems.items()}
    save_model(record, states["oml"].hyper.innate, states["oml"].hyper.start)
    for name in TITLES:
        for method in _trained_methods(config, name, systems[name], states[name]):
            _live_once(record, method, held_out)
    record.once(ZeroLine, {}, lambda: ZeroLine(error=float(held_out.values.square().mean())))
    _live_baselines(config, states["pretraining"], validation, held_out, record, console)
    read(config, record, validation, held_out, console)


def _train(
    config: Config, record: RunRecord, name: str, system: System[Any], validation: HeldOut, console: Console
) -> TrainingState:
    start, innate = system.job.begin().hyper.start, system.job.begin().hyper.innate
    console.print(f"{name}: {count(start):,} plastic, {count(innate):,} innate numbers", highlight=False)

    def look(epoch: int, state: TrainingState) -> LookLine:
        lives = deploy(system.learner, state.hyper.start, state.hyper.innate, validation)
        return LookLine(epoch=epoch, total_error=float(continual.total_error(lives.errors).mean()))

    job: HyperTraining = system.job
    shown = look if name in TITLES else None
    trained = train_below(record, name, config, job, console, look=shown)
    record.once(SystemLine, {"system": name}, lambda: _course(name, trained.record))
    return trained.state


def _course(name: str, own: RunRecord) -> SystemLine:
    epochs = own.lines(EpochLine)
    every = max(1, len(epochs) // _NUM_POINTS)
    parts = [epochs[i : i + every] for i in range(0, len(epochs), every)]
    return SystemLine(
        system=name,
        looks=[Look(epoch=line.epoch, total_error=line.total_error) for line in own.lines(LookLine)],
        epochs=[part[-1].epoch for part in parts],
        hyper_loss=[sum(line.hyper_loss for line in part) / len(part) for part in parts],
        training_seconds=own.manifest["training_seconds"],
    )


def _trained_methods(
    config: Config, name: str, system: System[Any], state: TrainingState
) -> list[Method[HeldOut, LifeErrors]]:
    trained, drawn = state.hyper, system.job.begin().hyper
    facts = {"num_plastic": count(trained.start), "num_innate": count(drawn.innate)}
    title, rate = TITLES[name], f"SGD {system.learner.inner_lr:g}"
    live, live_drawn = deploying(system.learner, trained), deploying(system.learner, drawn)

    def mixed(held_out: HeldOut) -> LifeErrors:
        return live(held_out.joint(config.seed))

    return [
        Method(name, f"{title}, hyper-trained", f"wave after wave, {rate}", live, facts),
        Method(f"{name}_joint", f"{title}, hyper-trained, joint", f"batches shuffled, {rate}", mixed, facts),
        Method(f"{name}_random", f"{title}, random", f"before hyper-training, {rate}", live_drawn, facts),
    ]


def _live_baselines(
    config: Config,
    pretrained: TrainingState,
    validation: HeldOut,
    held_out: HeldOut,
    record: RunRecord,
    console: Console,
) -> None:
    methods = sine_methods(
        config.oml.build(config.life, config.seed),
        pretrained.hyper.innate,
        config.descents,
        replay_buffer=config.replay_buffer,
        replay_batch=config.replay_batch,
        ewc_strengths=config.ewc_strengths,
        seed=config.seed,
    ) | closed_form_candidates(capacity=config.life.capacity, seed=config.seed)
    with reporting(console, "baselines", len(methods), "methods") as report:
        for done, (name, candidates) in enumerate(methods.items(), start=1):
            record.once(MethodLine, {"method": name}, lambda c=candidates: _best_line(c, validation, held_out))
            report(done, name)


def read(config: Config, record: RunRecord, validation: HeldOut, held_out: HeldOut, console: Console) -> None:
    """Meta-trains the sequence model, or goes on doing so, and deploys it: the last lines of a record."""
    system = sequence_system(config.sequence, config.training, config.life, seed=config.seed)

    def look(epoch: int, state: FitState) -> LookLine:
        lives = live_reading(system.trained(state), validation)
        return LookLine(epoch=epoch, total_error=float(continual.total_error(lives.errors).mean()))

    trained = train_below(record, "sequence", config, system.job, console, look=look)
    record.once(SystemLine, {"system": "sequence"}, lambda: _course("sequence", trained.record))
    _live_once(record, sequence_method(system.trained(trained.state), config.life), held_out)


def _best_line(candidates: Candidates, validation: HeldOut, held_out: HeldOut) -> MethodLine:
    best = best_of(candidates, validation)
    return method_line(best, best.live(held_out), instead=DIVERGED, with_intervals=True)


def _live_once(record: RunRecord, method: Method[HeldOut, LifeErrors], held_out: HeldOut) -> None:
    record.once(
        MethodLine,
        {"method": method.name},
        lambda: method_line(method, method.live(held_out), instead=DIVERGED, with_intervals=True),
    )


def load(record: RunRecord) -> TrainedOML:
    """Opens the OML that a finished run has trained."""
    config = record.settings(Config)
    return open_oml(record, config.oml, config.training, config.life, seed=config.seed)


def _evaluate(record: RunRecord, options: EvaluateLives) -> Answer:
    scores = load(record).scores(options.num_lives, seed=options.seed)
    return evaluated(scores, f"OML on {options.num_lives} lives of seed {options.seed}")


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every method on the run's own lives, or OML on further ones."""
    config = record.settings(Config)
    if further is None:
        lines = record.lines(MethodLine)
        systems = [fared(line.method, line.title, line.scores, enters=line.method in TITLES) for line in lines]
    else:
        scores = load(record).scores(further.num_lives, seed=further.seed)
        systems = [fared("oml", f"{TITLES['oml']}, hyper-trained", scores, enters=True)]
    return sine_entry(config.life, config.num_lives, config.seed, systems, further=further)


EXPERIMENT = Experiment(
    claim="OML learns ten sine waves one after another; beside it a DAN network under the same engine.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={
        "evaluate": Verb("Deploys the hyper-trained OML on lives that it has not met.", EvaluateLives, _evaluate),
    },
    enter=enter,
    load=load,
)
