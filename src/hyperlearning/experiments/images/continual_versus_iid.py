"""Continual versus iid: a fixed budget of updates, spent class after class or on replay of everything.

Claim (dissertation, section 6.4.5, figures 6.10 and 6.11): with as many updates, a hyper-trained network that meets classes one
after another generalizes better than the same network from a random start that samples all their images without order; and
there are lives on which both memory and generalization are 100 %.

The page `docs/experiments/continual-versus-iid.md` lists every deviation from the source.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from rich.console import Console

from hyperlearning.core.params import Params, stack_members
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.population import PopulationForward
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.build import System, build_system, check_settings
from hyperlearning.systems.images.embedding import train_prototypes
from hyperlearning.systems.images.lives import KINDS, Lives, deploy, deploy_prototypes, final_lives, hold_out
from hyperlearning.systems.images.methods import Baseline, baseline_kinds, baselines, live_baseline, num_plastic, tuned
from hyperlearning.systems.images.pools import Pools, load_pools
from hyperlearning.systems.images.results import append_method
from hyperlearning.systems.images.settings import (
    PAPER_NETWORK,
    PAPER_TRAINING,
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.training import scores_by_kind, train

NAME = "continual-versus-iid"

_COMPARED = ("joint", "finetune", "ewc")
"""Baselines of `image_methods` that the budget is given to."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Spend a fixed budget of updates on classes one after another, or on all of them mixed."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    num_updates: int = 500
    """Updates of a life, of every method; as many on each class as go evenly (paper: 500)."""
    class_counts: tuple[int, ...] = (10, 3)
    """Numbers of classes of the lives; the first is `num_tasks`, on which baselines choose their rate."""
    with_prototypes: bool = True
    """Whether an embedding of as many parameters is meta-trained for prototypes."""
    baseline_lives: int = 10
    """Lives of the baselines, all of whose parameters are plastic: the first of the others' lives; 0 for none."""
    tuning_lives: int = 3
    """Lives of meta-train classes on which they choose their rate."""
    baseline_lrs: tuple[float, ...] = (0.001, 0.003)
    """Rates of their Adam to choose from."""
    ewc_strength: float = 1000.0
    """Strength of elastic weight consolidation."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.seed < 0 or min(self.threads, self.tuning_lives) < 1:
            raise ValueError(
                "Expected a non-negative `seed` and positive `threads` and `tuning_lives`, "
                f"but got {self.seed}, {self.threads} and {self.tuning_lives}."
            )
        if self.baseline_lives and not 2 <= self.baseline_lives <= self.life.num_lives:
            raise ValueError(
                f"Expected `baseline_lives` to be 0 or from 2 to `num_lives` ({self.life.num_lives}), "
                f"but got {self.baseline_lives}."
            )
        if not self.baseline_lrs:
            raise ValueError("Expected some `baseline_lrs`, but got none.")
        if not self.class_counts or self.class_counts[0] != self.life.num_tasks or min(self.class_counts) < 1:
            raise ValueError(
                f"Expected positive `class_counts` that begin with `num_tasks` ({self.life.num_tasks}), "
                f"but got {self.class_counts}."
            )
        if self.num_updates < max(self.class_counts):
            raise ValueError(
                f"Expected `num_updates` to be at least one a class ({max(self.class_counts)}), but got {self.num_updates}."
            )

    @property
    def settings(self) -> ImageSettings:
        """What the hyper-trained system follows from."""
        return ImageSettings(
            data=self.data, network=self.network, life=self.life, training=self.training, seed=self.seed
        )

    def steps_per_task(self, num_classes: int) -> int:
        """Updates on each class of a life of so many."""
        return self.num_updates // num_classes

    def deployed_lr(self, num_classes: int) -> float:
        """The synapses' rate in a life of so many classes: divided as the updates on a class are multiplied.

        Where the loss is nearly linear in what an update writes, as it is with a high temperature, many small updates on a
        class then end where the few of hyper-training do.
        """
        return self.training.inner_lr * self.life.steps_per_task / self.steps_per_task(num_classes)


PRESETS: dict[str, Config] = {
    "laptop": Config(life=LifeSettings(num_lives=50), training=TrainingSettings(num_epochs=300)),
    "smoke": Config(
        network=NetworkSettings(maps=(8, 8, 8), num_channels=4, phenotype_units=4, num_outputs=6),
        life=LifeSettings(num_tasks=4, steps_per_task=2, num_held_out=3, num_lives=4),
        training=TrainingSettings(
            population=2, num_epochs=3, train_tasks=5, train_classes=6, train_held_out=2, hyper_batch_size=20
        ),
        num_updates=12,
        class_counts=(4, 3),
        baseline_lives=2,
        tuning_lives=2,
        baseline_lrs=(0.001,),
        threads=1,
    ),
    # The dissertation's budget and learners; its network of 200 million parameters is `scaling`'s, this is the script's.
    "paper": Config(
        network=PAPER_NETWORK,
        life=LifeSettings(steps_per_task=50),
        training=replace(PAPER_TRAINING, population=5),
        data=DataSettings(dataset="mixture"),
        baseline_lives=20,
        tuning_lives=6,
        baseline_lrs=(0.0003, 0.001, 0.003),
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    for num_classes in config.class_counts:
        check_settings(replace(config.settings, life=replace(config.life, num_tasks=num_classes)))


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains, or goes on doing so, then gives every method the same budget on the same lives."""
    torch.set_num_threads(config.threads)
    settings = config.settings
    pools = load_pools(config.data)
    counts = settings.network.count(settings.data)
    console.print(f"network: {counts}, {config.threads} threads", highlight=False)
    record.note(threads=config.threads, parameters=counts._asdict())
    system = build_system(settings, pools.meta_train)
    with record.timed("training_seconds"):
        trained = train(
            record, "hyper-trained", settings, system, console, look=scores_by_kind(settings, system, pools)
        )
    save_model(record, trained.state)
    lives = list(_all_lives(config, pools))
    _deploy_hyper_trained(config, system, trained.state, lives, record, console)
    if config.with_prototypes:
        _meta_train_prototypes(config, pools, lives, record, console)
    if config.baseline_lives:
        _deploy_baselines(config, pools, lives, record, console)


