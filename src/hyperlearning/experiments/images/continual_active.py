"""Continual active learning: a stream of images, a budget of questions, and no example kept.

Claim (dissertation, section 6.5, an outlook): hyper-training Deep Artificial Neurons facilitates continual active learning. Here
a life decides at once whether to ask about an image of a stream, and learns only what it asked about.

The page `docs/experiments/continual-active.md` says what the source leaves open, and how it is filled in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import fmean
from typing import Annotated

from rich.console import Console

from hyperlearning.acquisition.stream_rules import STREAM_RULES, ComparedRules
from hyperlearning.core.errors import RunError
from hyperlearning.core.expect import AtLeast, Count, Rate, Seed, Some, check_ranges
from hyperlearning.core.settings import to_json
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.loading import load as open_run
from hyperlearning.experiments.shipped import IMAGES, shipped
from hyperlearning.streams.image_streams import StreamName
from hyperlearning.systems.images.stream_comparison import (
    EVERYTHING,
    StreamLifeLine,
    StreamPlan,
    StreamSettings,
    compare_rules,
    drawn_stream,
    stream_pools,
)
from hyperlearning.systems.images.stream_lives import LIFE_TITLES, LifeName
from hyperlearning.systems.images.trained import TrainedClassifier

_OF_NO_LIFE = ("streams", "lives", "rules", "budgets", "device", "threads")
"""Settings that no life that is compared follows from."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Meet a stream of images once, ask about a few of them at once or never, and be tested on all classes."""

    data: StreamSettings = field(default_factory=StreamSettings)
    innate: str = ""
    """A run of `class-incremental` whose network lives, and whose features all lives have; the one that comes with the package,
    trained on Omniglot, if empty."""
    streams: Annotated[tuple[StreamName, ...], Some(distinct=True)] = ("classes", "shuffled", "shuffled_tail")
    """One class after another, or mixed; with as many images of each class, or with a tail of rare ones."""
    lives: Annotated[tuple[LifeName, ...], Some(distinct=True)] = ("ridge", "dan")
    """What learns: a head that is solved, or the hyper-trained network's own, which descends."""
    rules: ComparedRules = ("random", "random_evenly", "margin", "margin_evenly", "leverage_evenly", "typical_evenly")
    """What decides; chance, which must be there, is what the others are measured by."""
    budgets: Annotated[tuple[Count, ...], Some(distinct=True)] = (20, 50, 100)
    """Questions; each is a life of its own, since a rule paces itself by what it may ask."""
    precision: Rate = 0.1
    """Of the prior on a solved head's weights, for features of length 1."""
    num_lives: Annotated[int, AtLeast(2)] = 10
    """Streams of each kind."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if any(before >= after for before, after in pairwise(self.budgets)):
            raise ValueError(f"Expected `budgets` that rise, but got {self.budgets}.")
        if self.budgets[-1] > self.data.num_images:
            raise ValueError(
                f"Expected `budgets` up to {self.data.num_images:,}, the images of a stream, but got {self.budgets[-1]:,}."
            )


_LAPTOP = Config(
    data=StreamSettings(num_images=2000),
    streams=("classes", "shuffled", "shuffled_tail", "classes_tail"),
    rules=tuple(STREAM_RULES),
    budgets=(20, 50, 100, 200),
)

PRESETS: dict[str, Config] = {
    "quick": Config(num_lives=6),
    "laptop": _LAPTOP,
    "clothes": replace(_LAPTOP, data=StreamSettings(dataset="fashion_mnist", num_images=2000)),
    "smoke": Config(
        data=StreamSettings(num_images=60, num_tests=5, tail_ratio=5.0),
        streams=("classes", "shuffled_tail"),
        rules=("random", "margin_evenly", "variable_threshold"),
        budgets=(5, 10),
        num_lives=2,
    ),
    # The outlook names no sizes: streams as long as MNIST allows where most classes are rare.
    "paper": replace(_LAPTOP, data=StreamSettings(num_images=15_000), budgets=(20, 50, 100, 200, 500, 1000, 2000)),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, data are absent, or there is no network to live."""
    check_ranges(config)
    plan = _plan(config)
    pools = stream_pools(config.data, plan.run.side)
    for name in config.streams:
        drawn_stream(plan, pools, name, plan.seeds[0])
    if pools[0].num_classes > plan.run.most_classes:
        raise ValueError(
            f"Expected a network with an output for each of {pools[0].num_classes} classes, but got {plan.run.most_classes}."
        )


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Lives all lives, or goes on doing so."""
    record.note(threads=config.threads)
    compare_rules(_plan(config), record, console)


def _plan(config: Config) -> StreamPlan:
    return StreamPlan(
        config=config,
        data=config.data,
        run=_opened(config),
        streams=config.streams,
        lives=config.lives,
        rules=config.rules,
        budgets=config.budgets,
        precision=config.precision,
        num_lives=config.num_lives,
        seed=config.seed,
    )


def _opened(config: Config) -> TrainedClassifier:
    path = config.innate or shipped(IMAGES)
    opened = open_run(path)
    if not isinstance(opened, TrainedClassifier):
        raise RunError(f"Expected `innate` to be a run of class-incremental, but {path} has trained something else.")
    return opened


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every kind of life with every rule and the most questions, stream by stream."""
    refuse_further(record, further)
    config = record.settings(Config)
    known = {name: value for name, value in to_json(config).items() if name not in _OF_NO_LIFE}
    lines = [line for line in record.lines(StreamLifeLine) if line.budget in (config.budgets[-1], line.num_images)]
    scores: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if line.rule != EVERYTHING:
            scores.setdefault((line.life, line.rule), []).append(line.accuracy)
    best = max(scores, key=lambda system: fmean(scores[system]))
    met = tuple(
        MetLives(
            title=f"{config.num_lives} streams, {name}",
            facts={**known, "stream": name, "budget": config.budgets[-1]},
            systems=_fared([line for line in lines if line.stream == name], best),
        )
        for name in config.streams
    )
    return Entry(measures=(Measure(name="accuracy", title="accuracy after the stream", unit="share"),), met=met)


def _fared(lines: Sequence[StreamLifeLine], best: tuple[str, str]) -> tuple[Fared, ...]:
    lives: dict[tuple[str, str], list[StreamLifeLine]] = {}
    for line in sorted(lines, key=lambda line: line.seed):
        lives.setdefault((line.life, line.rule), []).append(line)
    return tuple(
        Fared(
            system=f"{life}_{rule}",
            title=f"{LIFE_TITLES[own[0].life]}, {own[0].title}",
            enters=(life, rule) == best,
            scores={"accuracy": [line.accuracy for line in own]},
        )
        for (life, rule), own in lives.items()
    )


EXPERIMENT = Experiment(
    claim="A life that decides at once which images of a stream to ask about learns as much from fewer answers.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
