"""Continual versus iid: a fixed budget of updates, spent class after class or on replay of everything.

Claim (dissertation, section 6.4.5, figures 6.10 and 6.11): with as many updates, a hyper-trained network that meets classes one
after another generalizes better than the same network from a random start that samples all their images without order; and
there are lives on which both memory and generalization are 100 %.

The page `docs/experiments/continual-versus-iid.md` lists every deviation from the source.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, ClassVar

from rich.console import Console

from hyperlearning.core.expect import Amount, AtLeast, Count, Rate, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.evaluation.accuracy import LifeAccuracy
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.images.entering import lived, recorded
from hyperlearning.experiments.images.verbs import deploying_classifier, evaluating
from hyperlearning.systems.images.build import build_system, check_settings
from hyperlearning.systems.images.embedding import train_prototypes
from hyperlearning.systems.images.lines import ClassMethod, HeldOut, record_lives
from hyperlearning.systems.images.lives import hold_out, some_lives
from hyperlearning.systems.images.methods import (
    PLAIN_SPLITS,
    Newborn,
    PlainMethod,
    best_rate,
    num_plastic,
    plain_methods,
    prototype_method,
)
from hyperlearning.systems.images.pools import SPLITS, Pools, load_pools
from hyperlearning.systems.images.settings import (
    PAPER_NETWORK,
    PAPER_TRAINING,
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.trained import TrainedClassifier, open_classifier
from hyperlearning.systems.images.training import images_per_epoch, look_at_lives, train
from hyperlearning.systems.system import Method

_HOW = {"joint": "iid", "finetune": "finetuned", "ewc": "EWC"}
"""Ordinary networks that the budget is given to, and what figures call them."""


@dataclass(frozen=True, kw_only=True)
class TuningLine:
    """How the rate of an ordinary network was chosen.

    Attributes:
        method: The method.
        lr: The rate.
        trials: Generalization by what was tried.
        lives: Lives of meta-train classes that it is over.
    """

    kind: ClassVar[str] = "tuning"

    method: str
    lr: float
    trials: dict[str, float]
    lives: int


@dataclass(frozen=True, kw_only=True)
class Config:
    """Spend a fixed budget of updates on classes one after another, or on all of them mixed."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    num_updates: Count = 500
    """Updates of a life, of every method; as many on each class as go evenly (paper: 500)."""
    class_counts: Annotated[tuple[Count, ...], Some(distinct=True)] = (10, 3)
    """Numbers of classes of the lives; the first is `num_tasks`, on which baselines choose their rate."""
    with_prototypes: bool = True
    """Whether an embedding of as many parameters is meta-trained for prototypes."""
    baseline_lives: Amount = 10
    """Lives of the baselines, all of whose parameters are plastic: the first of the others' lives; 0 for none."""
    tuning_lives: Annotated[int, AtLeast(2)] = 3
    """Lives of meta-train classes on which they choose their rate."""
    baseline_lrs: Annotated[tuple[Rate, ...], Some(distinct=True)] = (0.001, 0.003)
    """Rates of their Adam to choose from."""
    ewc_strength: Annotated[float, AtLeast(0)] = 1000.0
    """Strength of elastic weight consolidation."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.baseline_lives and not 2 <= self.baseline_lives <= self.life.num_lives:
            raise ValueError(
                f"Expected `baseline_lives` to be 0 or from 2 to `num_lives` ({self.life.num_lives}), "
                f"but got {self.baseline_lives}."
            )
        if self.class_counts[0] != self.life.num_tasks:
            raise ValueError(
                f"Expected `class_counts` that begin with `num_tasks` ({self.life.num_tasks}), "
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
    settings, pools = config.settings, load_pools(config.data)
    counts = settings.network.count(settings.data)
    console.print(f"network: {counts}, {config.threads} threads", highlight=False)
    record.note(threads=config.threads, parameters=counts._asdict())
    system = build_system(settings, pools.meta_train)
    look, per_epoch = look_at_lives(settings, system.learner, pools), images_per_epoch(settings)
    with record.timed("training_seconds"):
        trained = train(record, "hyper-trained", settings, system.job, console, look=look, images_per_epoch=per_epoch)
    hyper = trained.state.hyper
    save_model(record, hyper.innate, hyper.start)
    held_out = list(_held_out(config, pools))
    born = Newborn(system.learner, hyper.start, hyper.innate)
    with reporting(console, "hyper-trained network", len(held_out), "sets of lives") as report:
        for done, lives in enumerate(held_out, start=1):
            record_lives(record, _hyper_trained(config, born, lives), [lives])
            report(done, lives.split)
    if config.with_prototypes:
        embedding = train_prototypes(record, settings, pools, console)
        note, num_labels = "class means: no updates", config.network.num_outputs
        record_lives(record, [prototype_method(embedding, num_labels=num_labels, note=note, updates=0)], held_out)
    if config.baseline_lives:
        _record_plain_methods(config, pools, held_out, record, console)


def split_name(split: str, num_classes: int) -> str:
    """Names the lives of a split with so many classes, for the record."""
    return f"{split}/{num_classes}"


def _held_out(config: Config, pools: Pools) -> Iterator[HeldOut]:
    for num_classes in config.class_counts:
        life = replace(config.life, num_tasks=num_classes)
        for split in SPLITS:
            lives = hold_out(life, pools, split, num_outputs=config.network.num_outputs, seed=config.seed)
            yield HeldOut(split_name(split, num_classes), lives)


def _is_plain(lives: HeldOut) -> bool:
    """Whether ordinary networks live these lives too."""
    return lives.split.startswith(PLAIN_SPLITS)


def _hyper_trained(config: Config, born: Newborn, lives: HeldOut) -> Iterator[ClassMethod]:
    """The network with the whole budget, with as few updates as in hyper-training, and on batches of all classes."""
    steps, few, num_classes = config.steps_per_task(lives.num_tasks), config.life.steps_per_task, lives.num_tasks
    lr = config.deployed_lr(num_classes)
    patient = born._replace(learner=born.learner._replace(inner_lr=lr))
    counts = config.network.count(config.data)
    facts = {"parameters": counts, "updates": steps * num_classes}
    yield Method(
        "dan",
        "hyper-trained, continual",
        f"{steps} updates a class, one class after another; rate {lr:.3g}",
        partial(patient.live, steps_per_task=steps),
        facts,
    )
    yield Method(
        "dan_short",
        f"hyper-trained, continual, {few} updates a class",
        f"{few} updates a class as in hyper-training; the rest of the budget is not used",
        partial(born.live, steps_per_task=few),
        {"parameters": counts, "updates": few * num_classes},
    )
    if _is_plain(lives):
        yield Method(
            "dan_iid",
            "hyper-trained, iid",
            f"batches of images of all classes; rate {lr:.3g}",
            partial(patient.live_iid, steps_per_task=steps, seed=config.seed),
            facts,
        )


def _plain_method(config: Config, name: str, num_classes: int) -> PlainMethod[LifeAccuracy]:
    """An ordinary network with the budget of a life of so many classes."""
    steps = config.steps_per_task(num_classes)
    made = plain_methods(config.settings, steps_per_task=steps, ewc_strength=config.ewc_strength)
    return replace(made[name], title=f"random start, {_HOW[name]}")


def _record_plain_methods(
    config: Config, pools: Pools, held_out: list[HeldOut], record: RunRecord, console: Console
) -> None:
    """Lets ordinary networks live the first of the same lives."""
    size, num_lives = num_plastic(config.settings), slice(config.baseline_lives)
    few = [lives._replace(lives=some_lives(lives.lives, num_lives)) for lives in held_out if _is_plain(lives)]
    with reporting(console, "baselines", len(_HOW) * len(few), "sets of lives") as report:
        done = 0
        for name in _HOW:
            lr = _rate_of(config, pools, name, record)
            for lives in few:
                method = _plain_method(config, name, lives.num_tasks)
                updates = config.steps_per_task(lives.num_tasks) * lives.num_tasks
                at_its_rate = method.at(lr, num_parameters=size, updates=updates)
                record_lives(record, [at_its_rate], [lives])
                done += 1
                report(done, f"{name}, {lives.split}")


def _rate_of(config: Config, pools: Pools, name: str, record: RunRecord) -> float:
    def tuning() -> TuningLine:
        method, num_lives = _plain_method(config, name, config.life.num_tasks), config.tuning_lives
        lr, trials = best_rate(config.settings, pools, method, config.baseline_lrs, num_lives=num_lives)
        return TuningLine(method=name, lr=lr, trials=trials, lives=num_lives)

    return record.once(TuningLine, {"method": name}, tuning).lr


def load(record: RunRecord) -> TrainedClassifier:
    """Opens what a run has hyper-trained."""
    return open_classifier(record, record.settings(Config).settings)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every method on the run's own lives, or the network on further ones."""
    if further is not None:
        return lived(record, further, lambda record: {"dan_short": load(record)})
    return recorded(record, enters=lambda name: name == "dan", first_of_all=True)


EXPERIMENT = Experiment(
    claim="A fixed budget of updates: class after class, hyper-trained, or all classes mixed from a random start.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": evaluating(lambda record: {"": load(record)}), "deploy": deploying_classifier(load)},
    enter=enter,
    load=load,
)
