"""Class-incremental learning: a population learns to learn classes one after another, without replay.

Claim (dissertation, section 6.4.1, figure 6.3): deployed with its phenotypes fixed, a network of Deep Artificial Neurons learns
ten classes it has never seen, each from five images met once, by plain backpropagation on its synapses, and retains them.

The page `docs/experiments/class-incremental.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated

from rich.console import Console

from hyperlearning.core.errors import RunError
from hyperlearning.core.expect import Amount, AtLeast, Count, Distinct, Rate, Seed, Some, check_ranges
from hyperlearning.core.params import Params
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.evaluation.accuracy import LifeAccuracy
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, over_runs_in, page_of
from hyperlearning.experiments.images.entering import lived, recorded
from hyperlearning.experiments.images.verbs import deploying_classifier, evaluating
from hyperlearning.systems.images.build import build_system, check_settings
from hyperlearning.systems.images.closed_form import record_closed_form
from hyperlearning.systems.images.embedding import (
    compared_settings,
    images_of_embedding,
    train_embedding,
    train_prototypes,
)
from hyperlearning.systems.images.lines import ClassMethod, HeldOut, record_life, record_lives
from hyperlearning.systems.images.lives import hold_out, mixed
from hyperlearning.systems.images.methods import (
    PLAIN_SPLITS,
    Newborn,
    PlainMethod,
    best_rate,
    drawn,
    newborn,
    num_plastic,
    plain_methods,
    prototype_method,
)
from hyperlearning.systems.images.pools import SPLITS, Pools, Transfer, load_pools, load_transfer
from hyperlearning.systems.images.recognition import RecognitionLine, recognition_line
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
from hyperlearning.systems.images.trained import TrainedClassifier, open_classifier
from hyperlearning.systems.images.training import images_per_epoch, look_at_lives, train
from hyperlearning.systems.system import Method


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
    transfer: Annotated[tuple[Transfer, ...], Distinct()] = ()
    """Data sets far from what it was trained on, whose ten classes it is deployed on too."""
    few_tasks: Count = 3
    """Classes of the shorter lives that the network is deployed on too."""
    with_prototypes: bool = True
    """Whether an embedding of as many parameters is meta-trained for the prototypes that the network is compared with."""
    baseline_lives: Amount = 20
    """Lives of the baselines without hyper-training; 0 for none."""
    baseline_steps: Count = 10
    """Their updates on each class."""
    baseline_lrs: Annotated[tuple[Rate, ...], Some(distinct=True)] = (0.001, 0.003)
    """Rates of their Adam to choose from, on lives of meta-train classes."""
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
        if self.few_tasks > self.life.num_tasks:
            raise ValueError(
                f"Expected `few_tasks` to be from 1 to `num_tasks` ({self.life.num_tasks}), but got {self.few_tasks}."
            )
        if self.baseline_lives == 1:
            raise ValueError("Expected `baseline_lives` to be 0 or at least 2, but got 1.")

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
_FAR: tuple[Transfer, ...] = ("fashion_mnist", "kmnist")

PRESETS: dict[str, Config] = {
    # A first picture within three minutes: a shorter training, and beside the network only class means of its own features, the
    # strongest baseline that costs nothing. One thread: where other work runs, two wait for each other and are many times slower.
    "quick": replace(
        _LAPTOP,
        life=LifeSettings(num_lives=50),
        training=replace(_LAPTOP.training, num_epochs=20),
        embedding=EmbeddingSettings(embedding_epochs=300),
        with_prototypes=False,
        baseline_lives=0,
        threads=1,
    ),
    "laptop": replace(_LAPTOP, transfer=_FAR),
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
        transfer=_FAR,
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
    for name in config.transfer:
        load_transfer(name, config.data)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains, or goes on doing so, then deploys every method on the same held-out lives."""
    settings, pools = config.settings, load_pools(config.data)
    counts = settings.network.count(settings.data)
    console.print(f"network: {counts}, {config.threads} threads", highlight=False)
    record.note(threads=config.threads, parameters=counts._asdict())
    with record.timed("training_seconds"):
        trunk, born = _hyper_train(config, pools, record, console)
    save_model(record, born.innate, born.start)
    lives, few = (_held_out(config, pools, num_tasks) for num_tasks in (config.life.num_tasks, config.few_tasks))
    far = _held_out_far(config, pools)
    record_lives(record, _hyper_trained(config, born), [*lives, *few, *far])
    record_closed_form(record, born.features, settings, pools, [*lives[1:], *far])
    for method in _before_lives(config, trunk):
        record_lives(record, [method], lives[1:])
    if config.with_prototypes:
        own = compared_settings(settings, config.embedding, pools.meta_train)
        embedding = train_prototypes(record, own, pools, console)
        record_lives(record, [prototype_method(embedding, num_labels=config.network.num_outputs)], [*lives, *few])
    if config.baseline_lives:
        _record_plain_methods(config, pools, record, console)
    for split, (_, met) in zip(SPLITS[1:], lives[1:], strict=True):
        seen = partial(recognition_line, born, split, met, steps_per_task=config.life.steps_per_task)
        record.once(RecognitionLine, {"split": split}, seen)


