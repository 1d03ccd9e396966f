"""Few-shot regression: a network for a sine wave from a few of its points, written, solved, or descended to.

Claim (Finn et al., "MAML", 2017, section 5.1): from a start that is learned, a few gradient steps on 5 or 10 points fit a
sine wave of any amplitude and phase. Does a hypernetwork that reads the points, and writes the network in one forward pass,
fit it better?

The page `docs/experiments/fewshot-sines.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.systems.hypernetworks.few_shot_sines import (
    ErrorLine,
    SineTraining,
    compare_on_sines,
    final_errors,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train few-shot learners of sine waves, and test all on the same waves."""

    training: SineTraining = field(default_factory=SineTraining)
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


PRESETS: dict[str, Config] = {
    "quick": Config(training=SineTraining(steps=3000, lr=3e-3, looks=10)),
    "laptop": Config(training=SineTraining(steps=60_000, lr=2e-3)),
    "smoke": Config(
        training=SineTraining(steps=6, waves=3, hidden=(5, 4), inner_steps=2, looks=2, test_waves=5, test_queries=6)
    ),
    # Finn et al., appendix A.1: 70,000 updates of 25 waves, one step of .01 on 10 points.
    "paper": Config(training=SineTraining(steps=70_000, train_shots=(10,), inner_steps=1)),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another."""
    check_ranges(config)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains and tests all learners, or goes on doing so."""
    record.note(threads=config.threads)
    compare_on_sines(config.training, config, record, console, seed=config.seed)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every learner on the test waves of the run, a wave a life."""
    refuse_further(record, further)
    config = record.settings(Config)
    learners, met = final_errors(record.lines(ErrorLine)), []
    for shots in config.training.shots:
        systems = tuple(
            Fared(
                system=method.replace("_", "-"),
                title=lines[shots].title,
                enters=method == config.training.learners[0],
                scores={"error": lines[shots].errors},
            )
            for method, lines in learners.items()
        )
        facts = {"shots": shots, "queries": config.training.test_queries, "seed": config.seed, "family": "sine waves"}
        met.append(MetLives(title=f"sine waves from {shots} points", facts=facts, systems=systems))
    measure = Measure(name="error", title="mean squared error", unit="", lower_is_better=True)
    return Entry(measures=(measure,), met=tuple(met))


EXPERIMENT = Experiment(
    claim="A hypernetwork that reads a few points of a sine wave writes its network in one forward pass.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