def split_name(kind: str, num_classes: int) -> str:
    """Names the lives of a kind with so many classes, for the record."""
    return f"{kind}/{num_classes}"


class _Held(NamedTuple):
    """Lives to deploy on, of one kind and number of classes."""

    kind: str
    num_classes: int
    lives: ClassLives

    @property
    def split(self) -> str:
        return split_name(self.kind, self.num_classes)


def _all_lives(config: Config, pools: Pools) -> Iterator[_Held]:
    for num_classes in config.class_counts:
        life = replace(config.life, num_tasks=num_classes)
        for kind in KINDS:
            lives = hold_out(life, pools, kind, num_outputs=config.network.num_outputs, seed=config.seed)
            yield _Held(kind, num_classes, lives)


def first_lives(lives: ClassLives, num_lives: int) -> ClassLives:
    """Keeps the first lives, for methods that are too slow for all of them: they are compared on the same ones."""
    return ClassLives(
        inputs=lives.inputs[:, :num_lives],
        targets=lives.targets[:, :num_lives],
        learned=lives.learned[:num_lives],
        held_out=lives.held_out[:num_lives],
        labels=lives.labels[:num_lives],
    )


def _deploy_hyper_trained(
    config: Config, system: System, state: TrainingState, held: list[_Held], record: RunRecord, console: Console
) -> None:
    counts = config.network.count(config.data)
    few = config.life.steps_per_task
    with reporting(console, "hyper-trained network", len(held), "sets of lives") as report:
        for done, one in enumerate(held, start=1):
            steps, lr = config.steps_per_task(one.num_classes), config.deployed_lr(one.num_classes)
            patient = system.learner._replace(inner_lr=lr)
            start, innate = state.hyper.start, state.hyper.innate
            if not _known(record, "dan", one.split):
                alive = deploy(patient, start, innate, one.lives, steps_per_task=steps)
                note = f"{steps} updates a class, one class after another; rate {lr:.3g}"
                append_method(
                    record,
                    "dan",
                    "hyper-trained, continual",
                    note,
                    counts,
                    one.split,
                    alive,
                    updates=steps * one.num_classes,
                )
            if not _known(record, "dan_short", one.split):
                alive = deploy(system.learner, start, innate, one.lives, steps_per_task=few)
                note = f"{few} updates a class as in hyper-training; the rest of the budget is not used"
                title = f"hyper-trained, continual, {few} updates a class"
                append_method(record, "dan_short", title, note, counts, one.split, alive, updates=few * one.num_classes)
            if one.kind in baseline_kinds() and not _known(record, "dan_iid", one.split):
                alive = _live_iid(config, patient, start, innate, one)
                note = f"batches of images of all classes; rate {lr:.3g}"
                append_method(
                    record,
                    "dan_iid",
                    "hyper-trained, iid",
                    note,
                    counts,
                    one.split,
                    alive,
                    updates=steps * one.num_classes,
                )
            report(done, one.split)


