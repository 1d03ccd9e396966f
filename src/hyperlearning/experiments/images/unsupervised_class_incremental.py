"""Unsupervised class-incremental learning: an autoencoder meets digits one after another and keeps reconstructing them all.

Claim (paper, section 6.2, figure 2; dissertation, section 6.4.2, figure 6.4): hyper-trained on sequences of Omniglot classes
and deployed on MNIST, 5 instances a digit and 60 updates each, an autoencoder of Deep Artificial Neurons remembers all digits
without replay, and gets better at digits that it has not met yet.

The page `docs/experiments/unsupervised-class-incremental.md` lists every deviation from the sources.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, ClassVar

from rich.console import Console

from hyperlearning.core.expect import Amount, Count, Rate, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model, save_model
from hyperlearning.evaluation.reconstruction import LifeErrors
from hyperlearning.experiments.deploying_folders import Opened, deploying
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.images.entering import lived, recorded
from hyperlearning.experiments.images.verbs import evaluating, opened
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.autoencoder import (
    BornAutoencoder,
    TrainedAutoencoder,
    build_autoencoder,
    count_autoencoder,
    hold_out_images,
    hyper_train_autoencoder,
    plain_autoencoders,
    train_plainly,
)
from hyperlearning.systems.images.autoencoder_folder import AutoencoderFolder
from hyperlearning.systems.images.autoencoder_lines import AutoencoderMethod, ReconstructionLine, reconstruction_line
from hyperlearning.systems.images.autoencoder_pictures import PicturesLine, pictures_line
from hyperlearning.systems.images.build import check_settings
from hyperlearning.systems.images.lives import mixed
from hyperlearning.systems.images.methods import PLAIN_SPLITS, PlainMethod
from hyperlearning.systems.images.pools import Pools, Split, load_pools, per_split
from hyperlearning.systems.images.reconstruction import mean_image, principal_components
from hyperlearning.systems.images.settings import (
    PAPER_TRAINING,
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.system import Method

_TUNING_LIVES = 4


@dataclass(frozen=True, kw_only=True)
class DeploymentSettings:
    """How the autoencoders are deployed."""

    deployment_steps: Count = 60
    """Updates on each class when deployed (papers: 60)."""
    deployment_lrs: Annotated[tuple[Rate, ...], Some(distinct=True)] = (0.05, 0.15, 1.0)
    """Rates to choose from for so many updates, as shares of the rate of hyper-training, on lives of meta-train classes."""
    components: Count = 32
    """Principal components of the reference that keeps all images."""
    finetune_lives: Amount = 6
    """Lives of the network without hyper-training, all of it plastic; 0 for none."""
    finetune_lrs: Annotated[tuple[Rate, ...], Some(distinct=True)] = (0.0003, 0.001)
    """Rates of its Adam to choose from, on lives of meta-train classes."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.finetune_lives == 1:
            raise ValueError("Expected `finetune_lives` to be 0 or at least 2, but got 1.")


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
    frozen_epochs: Amount = 1000
    """Generations in which the autoencoder is first trained as usual, without lives; 0 for none (papers)."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
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


@dataclass(frozen=True, kw_only=True)
class DeploymentLine:
    """How the rate of deployment was chosen.

    Attributes:
        share: Of the rate of hyper-training.
        inner_lr: The rate.
        trials: Error on lives of their own, by share.
    """

    kind: ClassVar[str] = "deployment"

    share: float
    inner_lr: float
    trials: dict[str, float]


PRESETS: dict[str, Config] = {
    "laptop": Config(),
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
    check_settings(config.settings, build=lambda: build_autoencoder(config.settings))


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains the autoencoder without lives, hyper-trains from there, then deploys every method on the same held-out lives."""
    settings, pools = config.settings, load_pools(config.data)
    counts = count_autoencoder(settings)
    console.print(f"network: {counts}, {config.threads} threads", highlight=False)
    record.note(threads=config.threads, parameters=counts._asdict())
    with record.timed("training_seconds"):
        first = None
        if config.frozen_epochs:
            first = train_plainly(record, settings, config.frozen_epochs, pools, console)
        born = hyper_train_autoencoder(record, settings, pools, console, first)
    save_model(record, born.innate, born.start)
    patient = born.at(record.once(DeploymentLine, {}, partial(_deployment_line, config, born, pools)).inner_lr)
    lives = per_split(partial(hold_out_images, settings, config.life, pools), PLAIN_SPLITS)
    methods = [*_learning_methods(config, born, patient), *_references(config, patient, first)]
    with reporting(console, "deployment", len(methods), "methods") as report:
        for done, method in enumerate(methods, start=1):
            for split in lives:
                _record_life(record, method.name, split, lives[split], lambda method=method: method)
            report(done, method.title)
    if config.deployment.finetune_lives:
        _record_plain_methods(config, pools, record, console)
    steps = config.deployment.deployment_steps
    record.once(PicturesLine, {}, lambda: pictures_line(patient, lives["meta_eval"], steps_per_task=steps))


def _record_life(
    record: RunRecord, name: str, split: Split, lives: ClassLives, make: Callable[[], AutoencoderMethod]
) -> None:
    """Lets a method live and says how it went, unless the record says it; `make` may take tuning."""

    def line() -> ReconstructionLine:
        method = make()
        return reconstruction_line(method, split, method.live(lives))

    record.once(ReconstructionLine, {"method": name, "split": split}, line)


