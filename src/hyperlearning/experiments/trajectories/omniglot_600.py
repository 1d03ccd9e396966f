"""Up to 600 classes in a row, one image at a time: OML, ANML, DAN networks and prototypes in one table.

Claim (Beaulieu et al., "Learning to Continually Learn", 2020): a network that gates its own plasticity learns 600 classes in a
row with little forgetting. What of that is the gating, what the second derivatives, and what the embedding alone?

The page `docs/experiments/omniglot-600.md` lists every deviation from the source.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from torch import nn

from hyperlearning.core.errors import RunError
from hyperlearning.core.expect import Count, Rate, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.fitting import FitState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import NUM_LOOKS, final_state
from hyperlearning.engine.sub_records import record_below
from hyperlearning.experiments.deploying_folders import HELP, DeployOnFolder, deployed
from hyperlearning.experiments.experiment import Answer, Experiment, Verb, page_of
from hyperlearning.experiments.trajectories.omniglot_600_embeddings import (
    SequenceTraining,
    bayes_training,
    dan_settings,
    dan_training,
    prototypical_settings,
    prototypical_training,
)
from hyperlearning.experiments.trajectories.verbs import (
    FurtherTest,
    best_embedding,
    entering,
    evaluated,
    opened_embedding,
)
from hyperlearning.systems.images.build import check_size
from hyperlearning.systems.images.settings import EmbeddingSettings, ImageSettings
from hyperlearning.systems.trajectories.build import Embedding, EmbeddingTraining, check_training, embedding_training
from hyperlearning.systems.trajectories.characters import (
    CharacterSettings,
    Splits,
    load_splits,
    meta_test_characters,
    meta_train_characters,
)
from hyperlearning.systems.trajectories.lines import HeadName
from hyperlearning.systems.trajectories.long_tests import LongTest, run_long_tests
from hyperlearning.systems.trajectories.sequence import SequenceSettings, check_streams, sequence_training
from hyperlearning.systems.trajectories.settings import (
    ContinualSettings,
    ContinualTraining,
    LongTestSettings,
    TrajectorySettings,
)
from hyperlearning.systems.trajectories.trained import (
    TrainedEmbedding,
    continual_network,
    load_embedding,
    rates_of,
)
from hyperlearning.systems.trajectories.training import LOOK_CLASSES, train_embedding

MethodName = Literal[
    "oml",
    "anml",
    "anml_first_order",
    "anml_random_gates",
    "anml_no_gates",
    "anml_augmented",
    "pretrained",
    "pretrained_augmented",
    "prototypical",
    "dan",
    "warp",
    "scratch",
    "bayes",
    "sequence",
]

TITLES: dict[MethodName, str] = {
    "oml": "OML",
    "anml": "ANML",
    "anml_first_order": "ANML, first order",
    "anml_random_gates": "ANML, random gates",
    "anml_no_gates": "ANML without gates",
    "anml_augmented": "ANML, augmented classes",
    "pretrained": "pretrained",
    "pretrained_augmented": "pretrained, augmented classes",
    "prototypical": "prototypical network",
    "dan": "DAN network",
    "warp": "warp network",
    "scratch": "random features",
    "bayes": "conjugate Bayes, meta-learned",
    "sequence": "sequence model",
}
_SOLVED: tuple[MethodName, ...] = ("prototypical", "bayes")
"""Embeddings that are trained for a classifier which is solved."""
_ROTATIONS = 4
_LOOKS_OF_LIVES = 5
"""Looks in the course of trainings that take minutes a look would prolong."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn up to 600 classes in a row with every method, and compare."""

    methods: Annotated[tuple[MethodName, ...], Some(distinct=True)] = tuple(TITLES)
    """Embeddings to train and test; those left out cost nothing."""
    data: CharacterSettings = field(
        default_factory=lambda: CharacterSettings(rotated_classes=True, augmentation="mild")
    )
    """Rotated classes and augmentation are for the methods called augmented alone."""
    width: Rate = 0.25
    """Share of the published feature maps of OML, ANML and pretrained networks."""
    training: TrajectorySettings = field(default_factory=TrajectorySettings)
    """Of ANML; OML has its own `oml_inner_lr`, and a pretrained network shuffled batches of as many images."""
    oml_inner_lr: Rate = 0.03
    """OML's rate along the trajectory."""
    embedding: EmbeddingSettings = field(
        default_factory=lambda: EmbeddingSettings(embedding_epochs=1500, embedding_classes=100)
    )
    """How the prototypical network is trained, and the embedding of conjugate Bayes."""
    dan_epochs: Count = 500
    """Generations of hyper-training of the DAN and the warp network."""
    dan_maps: Annotated[tuple[Count, ...], Some()] = (32, 64, 64, 64)
    """Feature maps of their innate convolutions, and of the prototypical network's and conjugate Bayes'."""
    heads: Annotated[tuple[HeadName, ...], Some(distinct=True)] = (
        "last_layer",
        "unit_layer",
        "euclidean",
        "cosine",
        "whitened",
        "discriminant",
        "streaming_discriminant",
        "ridge",
        "projected_ridge",
        "conjugate_bayes",
    )
    """What learns on each embedding; the oracle comes with `joint_methods`."""
    sequence: SequenceSettings = field(default_factory=SequenceSettings)
    """The sequence model, which reads features of the prototypical network. It is tested on as many classes as it has labels
    for, and with the head `sequence` alone."""
    joint_methods: tuple[MethodName, ...] = ("anml",)
    """Embeddings on which the shuffled stream is learned too."""
    test: LongTestSettings = field(default_factory=LongTestSettings)
    finished_runs: tuple[str, ...] = ()
    """Directories of finished runs of omniglot-oml or omniglot-anml to test beside them."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.embedding.embedding_epochs < 1:
            raise ValueError(f"Expected `embedding_epochs` to be positive, but got {self.embedding.embedding_epochs}.")
        if stray := set(self.joint_methods) - set(self.methods):
            raise ValueError(f"Expected `joint_methods` to be among `methods`, but got {sorted(stray)}.")
        if "sequence" in self.heads:
            raise ValueError(
                "Expected `heads` that learn on any embedding, but got 'sequence', which is a method's own."
            )
        if "sequence" in self.methods and min(self.test.test_classes) > self.sequence.sequence_classes:
            raise ValueError(
                f"Expected some of `test_classes` up to `sequence_classes` ({self.sequence.sequence_classes}), "
                f"but got {self.test.test_classes}."
            )


_LEFT_OUT = ("anml_no_gates", "anml_augmented", "pretrained")
"""Of a laptop's comparison."""


