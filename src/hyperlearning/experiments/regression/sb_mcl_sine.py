"""SB-MCL's sine benchmark: ten tasks of ten examples, from a noisy wave to the same wave at another phase.

Claim ("Learning to Continually Learn with the Bayesian Principle", Lee, Jeon, Son and Kim, 2024): where a network that was
meta-learned stays fixed in life and a simple statistical model is updated exactly, nothing is forgotten and errors are far below
those of networks that descend. Here the model is linear regression on meta-learned features (ALPaCA), of which the source says
that it is a special case of its framework.

The page `docs/experiments/sb-mcl-sine.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

from rich.console import Console

from hyperlearning.core.expect import AtLeast, Count, Rate, Seed, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.lines import EpochLine
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import final_state
from hyperlearning.engine.sub_records import opened_below, train_below
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.regression.entering import fared, pairs_entry
from hyperlearning.systems.regression.alpaca import AlpacaSettings, MetaLearned
from hyperlearning.systems.regression.lines import MethodLine, method_line
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors
from hyperlearning.systems.regression.methods import Descent
from hyperlearning.systems.regression.sine_methods import best_of
from hyperlearning.systems.regression.wave_pairs import (
    PairSettings,
    descended_candidates,
    hold_out_pairs,
    meta_learned_pairs,
    pair_alpaca,
    pair_training,
    solved_candidates,
)
from hyperlearning.systems.system import Method

_SYSTEM = "alpaca"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn ten pairs of waves one after another without forgetting."""

    life: PairSettings = field(default_factory=PairSettings)
    alpaca: AlpacaSettings = field(
        default_factory=lambda: AlpacaSettings(
            alpaca_steps=1000, alpaca_population=8, alpaca_features=128, alpaca_width=128, alpaca_lr=0.003
        )
    )
    num_lives: Annotated[int, AtLeast(2)] = 128
    """Held-out lives to deploy on (authors' code: 512)."""
    num_validation_lives: Annotated[int, AtLeast(2)] = 16
    """Lives on which the settings of what is not meta-learned are chosen."""
    num_random: Count = 1000
    """Random units that a readout is solved on."""
    plain_width: Count = 64
    """Units of both hidden layers of the plain network (authors' code: 512)."""
    num_passes: Count = 50
    """Passes over a life's examples in joint training."""
    sgd_lrs: tuple[Rate, ...] = (0.1, 0.3, 1.0)
    """Rates of the plain network's SGD to choose from."""
    adam_lrs: tuple[Rate, ...] = (0.001, 0.003, 0.01)
    """Rates of its Adam to choose from."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if not (self.sgd_lrs or self.adam_lrs):
            raise ValueError("Expected some of `sgd_lrs` or `adam_lrs`, but got none.")
        if not self.alpaca.alpaca_steps:
            raise ValueError("Expected `alpaca_steps` to be positive, since the claim is about it, but got 0.")

    @property
    def descents(self) -> tuple[Descent, ...]:
        """How the plain network may learn."""
        return (*(Descent("sgd", lr) for lr in self.sgd_lrs), *(Descent("adam", lr) for lr in self.adam_lrs))


_QUICK = Config()

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "smoke": replace(
        _QUICK,
        life=PairSettings(num_tasks=3, num_shots=4, num_queries=2, num_points=8),
        alpaca=AlpacaSettings(alpaca_steps=3, alpaca_population=2, alpaca_features=6, alpaca_width=8, alpaca_lr=0.003),
        num_lives=4,
        num_validation_lives=2,
        num_random=8,
        plain_width=4,
        num_passes=2,
        sgd_lrs=(0.1,),
        adam_lrs=(0.001,),
    ),
    # Sizes and steps of the authors' code.
    "paper": replace(
        _QUICK,
        alpaca=AlpacaSettings(
            alpaca_steps=50_000, alpaca_population=16, alpaca_features=512, alpaca_width=512, alpaca_lr=0.0001
        ),
        num_lives=512,
        plain_width=512,
    ),
}


@dataclass(frozen=True, kw_only=True)
class MetaLearningLine:
    """The course of meta-learning.

    Attributes:
        steps: Where the curve of the loss has its points.
        nats: The loss, means up to there.
        training_seconds: What it took.
    """

    kind: ClassVar[str] = "meta_learning"

    steps: list[int]
    nats: list[float]
    training_seconds: float


@dataclass(frozen=True, kw_only=True)
class ZeroLine:
    """What predicting 0 throughout costs."""

    kind: ClassVar[str] = "zero"

    error: float


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Meta-learns features and prior, or goes on doing so, then lives with every method."""
    life, job = config.life, pair_training(config.alpaca, config.life, seed=config.seed)
    validation = hold_out_pairs(life, config.num_validation_lives, seed=config.seed, purpose="validation")
    held_out = hold_out_pairs(life, config.num_lives, seed=config.seed)
    record.note(threads=config.threads)
    with record.timed("training_seconds"):
        trained = train_below(record, _SYSTEM, config, job, console)
    record.once(MetaLearningLine, {}, lambda: _course(trained.record))
    record.once(ZeroLine, {}, lambda: ZeroLine(error=float(held_out.values.square().mean())))
    learned, drawn = (meta_learned_pairs(state, config.alpaca, life) for state in (trained.state, job.begin()))
    for method in (
        pair_alpaca(learned),
        pair_alpaca(drawn, name="alpaca_random", title="ALPaCA before meta-learning"),
    ):
        _live_once(record, method, held_out)
    _live_others(config, validation, held_out, record, console)