def _live_iid(config: Config, learner: Learner, start: Params, innate: Params, held: _Held) -> Lives:
    """Lives on batches from all classes without order, as the baseline `joint` does, with innate parameters at work."""
    lives = held.lives
    baseline = _baselines(config, held.num_classes)["joint"]
    with torch.no_grad():
        features = torch.stack([learner.prepared(innate, batch) for batch in lives.inputs])
    on_features = learner._replace(prepare=None, forward=_with_innate(learner.forward, innate))
    births = stack_members(start, len(lives.labels))
    plastic = baseline.live(on_features, births, lives._replace(inputs=features))
    return final_lives(learner, plastic, innate, lives)


def _with_innate(forward: PopulationForward, innate: Params) -> PopulationForward:
    """Fixes the innate parameters of a network, for a learner that has none."""
    return lambda plastic, _, inputs: forward(plastic, innate, inputs)


def _meta_train_prototypes(
    config: Config, pools: Pools, held: list[_Held], record: RunRecord, console: Console
) -> None:
    features, _, size = train_prototypes(record, config.settings, pools, console)
    for one in held:
        alive = deploy_prototypes(features, one.lives, num_labels=config.network.num_outputs)
        note = f"an embedding of {size:,} parameters, class means: no updates"
        append_method(record, "prototypes", "prototypes, meta-trained", note, None, one.split, alive, updates=0)


def _baselines(config: Config, num_classes: int) -> dict[str, Baseline]:
    """The baselines with the budget of a life of so many classes."""
    steps = config.steps_per_task(num_classes)
    made = baselines(steps_per_task=steps, ewc_strength=config.ewc_strength, seed=config.seed)
    return {name: made[name]._replace(title=f"random start, {_HOW[name]}") for name in _COMPARED}


_HOW = {"joint": "iid", "finetune": "finetuned", "ewc": "EWC"}


def _deploy_baselines(config: Config, pools: Pools, held: list[_Held], record: RunRecord, console: Console) -> None:
    settings, size = config.settings, num_plastic(config.settings)
    held = [one for one in held if one.kind in baseline_kinds()]
    with reporting(console, "baselines", len(_COMPARED) * len(held), "sets of lives") as report:
        done = 0
        for name in _COMPARED:
            lr = _rate_of(config, pools, name, record)
            for one in held:
                done += 1
                if not _known(record, name, one.split):
                    baseline = _baselines(config, one.num_classes)[name]
                    alive = live_baseline(settings, baseline, lr, first_lives(one.lives, config.baseline_lives))
                    updates = config.steps_per_task(one.num_classes) * one.num_classes
                    note = f"{baseline.note}; Adam {lr:g}"
                    append_method(
                        record, name, baseline.title, note, None, one.split, alive, num_parameters=size, updates=updates
                    )
                report(done, f"{name}, {one.split}")


def _rate_of(config: Config, pools: Pools, name: str, record: RunRecord) -> float:
    """The rate of a baseline's Adam, from the record if it has been chosen before."""
    for line in record.lines("tuning"):
        if line["method"] == name:
            return line["lr"]
    baseline = _baselines(config, config.life.num_tasks)[name]
    chosen = tuned(config.settings, pools, baseline, config.baseline_lrs, num_lives=config.tuning_lives)
    trials = {f"{lr:g}": score for lr, score in chosen.trials.items()}
    record.append("tuning", method=name, lr=chosen.lr, trials=trials, lives=config.tuning_lives)
    return chosen.lr


def _known(record: RunRecord, method: str, split: str) -> bool:
    return any((line["method"], line["split"]) == (method, split) for line in record.lines("method"))