def _few_classes(num_classes: int, *, learned_images: int) -> Config:
    """The settings of two publications, smaller images and networks and shorter training apart.

    Sources: 10 classes of 10 images, Lee, Jeon, Son and Kim, "Learning to Continually Learn with the Bayesian Principle" (2024);
    20 of 5, Lee, Son and Kim, "Recasting Continual Learning as Sequence Modeling" (2023).
    """
    return Config(
        methods=("oml", "prototypical", "bayes", "sequence", "scratch"),
        training=TrajectorySettings(num_steps=2000),
        embedding=EmbeddingSettings(embedding_epochs=500, embedding_classes=50),
        sequence=SequenceSettings(
            sequence_steps=4000, sequence_population=8, sequence_classes=num_classes, sequence_shots=learned_images
        ),
        joint_methods=("oml",),
        test=LongTestSettings(test_classes=(num_classes,), learned_images=learned_images, num_runs=512),
    )


PRESETS: dict[str, Config] = {
    "laptop": Config(
        methods=tuple(method for method in TITLES if method not in _LEFT_OUT),
        training=TrajectorySettings(num_steps=2000),
        dan_epochs=300,
        test=LongTestSettings(num_runs=10, lrs=(0.003, 0.001, 0.0003), lr_runs=1),
    ),
    "sb-mcl": _few_classes(10, learned_images=10),
    "as-sequences": _few_classes(20, learned_images=5),
    "smoke": Config(
        methods=("anml", "pretrained", "prototypical", "dan", "scratch", "bayes", "sequence"),
        data=CharacterSettings(meta_train_classes=30, meta_test_classes=30, rotated_classes=True, augmentation="mild"),
        width=1 / 16,
        training=TrajectorySettings(num_steps=2, images_per_class=4, remember_size=8),
        embedding=EmbeddingSettings(embedding_epochs=2, embedding_classes=6),
        dan_epochs=1,
        dan_maps=(4, 4, 4),
        sequence=SequenceSettings(sequence_steps=2, sequence_population=1, sequence_classes=5, sequence_width=8),
        test=LongTestSettings(test_classes=(3, 6), num_runs=3, lrs=(0.003, 0.001), lr_runs=1),
        threads=1,
    ),
    "paper": Config(
        width=1.0,
        training=TrajectorySettings(num_steps=20_000),
        embedding=EmbeddingSettings(embedding_epochs=10_000, embedding_classes=100),
        dan_epochs=2000,
        sequence=SequenceSettings(
            sequence_steps=50_000,
            sequence_population=8,
            sequence_classes=300,
            sequence_width=256,
            sequence_layers=4,
            sequence_lr=0.001,
        ),
        test=LongTestSettings(num_runs=50),
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, data are absent or too few, memory is too little, or a finished run is not."""
    for settings in dict.fromkeys(_settings(config, method) for method in config.methods):
        if isinstance(settings, ContinualTraining):
            check_training(settings)
    for method in config.methods:
        _check_convolutional(config, method)
    if "sequence" in config.methods:
        check_streams(config.sequence, meta_train_characters(config.data, rotated=True))
    available = len(meta_test_characters(config.data))
    config.test.check(meta_train=config.data.meta_train_classes, meta_test=available)
    for path in config.finished_runs:
        _finished(path, config.data)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains every method's embedding, or goes on doing so, and tests each with every head."""
    splits = load_splits(config.data)
    for method in config.methods:
        console.print(f"{TITLES[method]}", style="bold", highlight=False)
        embedding = trained(config, method, record, splits, console)
        if method == "sequence":
            run_reading_tests(config, embedding, splits, record, console)
            continue
        heads = (*config.heads, "joint") if method in config.joint_methods else config.heads
        test = LongTest(embedding=embedding, splits=splits, settings=config.test, seed=config.seed)
        run_long_tests(record, test, heads, console)
    for number, path in enumerate(config.finished_runs):
        embedding = _finished(path, config.data)._replace(label=f"finished_{number}")
        test = LongTest(embedding=embedding, splits=splits, settings=config.test, seed=config.seed)
        run_long_tests(record, test, config.heads, console)


def run_reading_tests(
    config: Config, embedding: Embedding, splits: Splits, record: RunRecord, console: Console
) -> None:
    """Tests the sequence model on as many classes as it has labels for, by reading alone."""
    counts = tuple(count for count in config.test.test_classes if count <= config.sequence.sequence_classes)
    settings = replace(config.test, test_classes=counts)
    test = LongTest(embedding=embedding, splits=splits, settings=settings, seed=config.seed)
    run_long_tests(record, test, ("sequence",), console)


def trained(config: Config, method: MethodName, record: RunRecord, splits: Splits, console: Console) -> Embedding:
    """Trains a method's embedding in a record below the run's, or returns what is there."""
    settings = _settings(config, method)
    if isinstance(settings, SequenceTraining):
        features = trained(config, "prototypical", record, splits, console)
        training, classes = _sequence_training(settings, features, config.data), settings.sequence.sequence_classes
        return train_embedding(
            record,
            settings,
            training,
            splits.meta_test,
            console,
            seed=config.seed,
            look_classes=min(LOOK_CLASSES, classes),
        )
    training = _training(config, method, splits)
    if method == "scratch":
        return training.embedding(training.job.begin())
    num_looks = NUM_LOOKS if isinstance(settings, ContinualTraining) else _LOOKS_OF_LIVES
    return train_embedding(record, settings, training, splits.meta_test, console, seed=config.seed, num_looks=num_looks)


def _training(config: Config, method: MethodName, splits: Splits) -> EmbeddingTraining[Any]:
    """What trains a method's embedding; of random features its beginning is used alone."""
    settings, title = _settings(config, method), TITLES[method]
    assert not isinstance(settings, SequenceTraining)
    if isinstance(settings, ImageSettings):
        trainings = {"prototypical": prototypical_training, "bayes": bayes_training}
        train = trainings.get(method, dan_training)
        return train(settings, splits.meta_train, label=method, title=title)
    rotated = settings.data.rotated_classes
    images = meta_train_characters(settings.data, rotated=True) if rotated else splits.meta_train
    training = embedding_training(settings, images, label=method, title=title)
    return replace(training, order="not trained") if method == "scratch" else training


def _sequence_training(
    settings: SequenceTraining, features: Embedding, data: CharacterSettings
) -> EmbeddingTraining[FitState]:
    images = meta_train_characters(data, rotated=True)
    return sequence_training(
        settings.sequence, features.embed, images, seed=settings.seed, label="sequence", title=TITLES["sequence"]
    )


def _settings(config: Config, method: MethodName) -> ContinualTraining | ImageSettings | SequenceTraining:
    """What a method's embedding follows from."""
    if method == "sequence":
        features = _settings(config, "prototypical")
        assert isinstance(features, ImageSettings)
        return SequenceTraining(features=features, sequence=config.sequence, seed=config.seed)
    if method in _SOLVED:
        num_classes = _ROTATIONS * config.data.meta_train_classes
        return prototypical_settings(
            config.data, config.dan_maps, config.embedding, num_classes=num_classes, seed=config.seed
        )
    if method in ("dan", "warp"):
        return dan_settings(config.data, config.dan_maps, config.dan_epochs, warp=method == "warp", seed=config.seed)
    return _continual(config, method)


def _continual(config: Config, method: MethodName) -> ContinualTraining:
    """What a method's network and training follow from."""
    augmented = method.endswith("_augmented")
    data = config.data if augmented else replace(config.data, rotated_classes=False, augmentation="none")
    training = config.training
    network = ContinualSettings(width=config.width)
    if method == "oml":
        network, training = (
            ContinualSettings(architecture="oml", width=config.width),
            replace(training, inner_lr=config.oml_inner_lr),
        )
    elif method == "anml_first_order":
        training = replace(training, first_order=True, checkpoint=False)
    elif method == "anml_random_gates":
        network = replace(network, gates="random")
    elif method == "anml_no_gates" or method.startswith("pretrained"):
        network = replace(network, gates="none")
    if method.startswith("pretrained"):
        training = replace(training, images_per_class=1, classes_per_trajectory=1, other_images_per_class=0)
        training = replace(training, remember_size=config.training.meta_batch - 1)
    return ContinualTraining(
        data=data, network=network, training=training, supervised=method.startswith("pretrained"), seed=config.seed
    )


def _check_convolutional(config: Config, method: MethodName) -> None:
    settings = _settings(config, method)
    if not isinstance(settings, ImageSettings):
        return
    if method in _SOLVED:
        settings.network.count(settings.data)
        return
    check_size(settings)
    needed, available = settings.training.train_classes, _ROTATIONS * config.data.meta_train_classes
    if available < needed:
        raise ValueError(
            f"Expected {needed} classes or more, rotated ones among them, for lives of the {TITLES[method]}, "
            f"but got {available} of {config.data.meta_train_classes} `meta_train_classes`."
        )


def _finished(path: str, data: CharacterSettings) -> Embedding:
    """Reads the embedding of a finished run of omniglot-oml or omniglot-anml, with the errors of `load_embedding`.

    Raises:
        ValueError: If it is of another image side.
    """
    found = load_embedding(RunRecord(path))
    if found.data.side != data.side:
        raise ValueError(f"Expected a run of images of side {data.side} in {path}, but got one of {found.data.side}.")
    return found.embedding


def load(record: RunRecord, methods: Sequence[MethodName] = ()) -> dict[str, TrainedEmbedding]:
    """Opens what a run has trained.

    Args:
        record: The run.
        methods: Which of its embeddings; all if none is named.

    Returns:
        Embeddings by method.

    Raises:
        RunError: If the run has not finished.
        ValueError: If it has not trained a method.
    """
    config = record.settings(Config)
    if not record.manifest.get("finished"):
        raise RunError(
            f"Expected a finished run, but {record.path} is not. Go on with `hyperlearning resume {record.path}`."
        )
    if stray := set(methods) - set(config.methods):
        raise ValueError(f"Expected methods among {', '.join(config.methods)}, but got {', '.join(sorted(stray))}.")
    splits = load_splits(config.data)
    return {method: _opened(config, method, record, splits) for method in methods or config.methods}


def _opened(config: Config, method: MethodName, record: RunRecord, splits: Splits) -> TrainedEmbedding:
    return TrainedEmbedding(
        embedding=_opened_embedding(config, method, record, splits),
        data=config.data,
        test=config.test,
        rates=rates_of(record, method),
        untrained=_untrained(config, method),
    )


def _opened_embedding(config: Config, method: MethodName, record: RunRecord, splits: Splits) -> Embedding:
    settings = _settings(config, method)
    if isinstance(settings, SequenceTraining):
        features = _opened_embedding(config, "prototypical", record, splits)
        training = _sequence_training(settings, features, config.data)
    else:
        training = _training(config, method, splits)
    if method == "scratch":
        return training.embedding(training.job.begin())
    return training.embedding(final_state(record_below(record, method, settings), training.job))


def _untrained(config: Config, method: MethodName) -> Callable[[int, int], nn.Module]:
    """What builds a method's network anew, or, of embeddings that have no head to learn with, a DAN network with theirs."""
    settings = _settings(config, "dan" if method == "sequence" else method)
    if isinstance(settings, ContinualTraining):
        return continual_network(settings.network, settings.data)
    assert isinstance(settings, ImageSettings)

    def build(num_outputs: int, seed: int) -> nn.Module:
        num_outputs = max(settings.network.num_outputs, num_outputs)
        return replace(settings.network, zero_start=False, num_outputs=num_outputs).build(settings.data, seed)

    return build


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Which embeddings are tested anew, and how."""

    methods: tuple[MethodName, ...] = ()
    """Embeddings to test; all of the run's if none is named."""
    test: tyro.conf.OmitArgPrefixes[FurtherTest] = field(default_factory=FurtherTest)
    """The test."""


def _evaluate(record: RunRecord, options: EvaluateOptions) -> Answer:
    return evaluated(load(record, options.methods).values(), options.test)


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """Which embedding learns a folder, and how."""

    method: MethodName | None = None
    """The embedding; the one that recognised most held-out images in the run, by class means or a last layer, if absent."""
    deploy: tyro.conf.OmitArgPrefixes[DeployOnFolder]


def _deploy(record: RunRecord, options: DeployOptions) -> Answer:
    method, said = options.method, ()
    if method is None:
        method, sentence = best_embedding(record, record.settings(Config).methods)
        said = (sentence,)
    opened = opened_embedding(load(record, (method,))[method])
    return deployed(record, opened._replace(said=said, flags=("--method", method)), options.deploy)


EXPERIMENT = Experiment(
    claim="Up to 600 classes in a row: OML, ANML, DAN networks, pretraining and prototypes in one table.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={
        "evaluate": Verb("Test a run's embeddings on runs that were not met before.", EvaluateOptions, _evaluate),
        "deploy": Verb(HELP, DeployOptions, _deploy),
    },
    enter=entering(lambda record: load(record).values()),
    load=load,
)
