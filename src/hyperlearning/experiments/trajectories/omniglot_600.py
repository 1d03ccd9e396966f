"""Up to 600 classes in a row, one image at a time: OML, ANML, DAN networks and prototypes in one table.

Claim (Beaulieu et al., "Learning to Continually Learn", 2020): a network that gates its own plasticity learns 600 classes in a
row with little forgetting. What of that is the gating, what the second derivatives, and what the embedding alone?

The page `docs/experiments/omniglot-600.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.experiments.trajectories.omniglot_600_embeddings import (
    dan_embedding,
    dan_settings,
    prototypical_settings,
    train_dan,
    train_prototypical,
)
from hyperlearning.systems.images.build import check_size
from hyperlearning.systems.images.settings import EmbeddingSettings, ImageSettings
from hyperlearning.systems.trajectories.build import (
    Embed,
    build_continual,
    check_parameters,
    check_training,
    embedding_of,
)
from hyperlearning.systems.trajectories.characters import (
    Characters,
    CharacterSettings,
    meta_test_characters,
    meta_train_characters,
)
from hyperlearning.systems.trajectories.long_tests import HeadName, LongTestSettings, Splits, test_embedding
from hyperlearning.systems.trajectories.settings import ContinualSettings, ContinualTraining, TrajectorySettings
from hyperlearning.systems.trajectories.training import continual_look, train_below, train_in

NAME = "omniglot-600"

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
}
_ROTATIONS = 4
_LOOK_CLASSES = 50


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn up to 600 classes in a row with every method, and compare."""

    methods: tuple[MethodName, ...] = tuple(TITLES)
    """Embeddings to train and test; those left out cost nothing."""
    data: CharacterSettings = field(
        default_factory=lambda: CharacterSettings(rotated_classes=True, augmentation="mild")
    )
    """Rotated classes and augmentation are for the methods called augmented alone."""
    width: float = 0.25
    """Share of the published feature maps of OML, ANML and pretrained networks."""
    training: TrajectorySettings = field(default_factory=TrajectorySettings)
    """Of ANML; OML has its own `oml_inner_lr`, and a pretrained network shuffled batches of as many images."""
    oml_inner_lr: float = 0.03
    """OML's rate along the trajectory."""
    embedding: EmbeddingSettings = field(
        default_factory=lambda: EmbeddingSettings(embedding_epochs=1500, embedding_classes=100)
    )
    """How the prototypical network is trained."""
    dan_epochs: int = 500
    """Generations of hyper-training of the DAN and the warp network."""
    dan_maps: tuple[int, ...] = (32, 64, 64, 64)
    """Feature maps of their innate convolutions, and of the prototypical network's."""
    heads: tuple[HeadName, ...] = ("last_layer", "unit_layer", "euclidean", "cosine", "whitened")
    """What learns on each embedding; the oracle comes with `joint_methods`."""
    joint_methods: tuple[MethodName, ...] = ("anml",)
    """Embeddings on which the shuffled stream is learned too."""
    test: LongTestSettings = field(default_factory=LongTestSettings)
    finished_runs: tuple[str, ...] = ()
    """Directories of finished runs of omniglot-oml or omniglot-anml to test beside them."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        epochs = min(self.dan_epochs, self.embedding.embedding_epochs)
        if self.seed < 0 or self.threads < 1 or epochs < 1 or not self.methods or not self.heads:
            raise ValueError(
                "Expected a non-negative `seed`, positive `threads`, `dan_epochs` and `embedding_epochs`, and some `methods` and "
                f"`heads`, but got {self.seed}, {self.threads}, {self.dan_epochs}, {self.embedding.embedding_epochs}, "
                f"{self.methods} and {self.heads}."
            )
        if stray := set(self.joint_methods) - set(self.methods):
            raise ValueError(f"Expected `joint_methods` to be among `methods`, but got {sorted(stray)}.")


PRESETS: dict[str, Config] = {
    "laptop": Config(
        methods=tuple(method for method in TITLES if method not in ("anml_no_gates", "anml_augmented", "pretrained")),
        training=TrajectorySettings(num_steps=2000),
        dan_epochs=300,
        test=LongTestSettings(num_runs=10, lrs=(0.003, 0.001, 0.0003), lr_runs=1),
    ),
    "smoke": Config(
        methods=("anml", "pretrained", "prototypical", "dan", "scratch"),
        data=CharacterSettings(meta_train_classes=30, meta_test_classes=30, rotated_classes=True, augmentation="mild"),
        width=1 / 16,
        training=TrajectorySettings(num_steps=2, images_per_class=4, remember_size=8),
        embedding=EmbeddingSettings(embedding_epochs=2, embedding_classes=6),
        dan_epochs=1,
        dan_maps=(4, 4, 4),
        test=LongTestSettings(test_classes=(3, 6), num_runs=3, lrs=(0.003, 0.001), lr_runs=1),
        threads=1,
    ),
    "paper": Config(
        width=1.0,
        training=TrajectorySettings(num_steps=20_000),
        embedding=EmbeddingSettings(embedding_epochs=10_000, embedding_classes=100),
        dan_epochs=2000,
        test=LongTestSettings(num_runs=50),
    ),
}


class _Plan(NamedTuple):
    """Everything that methods are made from."""

    config: Config
    record: RunRecord
    splits: Splits
    console: Console


def check(config: Config) -> None:
    """Raises if settings contradict one another, data are absent or too few, memory is too little, or a finished run is not."""
    for settings in dict.fromkeys(
        _continual(config, method) for method in config.methods if not _is_convolutional(method)
    ):
        check_training(settings)
    for method in filter(_is_convolutional, config.methods):
        _check_convolutional(config, method)
    available = len(meta_test_characters(config.data))
    config.test.check(meta_train=config.data.meta_train_classes, meta_test=available)
    for path in config.finished_runs:
        _finished(Path(path), config.data)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Trains every method's embedding, or goes on doing so, and tests each with every head."""
    torch.set_num_threads(config.threads)
    record.note(threads=config.threads)
    splits = Splits(meta_train_characters(config.data, rotated=False), meta_test_characters(config.data))
    plan = _Plan(config, record, splits, console)
    for method in config.methods:
        console.print(f"{TITLES[method]}", style="bold", highlight=False)
        embed, order = _embedding(plan, method)
        heads = (*config.heads, "joint") if method in config.joint_methods else config.heads
        _test(plan, embed, method, TITLES[method], order, heads)
    for number, path in enumerate(config.finished_runs):
        embed, title, order = _finished(Path(path), config.data)
        _test(plan, embed, f"finished_{number}", title, order, config.heads)


