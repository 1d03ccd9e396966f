"""Unsupervised class-incremental learning: an autoencoder meets digits one after another and keeps reconstructing them all.

Claim (paper, section 6.2, figure 2; dissertation, section 6.4.2, figure 6.4): hyper-trained on sequences of Omniglot classes
and deployed on MNIST, 5 instances a digit and 60 updates each, an autoencoder of Deep Artificial Neurons remembers all digits
without replay, and gets better at digits that it has not met yet.

The page `docs/experiments/unsupervised-class-incremental.md` lists every deviation from the sources.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from hyperlearning.core.image_losses import pixel_error, summed_pixel_error
from hyperlearning.core.params import partition
from hyperlearning.core.rounding import rounded
from hyperlearning.core.seeding import generator
from hyperlearning.engine.hyper_training import TrainingState, begin
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.dan.image_networks import dan_autoencoder
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters, without_allocating
from hyperlearning.networks.trunk import TrunkNetwork
from hyperlearning.streams.class_incremental import ClassLives, as_reconstruction, lives_as_reconstruction
from hyperlearning.systems.images.build import Losses, System, assemble, check_settings, drawing
from hyperlearning.systems.images.lives import KINDS, hold_out
from hyperlearning.systems.images.pools import Pools, load_pools
from hyperlearning.systems.images.reconstruction import (
    Errors,
    course_of,
    deploy,
    frozen,
    mean_image,
    pack_images,
    principal_components,
    scores_of,
    watch,
)
from hyperlearning.systems.images.results import joint_lives
from hyperlearning.systems.images.settings import (
    PAPER_TRAINING,
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.training import train

NAME = "unsupervised-class-incremental"

_HYPER_SCALE = 100.0
"""Factor on the hyper-loss, so that Adam's and the clipping's constants are small beside its gradients."""
_NO_RATE = 1e-12
"""Rate of synapses that are to stay as they are."""
_TUNING_LIVES = 4
_VALIDATION_LIVES = 8
_FRAMES_PER_TASK = 3


@dataclass(frozen=True, kw_only=True)
class DeploymentSettings:
    """How the autoencoders are deployed."""

    deployment_steps: int = 60
    """Updates on each class when deployed (papers: 60)."""
    deployment_lrs: tuple[float, ...] = (0.05, 0.15, 1.0)
    """Rates to choose from for so many updates, as shares of the rate of hyper-training, on lives of meta-train classes."""
    components: int = 32
    """Principal components of the reference that keeps all images."""
    finetune_lives: int = 6
    """Lives of the network without hyper-training, all of it plastic; 0 for none."""
    finetune_lrs: tuple[float, ...] = (0.0003, 0.001)
    """Rates of its Adam to choose from, on lives of meta-train classes."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if min(self.deployment_steps, self.components) < 1 or self.finetune_lives in (-1, 1):
            raise ValueError(
                "Expected positive `deployment_steps` and `components` and 0 or at least 2 of `finetune_lives`, but got "
                f"{self.deployment_steps}, {self.components} and {self.finetune_lives}."
            )
        if min(self.deployment_lrs, default=0) <= 0 or min(self.finetune_lrs, default=0) <= 0:
            raise ValueError(
                "Expected some `deployment_lrs` and `finetune_lrs`, all positive, "
                f"but got {self.deployment_lrs} and {self.finetune_lrs}."
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Reconstruct classes met one after another, without forgetting and without labels."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(
        default_factory=lambda: NetworkSettings(
            maps=(16, 32, 32),
            hidden_sizes=(32,),
            num_channels=4,
            phenotype_units=8,
            synaptic_scaling=0.0,
            zero_start=False,
        )
    )
    """Here `hidden_sizes` are encoder, code and decoder (papers: 120 100 120), and `num_outputs` only limits classes."""
    life: LifeSettings = field(default_factory=lambda: LifeSettings(steps_per_task=3, num_lives=16))
    """In hyper-training, `steps_per_task` updates a class; deployed, `deployment_steps`."""
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            num_epochs=180,
            train_tasks=10,
            train_classes=15,
            hyper_batch_size=40,
            hyper_mix=(0.4, 0.4, 0.2),
            inner_lr=0.03,
            temperature=1.0,
        )
    )
    deployment: DeploymentSettings = field(default_factory=DeploymentSettings)
    frozen_epochs: int = 1000
    """Generations in which the autoencoder is first trained as usual, without lives; 0 for none (papers)."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        """Checks sizes and what an autoencoder has no use for."""
        if self.seed < 0 or self.threads < 1 or self.frozen_epochs < 0:
            raise ValueError(
                "Expected non-negative `seed` and `frozen_epochs` and positive `threads`, "
                f"but got {self.seed}, {self.frozen_epochs} and {self.threads}."
            )
        network = self.network
        if network.synaptic_scaling or network.zero_start or network.warp or self.training.temperature != 1:
            raise ValueError(
                "Expected an autoencoder without `synaptic_scaling`, `zero_start`, `warp` and `temperature`, but got "
                f"{network.synaptic_scaling}, {network.zero_start}, {network.warp} and {self.training.temperature}."
            )
        if len(network.hidden_sizes) % 2 == 0:
            raise ValueError(
                f"Expected an odd number of `hidden_sizes`, the code in the middle, but got {network.hidden_sizes}."
            )

    @property
    def settings(self) -> ImageSettings:
        """What the hyper-trained system follows from."""
        return ImageSettings(
            data=self.data, network=self.network, life=self.life, training=self.training, seed=self.seed
        )

    @property
    def frozen_settings(self) -> ImageSettings:
        """What the autoencoder without lives follows from: one update that changes nothing, an outer one on held-out classes."""
        training = replace(
            self.training,
            num_epochs=max(1, self.frozen_epochs),
            train_tasks=1,
            train_classes=max(2, self.training.train_classes),
            hyper_mix=(0.0, 0.0, 1.0),
            through="life",
            inner_optimizer="sgd",
            inner_lr=_NO_RATE,
        )
        return replace(self.settings, life=replace(self.life, steps_per_task=1), training=training)


_LAPTOP = Config()

PRESETS: dict[str, Config] = {
    "laptop": _LAPTOP,
    "smoke": Config(
        network=NetworkSettings(
            maps=(4, 8), hidden_sizes=(6,), num_channels=2, phenotype_units=4, synaptic_scaling=0.0, zero_start=False
        ),
        life=LifeSettings(num_tasks=4, num_instances=3, steps_per_task=2, num_held_out=3, num_lives=3),
        training=TrainingSettings(
            population=2,
            num_epochs=3,
            train_tasks=4,
            train_classes=6,
            train_held_out=2,
            hyper_batch_size=12,
            hyper_mix=(0.4, 0.4, 0.2),
            inner_lr=0.03,
            temperature=1.0,
        ),
        deployment=DeploymentSettings(
            deployment_steps=4, deployment_lrs=(0.5,), components=6, finetune_lives=2, finetune_lrs=(0.001,)
        ),
        frozen_epochs=4,
        threads=1,
    ),
    # Paper, section 3.2 and algorithm 1.
    "paper": Config(
        network=NetworkSettings(
            maps=(16, 16),
            hidden_sizes=(120, 100, 120),
            num_channels=100,
            phenotype="conv",
            phenotype_units=30,
            synaptic_scaling=0.0,
            zero_start=False,
        ),
        life=LifeSettings(steps_per_task=60),
        training=replace(PAPER_TRAINING, num_epochs=300, train_tasks=10, train_classes=15, train_held_out=5),
        deployment=DeploymentSettings(deployment_lrs=(1.0,), components=100),
        frozen_epochs=0,
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    check_settings(config.settings, build=lambda: build(config.settings))


def build(settings: ImageSettings) -> TrunkNetwork:
    """Builds the autoencoder."""
    network, source = settings.network, generator(settings.seed, "network")
    return dan_autoencoder(
        network.trunk(settings.data, source),
        hidden_sizes=network.hidden_sizes,
        num_channels=network.num_channels,
        phenotype=network.phenotype_factory(),
        generator=source,
    )


def build_system(settings: ImageSettings, pools: Pools) -> System:
    """Builds the autoencoder and its hyper-training: the task loss is of whole images, the hyper-loss of pixels."""
    losses = Losses(summed_pixel_error, _hyper_loss)
    return assemble(settings, build(settings), losses, drawing(settings, pools.meta_train, transform=as_reconstruction))


def _hyper_loss(logits: Tensor, images: Tensor) -> Tensor:
    return _HYPER_SCALE * pixel_error(logits, images)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains the frozen autoencoder, hyper-trains from there, then deploys every method on the same held-out lives."""
    torch.set_num_threads(config.threads)
    settings = config.settings
    pools = load_pools(config.data)
    counts = _count(settings)
    console.print(f"network: {counts}, {config.threads} threads", highlight=False)
    record.note(threads=config.threads, parameters=counts._asdict())
    with record.timed("training_seconds"):
        first = _train_frozen(config, pools, record, console)
        system = build_system(settings, pools)
        if first is not None:
            source = generator(config.seed, "lives")
            system = system._replace(initial=begin(first.hyper.innate, first.hyper.start, source), generator=source)
        trained = train(
            record, "hyper-trained", settings, system, console, look=_look(settings, system, pools, settings.life)
        ).state
    save_model(record, trained)
    lives = {kind: _lives(config.life, pools, kind, config) for kind in KINDS}
    share, trials = _tuned(config, system.learner, trained, pools)
    learner = system.learner._replace(inner_lr=share * config.training.inner_lr)
    record.append("deployment", share=share, inner_lr=learner.inner_lr, trials={f"{k:g}": v for k, v in trials.items()})
    _deploy_all(config, learner, trained, first, lives, record, console)
    if config.deployment.finetune_lives:
        _deploy_finetuned(config, pools, record, console)
    _draw_pictures(config, learner, trained, lives["meta_eval"], record)