def _hyper_train(config: Config, pools: Pools, record: RunRecord, console: Console) -> tuple[Params, Newborn]:
    """Trains the trunk alone, if that is asked for, and hyper-trains all else; returns the trunk and the whole network."""
    settings = config.settings
    network = settings.network.build(settings.data, settings.seed)
    trunk = train_embedding(record, settings, config.embedding, network, pools, console)
    system = build_system(settings, pools.meta_train, trunk=trunk or None)
    hyper = train(
        record,
        "hyper-trained",
        settings,
        system.job,
        console,
        look=look_at_lives(settings, system.learner, pools),
        images_per_epoch=images_per_epoch(settings),
        images_before=images_of_embedding(settings, config.embedding, pools.meta_train),
    ).state.hyper
    return trunk, newborn(settings, hyper.start, {**trunk, **hyper.innate})


def _held_out(config: Config, pools: Pools, num_tasks: int, num_lives: int | None = None) -> list[HeldOut]:
    life = replace(config.life, num_tasks=num_tasks, num_lives=num_lives or config.life.num_lives)
    draw = partial(hold_out, life, pools, num_outputs=config.network.num_outputs, seed=config.seed)
    return [HeldOut(split, draw(split)) for split in SPLITS]


def _held_out_far(config: Config, pools: Pools) -> list[HeldOut]:
    """Lives on the ten classes, in order, of data sets that nothing was trained on."""
    life = replace(config.life, num_tasks=min(config.life.num_tasks, 10))
    draw = partial(hold_out, life, num_outputs=config.network.num_outputs, seed=config.seed)
    far = {name: pools._replace(meta_eval=load_transfer(name, config.data)) for name in config.transfer}
    return [
        HeldOut(name, draw(pools=pool, split="meta_eval", purpose=f"held-out {name}")) for name, pool in far.items()
    ]


def _hyper_trained(config: Config, born: Newborn) -> list[ClassMethod]:
    """The network, class after class and with classes mixed; and class means of its own features."""
    facts = {"parameters": config.network.count(config.data)}
    live = partial(born.live, steps_per_task=config.life.steps_per_task)
    means = partial(born.live_with_means, num_labels=config.network.num_outputs)
    return [
        Method("dan", "DAN network, hyper-trained", "class after class", live, facts),
        Method(
            "dan_joint",
            "DAN network, hyper-trained, joint",
            "classes mixed in every batch",
            lambda lives: live(mixed(lives, seed=config.seed)),
            facts,
        ),
        Method("own_prototypes", "prototypes on the network's own features", "class means", means, facts),
    ]


def _before_lives(config: Config, trunk: Params) -> list[ClassMethod]:
    """The network as it is drawn; and with the convolutions that were trained before, but no phenotype that was."""
    settings, steps = config.settings, config.life.steps_per_task
    facts = {"parameters": settings.network.count(settings.data)}
    live = partial(drawn(settings).live, steps_per_task=steps)
    methods = [Method("untrained", "DAN network, random", "before any training", live, facts)]
    if trunk:
        live = partial(drawn(settings, trunk).live, steps_per_task=steps)
        note = "trained convolutions, phenotypes as drawn"
        methods.append(Method("embedding_alone", "DAN network before lives", note, live, facts))
    return methods


def _record_plain_methods(config: Config, pools: Pools, record: RunRecord, console: Console) -> None:
    """Lets the network without hyper-training live fewer of the lives, at rates chosen on lives of their own."""
    methods = plain_methods(config.settings, steps_per_task=config.baseline_steps, ewc_strength=config.ewc_strength)
    held_out = _held_out(config, pools, config.life.num_tasks, config.baseline_lives)[-len(PLAIN_SPLITS) :]
    with reporting(console, "baselines", len(methods), "methods") as report:
        for done, method in enumerate(methods.values(), start=1):
            at_its_best = cache(partial(_at_its_best, config, pools, method))
            for lives in held_out:
                record_life(record, method.name, lives, at_its_best)
            report(done, method.title)


def _at_its_best(config: Config, pools: Pools, method: PlainMethod[LifeAccuracy]) -> ClassMethod:
    lr, trials = best_rate(config.settings, pools, method, config.baseline_lrs)
    return method.at(lr, num_parameters=num_plastic(config.settings), trials=trials)


def load(record: RunRecord) -> TrainedClassifier:
    """Opens what a run has hyper-trained."""
    return open_classifier(record, record.settings(Config).settings)


def load_classifier(path: str | Path) -> TrainedClassifier:
    """Loads what a run of class-incremental learning has hyper-trained.

    Args:
        path: The run's directory.

    Raises:
        RunError: If there is no such run, it is of another experiment, or has not finished hyper-training.
        FileError: If its model file was altered.
    """
    record = RunRecord(path)
    if record.experiment != "class-incremental":
        raise RunError(f"Expected a run of class-incremental, but {record.path} is of {record.experiment}.")
    return load(record)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every method on the run's own lives, or the network on further ones."""
    if further is not None:
        return lived(record, further, lambda record: {"dan": load(record)})
    return recorded(record, enters=lambda name: name == "dan")


EXPERIMENT = Experiment(
    claim="A DAN network learns classes of images one after another, five images each, and keeps them.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": evaluating(lambda record: {"": load(record)}), "deploy": deploying_classifier(load)},
    enter=enter,
    load=load,
    over_runs=over_runs_in(f"{__name__}_seeds"),
)