def _test(plan: _Plan, embed: Embed, label: str, title: str, order: str, heads: tuple[HeadName, ...]) -> None:
    config = plan.config
    test_embedding(
        plan.record,
        embed,
        plan.splits,
        config.test,
        plan.console,
        label=label,
        title=title,
        order=order,
        heads=heads,
        seed=config.seed,
    )


def _is_convolutional(method: MethodName) -> bool:
    """Whether a method has the convolutions of `class-incremental`, not those of OML or ANML."""
    return method in ("prototypical", "dan", "warp")


def _convolutional(config: Config, method: MethodName) -> ImageSettings:
    """What a network with the convolutions of `class-incremental` and its training follow from."""
    if method == "prototypical":
        num_classes = _ROTATIONS * config.data.meta_train_classes
        return prototypical_settings(
            config.data, config.dan_maps, config.embedding, num_classes=num_classes, seed=config.seed
        )
    return dan_settings(config.data, config.dan_maps, config.dan_epochs, warp=method == "warp", seed=config.seed)


def _check_convolutional(config: Config, method: MethodName) -> None:
    settings = _convolutional(config, method)
    if method == "prototypical":
        settings.network.count(settings.data)
        return
    check_size(settings)
    needed, available = settings.training.train_classes, _ROTATIONS * config.data.meta_train_classes
    if available < needed:
        raise ValueError(
            f"Expected {needed} classes or more, rotated ones among them, for lives of the {TITLES[method]}, "
            f"but got {available} of {config.data.meta_train_classes} `meta_train_classes`."
        )


def _embedding(plan: _Plan, method: MethodName) -> tuple[Embed, str]:
    """Trains a method's embedding; returns it and the order of the outer gradient in words."""
    config = plan.config
    if method == "prototypical":
        settings = _convolutional(config, method)
        return train_prototypical(plan.record, method, settings, plan.splits, plan.console), "no life"
    if _is_convolutional(method):
        settings = _convolutional(config, method)
        system, state = train_dan(plan.record, method, settings, plan.splits, plan.console)
        return dan_embedding(system, state), "exact, through whole lives"
    settings = _continual(config, method)
    system = build_continual(settings, _meta_train(plan, settings))
    if method == "scratch":
        hyper = system.initial.hyper
        return embedding_of(system.network, hyper.start, hyper.innate), "not trained"
    look = continual_look(
        settings,
        system,
        plan.splits.meta_test,
        num_classes=min(_LOOK_CLASSES, len(plan.splits.meta_test)),
    )
    state = train_below(
        plan.record,
        method,
        settings,
        lambda own: train_in(own, system, plan.console, look=look),
        title=TITLES[method],
        order=settings.order,
    )
    check_parameters(system.network, state.hyper.start, state.hyper.innate, where=f"the checkpoint of {method}")
    return embedding_of(system.network, state.hyper.start, state.hyper.innate), settings.order


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


def _meta_train(plan: _Plan, settings: ContinualTraining) -> Characters:
    if not settings.data.rotated_classes:
        return plan.splits.meta_train
    return meta_train_characters(settings.data, rotated=True)


def _finished(path: Path, data: CharacterSettings) -> tuple[Embed, str, str]:
    """Reads the embedding of a finished run of omniglot-oml or omniglot-anml.

    Raises:
        RunError: If there is no such run, or it has not finished meta-training.
        ValueError: If it is of another experiment, image side or architecture.
    """
    record = RunRecord(path)
    config = record.config
    if config["experiment"] not in ("omniglot-oml", "omniglot-anml"):
        raise ValueError(
            f"Expected {path} to be a run of omniglot-oml or omniglot-anml, but it is one of {config['experiment']}."
        )
    settings = config["settings"]
    own = CharacterSettings(**settings["data"])
    if own.side != data.side:
        raise ValueError(f"Expected a run of images of side {data.side} in {path}, but got one of {own.side}.")
    built = ContinualTraining(
        data=own,
        network=ContinualSettings(**settings["network"]),
        training=TrajectorySettings(**settings["training"]),
        seed=settings["seed"],
    )
    innate, start = load_model(record)
    network = built.network.build(own, built.seed)
    check_parameters(network, start, innate, where=str(path))
    return embedding_of(network, start, innate), f"{config['experiment']} {path.name}", built.order
