"""Over-training: the more a life of hyper-training holds, the better short lives go in deployment.

Claim (dissertation, section 6.4.3, figures 6.5 to 6.7): deployed on three classes, one after another, a network of Deep
Artificial Neurons remembers and generalizes better the more images of a class, classes learned and classes in all its
hyper-streams had; model size is the same throughout.

The page `docs/experiments/over-training.md` lists every deviation from the source.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.images.verbs import compared_classifiers, deploying_systems, entering, evaluating
from hyperlearning.systems.images.comparison import ComparedSystem, check_comparison, compare, epochs_for
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
from hyperlearning.systems.images.trained import TrainedClassifier
from hyperlearning.systems.images.training import images_per_epoch

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
    images_of_class: Annotated[tuple[Count, ...], Some()] = (1, 5, 10, 20)
    """Images of a class on the hyper-stream, the papers' i, one number for each setting. Half of them, rounded up, are learned,
    but no more than a deployed life learns; the others are for the hyper-loss."""
    tasks_of_stream: Annotated[tuple[Count, ...], Some()] = (3, 6, 10, 20)
    """Classes learned on the hyper-stream, the papers' h_CL, of each setting."""
    classes_of_stream: Annotated[tuple[Count, ...], Some()] = (5, 10, 15, 25)
    """Classes on the hyper-stream in all, the papers' h_H, of each setting."""
    budgets: Annotated[tuple[Budget, ...], Some(distinct=True)] = ("images", "epochs")
    """What all settings get as much of: images met in hyper-training, which is compute, or generations of lives."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        sizes = (self.images_of_class, self.tasks_of_stream, self.classes_of_stream)
        if len({len(numbers) for numbers in sizes}) > 1:
            raise ValueError(
                "Expected as many numbers in `images_of_class`, `tasks_of_stream` and `classes_of_stream`, "
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
    def systems(self) -> tuple[ComparedSystem, ...]:
        """All systems: smallest setting first, budget by budget; the largest setting, the same in both, once."""
        return tuple(self._systems())

    def _systems(self) -> Iterator[ComparedSystem]:
        sizes = list(zip(self.images_of_class, self.tasks_of_stream, self.classes_of_stream, strict=True))
        largest = self._settings(*sizes[-1])
        budget_images = self.training.num_epochs * images_per_epoch(largest)
        for budget in self.budgets:
            for size in sizes if budget == self.budgets[0] else sizes[:-1]:
                settings = self._settings(*size)
                if budget == "images" and size != sizes[-1]:
                    training = replace(settings.training, num_epochs=epochs_for(settings, budget_images))
                    settings = replace(settings, training=training)
                yield self._system(settings, size, budget)

    def _system(self, settings: ImageSettings, size: tuple[int, int, int], budget: Budget) -> ComparedSystem:
        num_images, num_tasks, num_classes = size
        label = f"i{num_images} CL{num_tasks} H{num_classes}"
        learned = settings.life.num_instances
        return ComparedSystem(
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
            hyper_batch_size=max(1, round(self.training.hyper_batch_size * num_tasks / self.training.train_tasks)),
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


PRESETS: dict[str, Config] = {
    "laptop": Config(),
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
    check_comparison(config.systems, config.life)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains every setting, or goes on doing so, and deploys all on the same lives."""
    record.note(threads=config.threads, parameters=config.network.count(config.data)._asdict())
    with record.timed("training_seconds"):
        compare(record, config.systems, config.life, load_pools(config.data), console)


def load(record: RunRecord) -> dict[str, TrainedClassifier]:
    """Opens the systems of a run, by label."""
    config = record.settings(Config)
    return compared_classifiers(record, config.systems, config.life)


EXPERIMENT = Experiment(
    claim="The more a life of hyper-training holds, the better short lives go in deployment.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": evaluating(load), "deploy": deploying_systems(load)},
    enter=entering(load),
    load=load,
)