def _course(own: RunRecord) -> MetaLearningLine:
    lines = own.lines(EpochLine)
    return MetaLearningLine(
        steps=[line.epoch for line in lines],
        nats=[line.hyper_loss for line in lines],
        training_seconds=own.manifest["training_seconds"],
    )


def _live_others(config: Config, validation: HeldOut, held_out: HeldOut, record: RunRecord, console: Console) -> None:
    solved = solved_candidates(config.life, num_random=config.num_random, seed=config.seed)
    descended = descended_candidates(
        config.life, config.descents, width=config.plain_width, num_passes=config.num_passes, seed=config.seed
    )
    methods = solved | descended
    with reporting(console, "others", len(methods), "methods") as report:
        for done, (name, candidates) in enumerate(methods.items(), start=1):
            record.once(MethodLine, {"method": name}, lambda c=candidates: _line(best_of(c, validation), held_out))
            report(done, name)


def _live_once(record: RunRecord, method: Method[HeldOut, LifeErrors], held_out: HeldOut) -> None:
    record.once(MethodLine, {"method": method.name}, lambda: _line(method, held_out))


def _line(method: Method[HeldOut, LifeErrors], held_out: HeldOut) -> MethodLine:
    return method_line(method, method.live(held_out), with_intervals=True)


def load(record: RunRecord) -> MetaLearned:
    """Opens what a finished run has meta-learned."""
    config = record.settings(Config)
    job = pair_training(config.alpaca, config.life, seed=config.seed)
    return meta_learned_pairs(final_state(opened_below(record, _SYSTEM), job), config.alpaca, config.life)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every method on the run's own lives, or what was meta-learned on further ones."""
    config = record.settings(Config)
    lines = record.lines(MethodLine)
    if further is not None:
        held_out = hold_out_pairs(config.life, further.num_lives, seed=further.seed, purpose="evaluate")
        lines = [_line(pair_alpaca(load(record)), held_out)]
    systems = [fared(line.method, line.title, line.scores, enters=line.method == _SYSTEM) for line in lines]
    return pairs_entry(config.life, config.num_lives, config.seed, systems, further=further)


EXPERIMENT = Experiment(
    claim="Exact Bayesian updates on meta-learned features learn ten pairs of waves one after another, few examples of each.",
    presets=PRESETS,
    check=check_ranges,
    run=run,
    report=page_of(__name__),
    enter=enter,
    load=load,
)
