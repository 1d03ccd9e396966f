"""DAN and warp networks as embeddings for the long meta-tests: hyper-trained on lives of background classes."""

from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from hyperlearning.engine.hyper_training import TrainingState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import train_with_record
from hyperlearning.experiments.shared.characters import CharacterSettings
from hyperlearning.experiments.shared.images import (
    DataSettings,
    ImageSettings,
    NetworkSettings,
    System,
    TrainingSettings,
    build_system,
)
from hyperlearning.experiments.shared.long_tests import Splits
from hyperlearning.experiments.shared.trajectories import Embed
from hyperlearning.experiments.shared.trajectory_training import short_meta_test, train_below
from hyperlearning.streams.image_pool import ImagePool, with_rotated_classes

_NUM_LOOKS = 5
_LOOK_CLASSES = 50
_NUM_LINES = 200


def dan_settings(
    data: CharacterSettings, maps: tuple[int, ...], num_epochs: int, *, warp: bool, seed: int
) -> ImageSettings:
    """Makes the settings of a DAN classifier, or of a warp one, as `class-incremental` has them.

    Args:
        data: Side of the images, and where they lie.
        maps: Feature maps of the innate convolutions.
        num_epochs: Generations of lives.
        warp: Whether dense WarpGrad layers stand in for the DANs.
        seed: The seed.
    """
    return ImageSettings(
        data=DataSettings(side=data.side, data_root=data.data_root),
        network=NetworkSettings(maps=maps, warp=warp),
        training=TrainingSettings(num_epochs=num_epochs),
        seed=seed,
    )


def train_dan(
    record: RunRecord, label: str, settings: ImageSettings, splits: Splits, console: Console
) -> tuple[System, TrainingState]:
    """Hyper-trains the classifier on lives of background classes and their rotations, in a record below the run's."""
    system = build_system(settings, with_rotated_classes(_pool(splits.meta_train)))
    look = short_meta_test(splits.meta_test, num_classes=min(_LOOK_CLASSES, len(splits.meta_test)), seed=settings.seed)
    last = settings.training.num_epochs

    def go(own: RunRecord) -> TrainingState:
        def after_epoch(epoch: int, state: TrainingState) -> None:
            if epoch % max(1, last // _NUM_LOOKS) == 0 or epoch == last:
                own.append("validation", step=epoch, classes=_LOOK_CLASSES, **look(dan_embedding(system, state)))

        with own.timed("training_seconds"):
            return train_with_record(
                own,
                system.phases,
                system.initial,
                system.generator,
                console,
                after_epoch=after_epoch,
                record_every=max(1, last // _NUM_LINES),
            )

    titles: dict[str, Any] = {"title": "warp network" if settings.network.warp else "DAN network"}
    return system, train_below(record, label, settings, go, **titles, order="exact, through whole lives")


def dan_embedding(system: System, state: TrainingState) -> Embed:
    """Makes the function from images (N, 1, S, S), uint8, to the features of the innate convolutions."""

    def embed(images: Tensor) -> Tensor:
        return system.learner.prepared(state.hyper.innate, images.float() / 255)

    return embed


def _pool(images: Tensor) -> ImagePool:
    num_classes, per_class = images.shape[:2]
    return ImagePool(
        images=images.flatten(0, 1),
        first=torch.arange(num_classes) * per_class,
        counts=torch.full((num_classes,), per_class),
        source=torch.zeros(num_classes, dtype=torch.int64),
        source_names=("omniglot/background",),
    )