def _train_frozen(config: Config, pools: Pools, record: RunRecord, console: Console) -> TrainingState | None:
    if not config.frozen_epochs:
        return None
    settings = config.frozen_settings
    system = build_system(settings, pools)
    look = _look(settings, system, pools, config.life)
    return train(record, "without lives", settings, system, console, look=look, method="frozen").state


def _look(
    settings: ImageSettings, system: System, pools: Pools, life: LifeSettings
) -> Callable[[TrainingState], dict[str, Any]]:
    """Makes the look of hyper-training: memory and generalization at the end of a life as long as in hyper-training."""
    few = replace(life, num_lives=min(_VALIDATION_LIVES, life.num_lives))
    lives = {kind: _hold_out(few, pools, kind, settings, purpose="validation") for kind in KINDS}
    live_it = frozen if settings.training.inner_lr == _NO_RATE else partial(deploy, steps_per_task=life.steps_per_task)

    def look(state: TrainingState) -> dict[str, Any]:
        seen = {}
        for kind in KINDS:
            scores = scores_of(live_it(system.learner, state.hyper.start, state.hyper.innate, lives[kind]))
            points = {name: estimate(scores[name]) for name in ("memory", "generalization")}
            seen[kind] = {name: [round(point.mean, 6), round(point.ci95, 6)] for name, point in points.items()}
        return seen

    return look


