"""Semi-supervised class-incremental learning: one labelled and four unlabelled images a class, met once.

The dissertation names this setting (abstract of chapter 6) and reports nothing of it. Defined here: classes come one after
another; a class's only batch has `num_labelled` images with their label and the others without. The task loss is the negative
log-likelihood of the labelled images plus lambda times the mean squared error of reconstructing all images of the batch; the
hyper-loss is the same sum over images of the life's classes, learned and held out, all labelled. One network makes both outputs
from hidden DANs whose synapses are plastic: through them alone can a reconstruction change a classification within a life.

The question: does that help? The same network with the label alone, and with all labels, live the same lives.
The page `docs/experiments/semi-supervised-class-incremental.md` says what else could be done with unlabelled images.
"""

from dataclasses import dataclass, field
from functools import partial

from rich.console import Console

from hyperlearning.core.expect import Count, Rate, Seed, check_ranges
from hyperlearning.core.params import Params
from hyperlearning.core.rounding import rounded
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model, save_model
from hyperlearning.evaluation.accuracy import LifeAccuracy
from hyperlearning.experiments.deploying_folders import Opened, deploying
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.images.entering import lived, recorded
from hyperlearning.experiments.images.verbs import evaluating, opened
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters, without_allocating
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.build import check_settings
from hyperlearning.systems.images.closed_form import record_closed_form
from hyperlearning.systems.images.embedding import (
    compared_settings,
    images_of_embedding,
    train_embedding,
    train_prototypes,
)
from hyperlearning.systems.images.lines import HeldOut, MethodLine, line_key, method_line, record_lives
from hyperlearning.systems.images.lives import deploy_prototypes, hold_out
from hyperlearning.systems.images.methods import Newborn
from hyperlearning.systems.images.pools import SPLITS, Pools, load_pools
from hyperlearning.systems.images.semi_supervised import (
    Supervision,
    SupervisionSettings,
    TrainedTwoOutputs,
    TwoOutputSettings,
    build_two_outputs,
    deploy_two_outputs,
    labelled_prototypes,
    two_output_system,
)
from hyperlearning.systems.images.semi_supervised_folder import TwoOutputFolder
from hyperlearning.systems.images.settings import (
    DataSettings,
    EmbeddingSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.training import images_per_epoch, looking, train
from hyperlearning.systems.system import Method


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn classes one after another from one labelled image each and a few without a label."""

    data: DataSettings = field(default_factory=lambda: DataSettings(augmentation="elastic"))
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(hidden_sizes=(32,), num_outputs=10))
    """`num_outputs` labels; as many more output DANs as there are pixels."""
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            population=2, num_epochs=200, train_tasks=10, train_classes=10, hyper_batch_size=100, inner_lr=0.1
        )
    )
    """At the rate that serves five labelled images a class, .3, one labelled image moves the outputs too far."""
    embedding: EmbeddingSettings = field(default_factory=lambda: EmbeddingSettings(embedding_epochs=800))
    """How the input DANs are trained alone, before the lives under every supervision; and the prototypes' embedding, until it has
    met as many images as one network in all."""
    hidden_scaling: Rate = 10.0
    """Scaling of synapses into hidden neurons, which act as `weight / sqrt(|weight|^2 + hidden_scaling^2)`: what drives hidden
    neurons is as much smaller as it is large, and what an update changes in it smaller by its square. At 1, `synaptic_scaling`
    of the outputs, an update overwrites the hidden layer, and hyper-training begins in chaos."""
    supervision: SupervisionSettings = field(default_factory=SupervisionSettings)
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.supervision.num_labelled >= self.life.num_instances:
            raise ValueError(
                f"Expected `num_labelled` below `num_instances` ({self.life.num_instances}), "
                f"but got {self.supervision.num_labelled}."
            )
        if self.data.side % self.supervision.pixel_side:
            raise ValueError(
                f"Expected `pixel_side` to divide `side` ({self.data.side}), but got {self.supervision.pixel_side}."
            )
        if self.network.warp or not self.network.hidden_sizes:
            raise ValueError(
                "Expected `hidden_sizes`, through which reconstruction reaches classification, and no `warp`, "
                f"but got {self.network.hidden_sizes} and {self.network.warp}."
            )

    @property
    def settings(self) -> ImageSettings:
        """What the hyper-trained systems follow from."""
        return ImageSettings(
            data=self.data, network=self.network, life=self.life, training=self.training, seed=self.seed
        )

    @property
    def two_outputs(self) -> TwoOutputSettings:
        """The same, with what the second output needs."""
        return TwoOutputSettings(image=self.settings, supervision=self.supervision, hidden_scaling=self.hidden_scaling)

    @property
    def supervisions(self) -> tuple[Supervision, ...]:
        """The ways compared: the claim's first."""
        few, all_of_them = self.supervision.num_labelled, self.life.num_instances
        note = f"{few} labelled and {all_of_them - few} unlabelled images a class, all reconstructed"
        labelled_alone = f"{few} labelled a class, no reconstruction"
        all_labelled = f"{all_of_them} labelled a class, no reconstruction"
        return (
            Supervision("dan", "DAN network, semi-supervised", note, few, True),
            Supervision("few", "DAN network, labelled images alone", labelled_alone, few, False),
            Supervision("all", "DAN network, all images labelled", all_labelled, all_of_them, False),
        )


PRESETS: dict[str, Config] = {
    "laptop": Config(),
    "smoke": Config(
        network=NetworkSettings(maps=(8, 8, 8), hidden_sizes=(6,), num_channels=2, phenotype_units=4, num_outputs=5),
        life=LifeSettings(num_tasks=4, num_instances=3, steps_per_task=1, num_held_out=3, num_lives=3),
        training=TrainingSettings(
            population=2, num_epochs=2, train_tasks=4, train_classes=5, train_held_out=2, hyper_batch_size=12
        ),
        embedding=EmbeddingSettings(embedding_epochs=2, embedding_classes=6),
        supervision=SupervisionSettings(pixel_side=7),
        threads=1,
    ),
    "paper": Config(
        network=NetworkSettings(
            maps=(32, 64, 64), hidden_sizes=(120,), num_channels=100, phenotype="conv", phenotype_units=30
        ),
        life=LifeSettings(steps_per_task=5),
        training=TrainingSettings(num_epochs=2000, inner_lr=0.1),
        embedding=EmbeddingSettings(),
        supervision=SupervisionSettings(pixel_side=28),
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    check_settings(config.settings, build=lambda: build_two_outputs(config.two_outputs))


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains the network under every supervision, then deploys all methods on the same held-out lives."""
    settings, pools = config.settings, load_pools(config.data)
    counts = _count(config)
    console.print(f"network: {counts}, {config.threads} threads", highlight=False)
    record.note(threads=config.threads, parameters=counts._asdict())
    draw = partial(hold_out, config.life, pools, num_outputs=config.network.num_outputs, seed=config.seed)
    held_out = [HeldOut(split, draw(split)) for split in SPLITS]
    with record.timed("training_seconds"):
        network = build_two_outputs(config.two_outputs)
        trunk = train_embedding(record, settings, config.embedding, network, pools, console)
        for supervised in config.supervisions:
            born = _hyper_train(config, supervised, trunk, pools, record, console)
            if supervised.name == "dan":
                save_model(record, born.innate, born.start)
                _record_solved(config, born, pools, held_out[1:], record)
            _record_lives(config, supervised, born, held_out, record)
        own = compared_settings(settings, config.embedding, pools.meta_train)
        embedding = train_prototypes(record, own, pools, console)
    prototypes = labelled_prototypes(
        embedding,
        num_labelled=config.supervision.num_labelled,
        num_instances=config.life.num_instances,
        num_labels=config.network.num_outputs,
    )
    for method in prototypes:
        record_lives(record, [method], held_out)


def _hyper_train(
    config: Config, supervised: Supervision, trunk: Params, pools: Pools, record: RunRecord, console: Console
) -> Newborn:
    """Hyper-trains under a supervision, or goes on doing so."""
    settings, system = config.settings, two_output_system(config.two_outputs, supervised, pools, trunk)

    def live(state: TrainingState, lives: ClassLives) -> LifeAccuracy:
        born = Newborn(system.learner, state.hyper.start, state.hyper.innate)
        return deploy_two_outputs(config.two_outputs, supervised, born, lives).accuracy

    hyper = train(
        record,
        supervised.name,
        settings,
        system.job,
        console,
        look=looking(settings, pools, live),
        images_per_epoch=images_per_epoch(settings),
        images_before=images_of_embedding(settings, config.embedding, pools.meta_train),
    ).state.hyper
    return Newborn(system.learner, hyper.start, {**trunk, **hyper.innate})


def _record_lives(
    config: Config, supervised: Supervision, born: Newborn, held_out: list[HeldOut], record: RunRecord
) -> None:
    live = partial(deploy_two_outputs, config.two_outputs, supervised, born)
    method = Method(supervised.name, supervised.title, supervised.note, live, {"parameters": _count(config)})

    def line(lives: HeldOut) -> MethodLine:
        lived = method.live(lives.lives)
        errors = {"pixel_error": rounded(lived.pixel_error, 6)} if supervised.reconstructs else {}
        return method_line(method, lives, lived.accuracy, **errors)

    for lives in held_out:
        record.once(MethodLine, line_key(supervised.name, lives), partial(line, lives))


def _record_solved(config: Config, born: Newborn, pools: Pools, held_out: list[HeldOut], record: RunRecord) -> None:
    """Lets readouts live that are solved from the labelled images, on what the network's convolutions make of them."""
    few, num_labels = config.supervision.num_labelled, config.network.num_outputs
    means = partial(deploy_prototypes, born.features, num_labels=num_labels, num_labelled=few)
    title, note = "prototypes on the network's own features", f"class means of {few} labelled a class"
    record_lives(record, [Method("own_prototypes", title, note, means)], held_out)
    record_closed_form(record, born.features, config.settings, pools, held_out, num_labelled=few)


def _count(config: Config) -> ParameterCounts:
    network = without_allocating(lambda: build_two_outputs(config.two_outputs))
    return count_parameters(network, network.is_innate)


def load(record: RunRecord) -> TrainedTwoOutputs:
    """Opens what a run has hyper-trained, semi-supervised."""
    config, (innate, start) = record.settings(Config), load_model(record)
    return TrainedTwoOutputs(config.two_outputs, config.supervisions[0], start, innate)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every method on the run's own lives, or the network on further ones."""
    if further is not None:
        return lived(record, further, lambda record: {"dan": load(record)})
    return recorded(record, enters=lambda name: name in ("dan", "few", "all"))


def _opened(record: RunRecord) -> Opened:
    """What learns a folder of images."""
    run = TwoOutputFolder(load(record))
    return opened(record, run, said=run.said)


EXPERIMENT = Experiment(
    claim="One labelled and four unlabelled images a class: whether reconstruction helps to classify.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": evaluating(lambda record: {"": load(record)}), "deploy": deploying(_opened)},
    enter=enter,
    load=load,
)
