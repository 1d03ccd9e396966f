"""Class-incremental learning: a population learns to learn classes one after another, without replay.

Claim (dissertation, section 6.4.1, figure 6.3): deployed with its phenotypes fixed, a network of Deep Artificial Neurons learns
ten classes it has never seen, each from five images met once, by plain backpropagation on its synapses, and retains them.

The page `docs/experiments/class-incremental.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from rich.console import Console

from hyperlearning.core.params import Params
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.build import System, build_system, check_settings
from hyperlearning.systems.images.embedding import (
    compared_settings,
    images_of_embedding,
    train_embedding,
    train_prototypes,
)
from hyperlearning.systems.images.lives import KINDS, deploy, deploy_prototypes, hold_out
from hyperlearning.systems.images.methods import baseline_kinds, baselines, live_baseline, num_plastic, tuned
from hyperlearning.systems.images.pools import Pools, load_pools
from hyperlearning.systems.images.results import append_method, joint_lives
from hyperlearning.systems.images.settings import (
    PAPER_NETWORK,
    PAPER_TRAINING,
    DataSettings,
    EmbeddingSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.training import scores_by_kind, train

NAME = "class-incremental"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn classes one after another from a few images each, without forgetting."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    embedding: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    """How the input DANs are trained alone, before the lives; and the prototypes' embedding, until it has met as many images as
    the network in all."""
    few_tasks: int = 3
    """Classes of the shorter lives that the network is deployed on too."""
    with_prototypes: bool = True
    """Whether an embedding of as many parameters is meta-trained for the prototypes that the network is compared with."""
    baseline_lives: int = 20
    """Lives of the baselines without hyper-training; 0 for none."""
    baseline_steps: int = 10
    """Their updates on each class."""
    baseline_lrs: tuple[float, ...] = (0.001, 0.003)
    """Rates of their Adam to choose from, on lives of meta-train classes."""
    ewc_strength: float = 1000.0
    """Strength of elastic weight consolidation."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if not 1 <= self.few_tasks <= self.life.num_tasks:
            raise ValueError(
                f"Expected `few_tasks` to be from 1 to `num_tasks` ({self.life.num_tasks}), but got {self.few_tasks}."
            )
        if (
            self.seed < 0
            or self.threads < 1
            or self.baseline_steps < 1
            or self.baseline_lives < 0
            or self.baseline_lives == 1
            or min(self.baseline_lrs, default=0) <= 0
        ):
            raise ValueError(
                "Expected a non-negative `seed`, positive `threads` and `baseline_steps`, 0 or at least 2 of `baseline_lives` "
                f"and some positive `baseline_lrs`, but got {self.seed}, {self.threads}, {self.baseline_steps}, "
                f"{self.baseline_lives} and {self.baseline_lrs}."
            )

    @property
    def settings(self) -> ImageSettings:
        """What the hyper-trained system follows from."""
        return ImageSettings(
            data=self.data, network=self.network, life=self.life, training=self.training, seed=self.seed
        )


# The loss pushes all outputs down but one, by 1 / `num_outputs` each: what a class writes into others fades with their number.
_LAPTOP = Config(
    data=DataSettings(augmentation="elastic"),
    network=NetworkSettings(num_outputs=100, num_channels=2),
    training=TrainingSettings(num_epochs=100, inner_lr=0.2),
    embedding=EmbeddingSettings(embedding_epochs=2000),
)