def _lives(life: LifeSettings, pools: Pools, kind: str, config: Config, *, purpose: str = "held-out") -> ClassLives:
    return _hold_out(life, pools, kind, config.settings, purpose=purpose)


def _hold_out(life: LifeSettings, pools: Pools, kind: str, settings: ImageSettings, *, purpose: str) -> ClassLives:
    drawn = hold_out(life, pools, kind, num_outputs=settings.network.num_outputs, seed=settings.seed, purpose=purpose)
    return lives_as_reconstruction(drawn)


def _tuned(config: Config, learner: Learner, state: TrainingState, pools: Pools) -> tuple[float, dict[float, float]]:
    """Chooses the share of the rate that generalizes best over so many updates, on lives drawn for this alone."""
    shares = config.deployment.deployment_lrs
    lives = _lives(replace(config.life, num_lives=_TUNING_LIVES), pools, "meta_train", config, purpose="tuning")
    trials = {}
    for share in shares if len(shares) > 1 else ():
        errors = deploy(
            learner._replace(inner_lr=share * learner.inner_lr),
            state.hyper.start,
            state.hyper.innate,
            lives,
            steps_per_task=config.deployment.deployment_steps,
        )
        trials[share] = float(errors.generalization[:, -1].mean())
    return min(trials, key=lambda share: trials[share], default=next(iter(shares))), trials


