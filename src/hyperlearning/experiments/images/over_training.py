"""Over-training: the more a life of hyper-training holds, the better short lives go in deployment.

Claim (dissertation, section 6.4.3, figures 6.5 to 6.7): deployed on three classes, one after another, a network of Deep
Artificial Neurons remembers and generalizes better the more images of a class, classes learned and classes in all its
hyper-streams had; model size is the same throughout.

The page `docs/experiments/over-training.md` lists every deviation from the source.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.images.comparison import Contender, check_comparison, compare, epochs_for
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import (
    PAPER_NETWORK,
    PAPER_TRAINING,
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.training import images_per_epoch

NAME = "over-training"

Budget = Literal["images", "epochs"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Vary how much a life of hyper-training holds, and deploy on lives of three classes."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    life: LifeSettings = field(default_factory=lambda: LifeSettings(num_tasks=3))
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(num_epochs=250, train_held_out=15, hyper_mix=(0.45, 0.45, 0.1))
    )
    """Of the largest setting; the others differ in their lives, and in epochs where budgets are of images."""
    images_of_class: tuple[int, ...] = (1, 5, 10, 20)
    """Images of a class on the hyper-stream, the papers' i, one number for each setting. Half of them, rounded up, are learned,
    but no more than a deployed life learns; the others are for the hyper-loss."""
    tasks_of_stream: tuple[int, ...] = (3, 6, 10, 20)
    """Classes learned on the hyper-stream, the papers' h_CL, of each setting."""
    classes_of_stream: tuple[int, ...] = (5, 10, 15, 25)
    """Classes on the hyper-stream in all, the papers' h_H, of each setting."""
    budgets: tuple[Budget, ...] = ("images", "epochs")
    """What all settings get as much of: images met in hyper-training, which is compute, or generations of lives."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.seed < 0 or self.threads < 1:
            raise ValueError(
                f"Expected a non-negative `seed` and positive `threads`, but got {self.seed}, {self.threads}."
            )
        if not self.budgets or len(set(self.budgets)) < len(self.budgets):
            raise ValueError(f"Expected `budgets` to be one or two different ones, but got {self.budgets}.")
        sizes = (self.images_of_class, self.tasks_of_stream, self.classes_of_stream)
        if not sizes[0] or len({len(numbers) for numbers in sizes}) > 1 or min(map(min, sizes)) < 1:
            raise ValueError(
                "Expected as many positive numbers in `images_of_class`, `tasks_of_stream` and `classes_of_stream`, one or more, "
                f"but got {sizes[0]}, {sizes[1]} and {sizes[2]}."
            )
        training = self.training
        learned = _num_learned(sizes[0][-1], self.life)
        largest = (learned + training.train_held_out, training.train_tasks, training.train_classes)
        if largest != (last := tuple(numbers[-1] for numbers in sizes)):
            raise ValueError(
                "Expected the last setting to be the one that `train_held_out`, `train_tasks` and `train_classes` describe "
                f"(i {largest[0]}, h_CL {largest[1]}, h_H {largest[2]}), but got {last}."
            )

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """All systems: smallest setting first, budget by budget; the largest setting, the same in both, once."""
        return tuple(self._contenders())

    def _contenders(self) -> Iterator[Contender]:
        sizes = list(zip(self.images_of_class, self.tasks_of_stream, self.classes_of_stream, strict=True))
        largest = self._settings(*sizes[-1])
        budget_images = self.training.num_epochs * images_per_epoch(largest)
        for budget in self.budgets:
            for size in sizes if budget == self.budgets[0] else sizes[:-1]:
                settings = self._settings(*size)
                if budget == "images" and size != sizes[-1]:
                    training = replace(settings.training, num_epochs=epochs_for(settings, budget_images))
                    settings = replace(settings, training=training)
                yield self._contender(settings, size, budget)

    def _contender(self, settings: ImageSettings, size: tuple[int, int, int], budget: Budget) -> Contender:
        num_images, num_tasks, num_classes = size
        label = f"i{num_images} CL{num_tasks} H{num_classes}"
        learned = settings.life.num_instances
        return Contender(
            label=label if budget == self.budgets[0] else f"{label} equal {budget}",
            title=f"i = {num_images}, h_CL = {num_tasks}, h_H = {num_classes}",
            note=f"hyper-trained on lives of {num_tasks} classes, {learned} of {num_images} images of each learned; "
            f"{settings.training.num_epochs} epochs",
            settings=settings,
            facts={"budget": budget, "images_of_class": num_images, "num_learned": learned},
        )

    def _settings(self, num_images: int, num_tasks: int, num_classes: int) -> ImageSettings:
        learned = _num_learned(num_images, self.life)
        of_learned, of_others, of_apart = self.training.hyper_mix
        if num_images == learned:
            of_learned, of_others = of_learned + of_others, 0.0
        training = replace(
            self.training,
            train_tasks=num_tasks,
            train_classes=num_classes,
            train_held_out=num_images - learned,
            hyper_batch_size=_in_proportion(self.training.hyper_batch_size, num_tasks, self.training.train_tasks),
            hyper_mix=(of_learned, of_others, of_apart),
        )
        return ImageSettings(
            data=self.data,
            network=self.network,
            life=replace(self.life, num_instances=learned),
            training=training,
            seed=self.seed,
        )


def _num_learned(num_images: int, life: LifeSettings) -> int:
    return min(life.num_instances, (num_images + 1) // 2)


def _in_proportion(hyper_batch_size: int, num_tasks: int, most_tasks: int) -> int:
    return max(1, round(hyper_batch_size * num_tasks / most_tasks))


_LAPTOP = Config()

PRESETS: dict[str, Config] = {
    "laptop": _LAPTOP,
    "smoke": Config(
        network=NetworkSettings(maps=(8, 8, 8), num_channels=4, phenotype_units=4, num_outputs=7),
        life=LifeSettings(num_tasks=3, num_instances=3, steps_per_task=2, num_held_out=3, num_lives=4),
        training=TrainingSettings(
            population=2, num_epochs=3, train_tasks=6, train_classes=7, train_held_out=3, hyper_batch_size=24
        ),
        images_of_class=(1, 6),
        tasks_of_stream=(3, 6),
        classes_of_stream=(4, 7),
        threads=1,
    ),
    # Dissertation, section 6.4.3: 10 million parameters, both rates .001.
    "paper": Config(
        network=PAPER_NETWORK,
        life=LifeSettings(num_tasks=3, steps_per_task=25),
        training=replace(PAPER_TRAINING, train_held_out=15),
        budgets=("epochs",),
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    check_comparison(config.contenders, config.life)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains every setting, or goes on doing so, and deploys all on the same lives."""
    torch.set_num_threads(config.threads)
    record.note(threads=config.threads, parameters=config.network.count(config.data)._asdict())
    with record.timed("training_seconds"):
        compare(record, config.contenders, config.life, load_pools(config.data), console)