PRESETS: dict[str, Config] = {
    "laptop": _LAPTOP,
    "smoke": Config(
        network=NetworkSettings(maps=(8, 8, 8), num_channels=4, phenotype_units=4, num_outputs=6),
        life=LifeSettings(num_tasks=4, steps_per_task=2, num_held_out=3, num_lives=4),
        training=TrainingSettings(
            population=2, num_epochs=3, train_tasks=5, train_classes=6, train_held_out=2, hyper_batch_size=20
        ),
        embedding=EmbeddingSettings(embedding_epochs=3, embedding_classes=8),
        baseline_lives=2,
        baseline_steps=2,
        baseline_lrs=(0.001,),
        threads=1,
    ),
    # A wider embedding that meets more than three times as many images.
    "best": Config(
        data=DataSettings(augmentation="elastic"),
        network=NetworkSettings(maps=(64, 128, 128, 128), num_outputs=100, num_channels=2),
        life=LifeSettings(steps_per_task=5),
        training=TrainingSettings(num_epochs=100, inner_lr=0.2),
        embedding=EmbeddingSettings(embedding_epochs=4000, embedding_classes=100),
        baseline_lives=0,
    ),
    # Dissertation, section 6.4.1, the network as the authors' script has it: 120 labels, convolutional phenotypes.
    "paper": Config(
        network=PAPER_NETWORK,
        life=LifeSettings(steps_per_task=25),
        training=PAPER_TRAINING,
        baseline_steps=25,
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    check_settings(config.settings)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains, or goes on doing so, then deploys every method on the same held-out lives."""
    torch.set_num_threads(config.threads)
    settings = config.settings
    pools = load_pools(config.data)
    counts = settings.network.count(settings.data)
    console.print(f"network: {counts}, {config.threads} threads", highlight=False)
    record.note(threads=config.threads, parameters=counts._asdict())
    system = build_system(settings, pools.meta_train)
    with record.timed("training_seconds"):
        trunk = train_embedding(record, settings, config.embedding, system.network, pools, console)
        state = _hyper_train(config, system, trunk, pools, record, console)
    save_model(record, state)
    lives = {
        kind: hold_out(config.life, pools, kind, num_outputs=config.network.num_outputs, seed=config.seed)
        for kind in KINDS
    }
    few = {
        kind: hold_out(
            replace(config.life, num_tasks=config.few_tasks),
            pools,
            kind,
            num_outputs=config.network.num_outputs,
            seed=config.seed,
        )
        for kind in KINDS
    }
    _deploy_hyper_trained(config, system, state, lives, record)
    _deploy_hyper_trained(config, system, state, few, record)
    _deploy_controls(config, system, trunk, lives, record)
    if config.with_prototypes:
        _meta_train_prototypes(config, pools, [lives, few], record, console)
    if config.baseline_lives:
        _deploy_baselines(config, pools, record, console)


def _hyper_train(
    config: Config, system: System, trunk: Params, pools: Pools, record: RunRecord, console: Console
) -> TrainingState:
    """Hyper-trains all that is innate, or all but a trunk that has been trained before; returns the whole network's state."""
    settings = config.settings
    if trunk:
        system = build_system(settings, pools.meta_train, trunk=trunk)
    state = train(
        record,
        "hyper-trained",
        settings,
        system,
        console,
        look=scores_by_kind(settings, system, pools),
        images_before=images_of_embedding(settings, config.embedding, pools.meta_train),
    ).state
    return state._replace(hyper=state.hyper._replace(innate={**trunk, **state.hyper.innate}))


def _deploy_hyper_trained(
    config: Config, system: System, state: TrainingState, lives: dict[str, ClassLives], record: RunRecord
) -> None:
    hyper, steps = state.hyper, config.life.steps_per_task
    counts = config.network.count(config.data)
    for kind in KINDS:
        alive = deploy(system.learner, hyper.start, hyper.innate, lives[kind], steps_per_task=steps)
        append_method(record, "dan", "DAN network, hyper-trained", "class after class", counts, kind, alive)
        mixed = joint_lives(lives[kind], seed=config.seed)
        alive = deploy(system.learner, hyper.start, hyper.innate, mixed, steps_per_task=steps)
        append_method(
            record,
            "dan_joint",
            "DAN network, hyper-trained, joint",
            "classes mixed in every batch",
            counts,
            kind,
            alive,
        )
        alive = deploy_prototypes(
            lambda images: system.learner.prepared(hyper.innate, images),
            lives[kind],
            num_labels=config.network.num_outputs,
        )
        append_method(
            record, "own_prototypes", "prototypes on the network's own features", "class means", counts, kind, alive
        )


def _deploy_controls(
    config: Config, system: System, trunk: Params, lives: dict[str, ClassLives], record: RunRecord
) -> None:
    """The network as it is drawn; and with the convolutions that were trained before, but no phenotype that was."""
    drawn, steps, counts = system.initial.hyper, config.life.steps_per_task, config.network.count(config.data)
    controls = {"untrained": ("DAN network, random", "before any training", drawn.innate)}
    if trunk:
        note = "trained convolutions, phenotypes as drawn"
        controls["embedding_alone"] = ("DAN network before lives", note, {**drawn.innate, **trunk})
    for method, (title, note, innate) in controls.items():
        for kind in baseline_kinds():
            alive = deploy(system.learner, drawn.start, innate, lives[kind], steps_per_task=steps)
            append_method(record, method, title, note, counts, kind, alive)


def _meta_train_prototypes(
    config: Config, pools: Pools, groups: list[dict[str, ClassLives]], record: RunRecord, console: Console
) -> None:
    settings = compared_settings(config.settings, config.embedding, pools.meta_train)
    features, _, size = train_prototypes(record, settings, pools, console)
    for lives, kind in [(lives, kind) for lives in groups for kind in KINDS]:
        alive = deploy_prototypes(features, lives[kind], num_labels=config.network.num_outputs)
        append_method(
            record,
            "prototypes",
            "prototypes, meta-trained",
            f"an embedding of {size:,} parameters, class means",
            None,
            kind,
            alive,
        )


def _deploy_baselines(config: Config, pools: Pools, record: RunRecord, console: Console) -> None:
    settings = config.settings
    life = replace(config.life, num_lives=config.baseline_lives)
    size = num_plastic(settings)
    methods = baselines(steps_per_task=config.baseline_steps, ewc_strength=config.ewc_strength, seed=config.seed)
    with reporting(console, "baselines", len(methods), "methods") as report:
        for done, (name, baseline) in enumerate(methods.items(), start=1):
            chosen = tuned(settings, pools, baseline, config.baseline_lrs)
            note = f"{baseline.note}; Adam {chosen.lr:g}"
            for kind in baseline_kinds():
                lives = hold_out(life, pools, kind, num_outputs=config.network.num_outputs, seed=config.seed)
                alive = live_baseline(settings, baseline, chosen.lr, lives)
                facts: dict[str, Any] = {
                    "num_parameters": size,
                    "trials": {f"{k:g}": v for k, v in chosen.trials.items()},
                }
                append_method(record, name, baseline.title, note, None, kind, alive, **facts)
            report(done, baseline.title)