def _deploy_all(
    config: Config,
    learner: Learner,
    state: TrainingState,
    first: TrainingState | None,
    lives: dict[str, ClassLives],
    record: RunRecord,
    console: Console,
) -> None:
    hyper, steps = state.hyper, config.deployment.deployment_steps
    counts, short = _count(config.settings), config.life.steps_per_task
    as_trained = learner._replace(inner_lr=config.training.inner_lr)
    components = config.deployment.components
    ways: dict[str, tuple[str, str, Callable[[ClassLives], Errors]]] = {
        "dan": (
            "DAN autoencoder, hyper-trained",
            f"class after class, {steps} updates each",
            lambda kind: deploy(learner, hyper.start, hyper.innate, kind, steps_per_task=steps),
        ),
        "dan_short": (
            f"the same, {short} updates a class",
            "as many, at the same rate, as in hyper-training",
            lambda kind: deploy(as_trained, hyper.start, hyper.innate, kind, steps_per_task=short),
        ),
        "dan_joint": (
            "the same, joint",
            "classes mixed in every batch",
            lambda kind: deploy(
                learner,
                hyper.start,
                hyper.innate,
                lives_as_reconstruction(joint_lives(kind._replace(targets=_labels(kind)), seed=config.seed)),
                steps_per_task=steps,
            ),
        ),
        "dan_frozen": (
            "the same, no life at all",
            "as it is at birth",
            lambda kind: frozen(learner, hyper.start, hyper.innate, kind),
        ),
        "mean_image": ("mean image", "mean of all images met so far", mean_image),
        "components": (
            f"{components} principal components",
            "of all images met so far, kept without forgetting",
            lambda kind: principal_components(kind, components),
        ),
    }
    if first is not None:
        ways["frozen"] = (
            "plain autoencoder, frozen",
            "trained on the same classes without lives; never learns again",
            lambda kind: frozen(learner, first.hyper.start, first.hyper.innate, kind),
        )
        ways["frozen_finetuned"] = (
            "plain autoencoder, lives",
            f"the same, its synapses learning as the hyper-trained one's, {steps} updates a class",
            lambda kind: deploy(learner, first.hyper.start, first.hyper.innate, kind, steps_per_task=steps),
        )
    with reporting(console, "deployment", len(ways), "methods") as report:
        for done, (name, (title, note, way)) in enumerate(ways.items(), start=1):
            for kind in KINDS[1:]:
                own = None if name in ("mean_image", "components") else counts
                _append(record, name, title, note, own, kind, partial(way, lives[kind]))
            report(done, title)


def _labels(lives: ClassLives) -> Tensor:
    """Labels in place of images as targets, for what only shuffles."""
    return lives.labels.T[..., None].expand(-1, -1, lives.inputs.shape[2])


