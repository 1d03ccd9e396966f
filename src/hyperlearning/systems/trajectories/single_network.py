"""One network of OML or ANML from settings to tested embedding: what `omniglot-oml` and `omniglot-anml` share."""

from dataclasses import dataclass, field

import torch
from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import save_model
from hyperlearning.systems.trajectories.build import build_continual, check_training, embedding_of, num_parameters
from hyperlearning.systems.trajectories.characters import CharacterSettings, meta_test_characters, meta_train_characters
from hyperlearning.systems.trajectories.long_tests import LongTestSettings, Splits, test_embedding
from hyperlearning.systems.trajectories.settings import ContinualSettings, ContinualTraining, TrajectorySettings
from hyperlearning.systems.trajectories.training import continual_look, train_in

LOOK_CLASSES = 50


@dataclass(frozen=True, kw_only=True)
class ContinualConfig:
    """Meta-train a network to learn classes in a row, one image at a time, without forgetting."""

    data: CharacterSettings = field(default_factory=CharacterSettings)
    network: ContinualSettings = field(default_factory=ContinualSettings)
    training: TrajectorySettings = field(default_factory=TrajectorySettings)
    test: LongTestSettings = field(default_factory=LongTestSettings)
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.seed < 0 or self.threads < 1:
            raise ValueError(
                f"Expected a non-negative `seed` and positive `threads`, but got {self.seed} and {self.threads}."
            )

    @property
    def settings(self) -> ContinualTraining:
        """What the system follows from."""
        return ContinualTraining(data=self.data, network=self.network, training=self.training, seed=self.seed)


def check_continual(config: ContinualConfig, architecture: str) -> None:
    """Raises if settings contradict one another, data are absent or too few, or memory is too little."""
    if config.network.architecture != architecture:
        raise ValueError(
            f"Expected `architecture` to be '{architecture}' in this experiment, but got '{config.network.architecture}'."
        )
    check_training(config.settings)
    config.test.check(meta_train=config.data.meta_train_classes, meta_test=len(meta_test_characters(config.data)))


def run_continual(config: ContinualConfig, record: RunRecord, console: Console, *, title: str) -> None:
    """Meta-trains, or goes on doing so, then learns up to hundreds of evaluation classes in a row."""
    torch.set_num_threads(config.threads)
    settings = config.settings
    upright = meta_train_characters(config.data, rotated=False)
    splits = Splits(upright, meta_test_characters(config.data))
    images = meta_train_characters(config.data, rotated=True) if config.data.rotated_classes else upright
    system = build_continual(settings, images)
    record.note(threads=config.threads, parameters=num_parameters(system.network), order=settings.order)
    console.print(
        f"network: {num_parameters(system.network):,} parameters; outer gradient: {settings.order}; "
        f"{config.threads} threads",
        highlight=False,
    )
    look = continual_look(
        settings, system, splits.meta_test, num_classes=min(LOOK_CLASSES, max(config.test.test_classes))
    )
    state = train_in(record, system, console, look=look)
    save_model(record, state)
    test_embedding(
        record,
        embedding_of(system.network, state.hyper.start, state.hyper.innate),
        splits,
        config.test,
        console,
        label=config.network.architecture,
        title=title,
        order=settings.order,
        heads=("last_layer", "joint", "unit_layer", "euclidean", "cosine", "whitened"),
        seed=config.seed,
    )
