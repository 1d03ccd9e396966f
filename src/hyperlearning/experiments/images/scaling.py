"""Scaling: larger networks of Deep Artificial Neurons learn better, hyper-trained on a mixture of data sets.

Claim (dissertation, section 6.4.5, figure 6.9): of three populations of five, with 25, 75 and 200 million parameters each and
hyper-trained on Omniglot, Fashion-MNIST, CIFAR-100 and mini-ImageNet, the larger ones generalize better; the largest reach
nearly 92 % after learning ten MNIST digits in sequence, five images each.

The page `docs/experiments/scaling.md` lists every deviation from the source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.images.verbs import compared_classifiers, deploying_systems, entering, evaluating
from hyperlearning.systems.images.comparison import ComparedSystem, check_comparison, compare
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import (
    PAPER_TRAINING,
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)
from hyperlearning.systems.images.trained import TrainedClassifier


def _papers(maps: int, hidden: int, side: int, units: int) -> NetworkSettings:
    """A network of the dissertation's ladder, with convolutions normalized in groups."""
    return NetworkSettings(
        maps=(maps,) * 3,
        hidden_sizes=(hidden, hidden),
        num_channels=side**2,
        phenotype="conv",
        phenotype_units=units,
        synaptic_scaling=0.0,
        zero_start=False,
    )


SIZES: Mapping[str, NetworkSettings] = MappingProxyType(
    {
        "14k": NetworkSettings(maps=(8, 8, 8), num_channels=4, phenotype_units=4),
        "30k": NetworkSettings(maps=(16, 16, 16), num_channels=4, phenotype_units=4),
        "50k": NetworkSettings(maps=(16, 32, 32, 32)),
        "150k": NetworkSettings(),
        "500k": NetworkSettings(maps=(48, 104, 104, 104), num_channels=25),
        "1.5M": NetworkSettings(maps=(104, 208, 208, 208), num_channels=25),
        "25M": _papers(96, 195, 8, 128),
        "75M": _papers(160, 293, 9, 256),
        "200M": _papers(256, 412, 10, 512),
    }
)
"""Networks by about their number of parameters with 25 outputs and images of 28 x 28."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Vary the size of the network and nothing else."""

    data: DataSettings = field(default_factory=lambda: DataSettings(dataset="mixture"))
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(population=5, num_epochs=200))
    sizes: Annotated[tuple[str, ...], Some(distinct=True)] = ("50k", "150k", "500k")
    """Networks to compare, about this many parameters each: 14k, 30k, 50k, 150k, 500k, 1.5M, 25M, 75M or 200M."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if set(self.sizes) - set(SIZES):
            raise ValueError(f"Expected `sizes` to be among {', '.join(SIZES)}, but got {self.sizes}.")

    @property
    def systems(self) -> tuple[ComparedSystem, ...]:
        """The systems, in the order of `sizes`."""
        return tuple(self._system(size) for size in self.sizes)

    def _system(self, size: str) -> ComparedSystem:
        num_outputs = max(self.training.train_classes, self.life.num_tasks)
        network = replace(SIZES[size], num_outputs=num_outputs)
        settings = ImageSettings(
            data=self.data, network=network, life=self.life, training=self.training, seed=self.seed
        )
        total = network.count(self.data).total
        return ComparedSystem(
            label=size,
            title=f"{total:,} parameters",
            note=f"maps {network.maps}, {network.num_channels} channels, a population of {self.training.population}",
            settings=settings,
            facts={"num_parameters": total},
        )


PRESETS: dict[str, Config] = {
    "laptop": Config(),
    "smoke": Config(
        data=DataSettings(),
        life=LifeSettings(num_tasks=4, steps_per_task=2, num_held_out=3, num_lives=4),
        training=TrainingSettings(
            population=2, num_epochs=3, train_tasks=5, train_classes=6, train_held_out=2, hyper_batch_size=20
        ),
        sizes=("14k", "30k"),
        threads=1,
    ),
    # Dissertation, sections 6.4.5 (sizes, population, data) and 6.4.1 (all else).
    "paper": Config(
        life=LifeSettings(steps_per_task=25),
        training=replace(PAPER_TRAINING, population=5),
        sizes=("25M", "75M", "200M"),
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, data are absent or a size does not fit into memory, before a run exists."""
    check_comparison(config.systems, config.life)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Hyper-trains every size, or goes on doing so, and deploys all on the same lives."""
    sizes = {system.label: system.settings.network.count(config.data)._asdict() for system in config.systems}
    record.note(threads=config.threads, parameters=sizes)
    with record.timed("training_seconds"):
        compare(record, config.systems, config.life, load_pools(config.data), console)


def load(record: RunRecord) -> dict[str, TrainedClassifier]:
    """Opens the systems of a run, by label."""
    config = record.settings(Config)
    return compared_classifiers(record, config.systems, config.life)


EXPERIMENT = Experiment(
    claim="Larger networks, hyper-trained on a mixture of data sets, generalize better.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": evaluating(load), "deploy": deploying_systems(load)},
    enter=entering(load),
    load=load,
)