def _deploy_finetuned(config: Config, pools: Pools, record: RunRecord, console: Console) -> None:
    """The same network without hyper-training, every number of it plastic, class after class and joint."""
    deployment, settings = config.deployment, config.settings
    plastic, _ = partition(build(settings), lambda name: False)
    learner = Learner(population_forward(build(settings), plastic), summed_pixel_error, optimizer("adam"), 0.0)
    tuning = _lives(replace(config.life, num_lives=_TUNING_LIVES), pools, "meta_train", config, purpose="tuning")
    life = replace(config.life, num_lives=deployment.finetune_lives)

    def live_with(lr: float, lives: ClassLives, *, mixed: bool) -> Errors:
        if mixed:
            lives = lives_as_reconstruction(joint_lives(lives._replace(targets=_labels(lives)), seed=config.seed))
        return deploy(learner._replace(inner_lr=lr), plastic, {}, lives, steps_per_task=deployment.deployment_steps)

    ways = {
        "finetune": ("finetuned", "the same network without hyper-training, all of it plastic", False),
        "joint": ("joint", "the same, classes mixed in every batch", True),
    }
    with reporting(console, "without hyper-training", len(ways), "methods") as report:
        for done, (name, (title, note, mixed)) in enumerate(ways.items(), start=1):
            lr, trials = _best_rate(deployment.finetune_lrs, partial(live_with, lives=tuning, mixed=mixed))
            lives = _lives(life, pools, "meta_eval", config)
            note = f"{note}; Adam {lr:g}"
            way = partial(live_with, lr, lives, mixed=mixed)
            _append(record, name, title, note, None, "meta_eval", way, trials=trials)
            report(done, title)


def _best_rate(lrs: Sequence[float], live_with: Callable[[float], Errors]) -> tuple[float, dict[str, float]]:
    trials = {lr: float(live_with(lr).generalization[:, -1].mean()) for lr in (lrs if len(lrs) > 1 else ())}
    return min(trials, key=lambda lr: trials[lr], default=lrs[0]), {f"{lr:g}": error for lr, error in trials.items()}


def _append(
    record: RunRecord,
    method: str,
    title: str,
    note: str,
    counts: ParameterCounts | None,
    kind: str,
    way: Callable[[], Errors],
    **facts: Any,
) -> None:
    """Appends a line `method`, unless it is there."""
    if any((line["method"], line["split"]) == (method, kind) for line in record.lines("method")):
        return
    errors = way()
    record.append(
        "method",
        method=method,
        title=title,
        note=note,
        parameters=counts._asdict() if counts else None,
        split=kind,
        scores=scores_of(errors),
        course=course_of(errors),
        memory_matrix=rounded(errors.memory.mean(0), 6),
        generalization_matrix=rounded(errors.generalization.mean(0), 6),
        generalization_ci95=_widths(errors.generalization),
        **facts,
    )


def _widths(errors: Tensor) -> list[list[float]]:
    return [
        [round(estimate(errors[:, stage, task].double().numpy()).ci95, 6) for task in range(errors.shape[2])]
        for stage in range(errors.shape[1])
    ]


def _draw_pictures(
    config: Config, learner: Learner, state: TrainingState, lives: ClassLives, record: RunRecord
) -> None:
    """Keeps what one life reconstructs: at the three moments of the papers' figure, and all along."""
    if record.lines("pictures"):
        return
    steps, num_tasks = config.deployment.deployment_steps, config.life.num_tasks
    moments = [1, (num_tasks + 1) // 2 * steps, num_tasks * steps]
    every = max(1, steps // _FRAMES_PER_TASK)
    looks = sorted({0, *moments, *range(every, num_tasks * steps + 1, every)})
    # Of each class one image learned, and one that never is.
    shown = [0, config.life.num_instances]
    seen = {
        num_updates: images[:, shown]
        for num_updates, images in watch(
            learner, state.hyper.start, state.hyper.innate, lives, steps_per_task=steps, looks=looks
        )
    }
    originals = torch.stack([lives.learned[0, :, 0], lives.held_out[0, :, 0]], dim=1).flatten(2)
    record.append(
        "pictures",
        side=config.data.side,
        steps_per_task=steps,
        moments=moments,
        looks=looks,
        originals=pack_images(originals),
        reconstructions=pack_images(torch.stack([seen[look] for look in looks])),
    )


def _count(settings: ImageSettings) -> ParameterCounts:
    network = without_allocating(lambda: build(settings))
    return count_parameters(network, network.is_innate)