def _deployment_line(config: Config, born: BornAutoencoder, pools: Pools) -> DeploymentLine:
    """Chooses the share of the rate that generalizes best over so many updates, on lives drawn for this alone."""
    steps, inner_lr = config.deployment.deployment_steps, config.training.inner_lr

    def live(share: float, lives: ClassLives) -> LifeErrors:
        return born.at(share * inner_lr).live(lives, steps_per_task=steps)

    share, trials = _best(config.deployment.deployment_lrs, live, _tuning_lives(config, pools))
    return DeploymentLine(share=share, inner_lr=share * inner_lr, trials=trials)


def _best(
    rates: Sequence[float], live: Callable[[float, ClassLives], LifeErrors], lives: ClassLives
) -> tuple[float, dict[str, float]]:
    """The rate that generalizes best, and the error by what was tried; a single rate is taken as it is."""
    trials = {rate: float(live(rate, lives).generalization[:, -1].mean()) for rate in (rates if len(rates) > 1 else ())}
    best = min(trials, key=lambda rate: trials[rate], default=rates[0])
    return best, {f"{rate:g}": error for rate, error in trials.items()}


def _tuning_lives(config: Config, pools: Pools) -> ClassLives:
    life = replace(config.life, num_lives=_TUNING_LIVES)
    return hold_out_images(config.settings, life, pools, "meta_train", purpose="tuning")


def _learning_methods(config: Config, born: BornAutoencoder, patient: BornAutoencoder) -> list[AutoencoderMethod]:
    """The hyper-trained autoencoder: class after class, with fewer updates, with classes mixed, and without a life."""
    steps, short = config.deployment.deployment_steps, config.life.steps_per_task
    facts, live = {"parameters": count_autoencoder(config.settings)}, partial(patient.live, steps_per_task=steps)
    return [
        Method("dan", "DAN autoencoder, hyper-trained", f"class after class, {steps} updates each", live, facts),
        Method(
            "dan_short",
            f"the same, {short} updates a class",
            "as many, at the same rate, as in hyper-training",
            partial(born.live, steps_per_task=short),
            facts,
        ),
        Method(
            "dan_joint",
            "the same, joint",
            "classes mixed in every batch",
            lambda lives: live(mixed(lives, seed=config.seed)),
            facts,
        ),
        Method("dan_frozen", "the same, no life at all", "as it is at birth", patient.stay, facts),
    ]


def _references(config: Config, patient: BornAutoencoder, first: BornAutoencoder | None) -> list[AutoencoderMethod]:
    """What needs no network; and the autoencoder that was trained as usual, frozen and living."""
    components, steps = config.deployment.components, config.deployment.deployment_steps
    methods: list[AutoencoderMethod] = [
        Method("mean_image", "mean image", "mean of all images met so far", mean_image),
        Method(
            "components",
            f"{components} principal components",
            "of all images met so far, kept without forgetting",
            partial(principal_components, rank=components),
        ),
    ]
    if first is None:
        return methods
    facts = {"parameters": count_autoencoder(config.settings)}
    note = f"the same, its synapses learning as the hyper-trained one's, {steps} updates a class"
    live = partial(first._replace(learner=patient.learner).live, steps_per_task=steps)
    return [
        *methods,
        Method(
            "frozen",
            "plain autoencoder, frozen",
            "trained on the same classes without lives; never learns again",
            first.stay,
            facts,
        ),
        Method("frozen_finetuned", "plain autoencoder, lives", note, live, facts),
    ]


def _record_plain_methods(config: Config, pools: Pools, record: RunRecord, console: Console) -> None:
    """Lets the same network without hyper-training live, every number of it plastic, class after class and joint."""
    deployment, settings = config.deployment, config.settings
    methods = plain_autoencoders(settings, steps_per_task=deployment.deployment_steps)
    life = replace(config.life, num_lives=deployment.finetune_lives)
    lives = hold_out_images(settings, life, pools, "meta_eval")
    with reporting(console, "without hyper-training", len(methods), "methods") as report:
        for done, method in enumerate(methods, start=1):
            at_its_best = partial(_at_its_best, config, pools, method)
            _record_life(record, method.name, "meta_eval", lives, at_its_best)
            report(done, method.title)


def _at_its_best(config: Config, pools: Pools, method: PlainMethod[LifeErrors]) -> AutoencoderMethod:
    lr, trials = _best(config.deployment.finetune_lrs, method.live, _tuning_lives(config, pools))
    return method.at(lr, trials=trials)


def load(record: RunRecord) -> TrainedAutoencoder:
    """Opens what a run has hyper-trained, at the rate that it was deployed with."""
    config, (innate, start) = record.settings(Config), load_model(record)
    inner_lr, steps = record.last(DeploymentLine).inner_lr, config.deployment.deployment_steps
    return TrainedAutoencoder(config.settings, start, innate, inner_lr, steps)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every method on the run's own lives, or the network on further ones."""
    if further is not None:
        return lived(record, further, lambda record: {"dan": load(record)}, kind="images to reconstruct")
    return recorded(record, enters=lambda name: name == "dan", lines=ReconstructionLine)


def _opened(record: RunRecord) -> Opened:
    """What learns a folder of images."""
    run = AutoencoderFolder(load(record))
    return opened(record, run, said=run.said)


EXPERIMENT = Experiment(
    claim="An autoencoder of DANs learns to reconstruct digits one after another and keeps them all.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": evaluating(lambda record: {"": load(record)}), "deploy": deploying(_opened)},
    enter=enter,
    load=load,
)
