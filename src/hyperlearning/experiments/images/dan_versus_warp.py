"""DANs against dense warp layers: the same trunk, the same training, as many parameters.

Claim (dissertation, section 6.4.4, figure 6.8): small networks shared by all neurons of a layer make hyper-training far more
efficient than the fully-connected warp layers of WarpGrad do.

The page `docs/experiments/dan-versus-warp.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated

from rich.console import Console

from hyperlearning.core.expect import Count, Rate, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.images.verbs import compared_classifiers, deploying_systems, entering, evaluating
from hyperlearning.systems.images.comparison import ComparedSystem, best_inner_rate, check_comparison, compare
from hyperlearning.systems.images.pools import Pools, load_pools
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


@dataclass(frozen=True, kw_only=True)
class Config:
    """Compare phenotypes that neurons share with dense innate layers."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    """The network of DANs; that of warp layers follows from it."""
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(num_epochs=200))
    inner_lrs: Annotated[tuple[Rate, ...], Some(distinct=True)] = (0.1, 0.3, 1.0)
    """Inner rates that each system chooses from, on validation lives of meta-train classes; a single one is taken as it is."""
    tuning_epochs: Count = 20
    """Epochs of each training that a rate is judged by."""
    with_plain: bool = True
    """Whether both are also compared without synaptic scaling and zeros at birth, as the source has them."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "auto"
    """Where it computes: a GPU if there is one, or cpu, or cuda."""
    threads: Count = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.network.warp:
            raise ValueError(
                "Expected `warp` to be off for the network that warp layers are matched with, but got it on."
            )
        if self.with_plain and self.network == self._plain:
            raise ValueError("Expected `with_plain` to be off where the DANs are plain already, but got it on.")

    @property
    def systems(self) -> tuple[ComparedSystem, ...]:
        """The systems, their inner rate yet to be chosen: DANs first."""
        dan, warp = "phenotypes shared by the neurons of a layer", "dense innate layers in place of phenotypes"
        without = "without synaptic scaling, synapses random at birth before hyper-training"
        plain_warp = replace(self._plain, warp=True)
        systems = (
            self._system("dan", "DANs", dan, self.network),
            self._system("warp", "warp layers", warp, replace(self.network, warp=True)),
            self._system("plain dan", "DANs, plain", f"{dan}; {without}", self._plain),
            self._system("plain warp", "warp layers, plain", f"{warp}; {without}", plain_warp),
        )
        return systems if self.with_plain else systems[:2]

    @property
    def _plain(self) -> NetworkSettings:
        return replace(self.network, synaptic_scaling=0.0, zero_start=False)

    def _system(self, label: str, title: str, note: str, network: NetworkSettings) -> ComparedSystem:
        settings = ImageSettings(
            data=self.data, network=network, life=self.life, training=self.training, seed=self.seed
        )
        return ComparedSystem(label=label, title=title, note=note, settings=settings)


PRESETS: dict[str, Config] = {
    "laptop": Config(),
    "smoke": Config(
        network=NetworkSettings(maps=(8, 8, 8), num_channels=4, phenotype_units=4, num_outputs=6),
        life=LifeSettings(num_tasks=4, steps_per_task=2, num_held_out=3, num_lives=4),
        training=TrainingSettings(
            population=2, num_epochs=3, train_tasks=5, train_classes=6, train_held_out=2, hyper_batch_size=20
        ),
        inner_lrs=(0.1, 0.3),
        tuning_epochs=1,
        with_plain=False,
        threads=1,
    ),
    # Dissertation, sections 6.4.1 and 6.4.4; DANs are plain there.
    "paper": Config(
        network=PAPER_NETWORK,
        life=LifeSettings(steps_per_task=25),
        training=PAPER_TRAINING,
        inner_lrs=(0.0003, 0.001, 0.003),
        tuning_epochs=100,
        with_plain=False,
    ),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    check_comparison(config.systems, config.life)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Chooses rates and hyper-trains every system, or goes on doing so, and deploys all on the same lives."""
    sizes = {system.label: system.settings.network.count(config.data)._asdict() for system in config.systems}
    record.note(threads=config.threads, parameters=sizes)
    pools = load_pools(config.data)
    with record.timed("training_seconds"):
        at_their_best = [_at_its_best(config, system, record, pools, console) for system in config.systems]
        compare(record, at_their_best, config.life, pools, console)


def _at_its_best(
    config: Config, system: ComparedSystem, record: RunRecord, pools: Pools, console: Console
) -> ComparedSystem:
    """Gives a system the rate that suits it, and says what was tried."""
    rate, trials = best_inner_rate(
        record,
        system,
        config.inner_lrs,
        num_epochs=config.tuning_epochs,
        life=config.life,
        pools=pools,
        console=console,
    )
    console.print(f"{system.title}: inner rate {rate:g}", highlight=False)
    training = replace(system.settings.training, inner_lr=rate)
    settings = replace(system.settings, training=training)
    return replace(system, settings=settings, facts={"inner_lr": rate, "trials": trials})


def load(record: RunRecord) -> dict[str, TrainedClassifier]:
    """Opens the systems of a run, by label."""
    config = record.settings(Config)
    return compared_classifiers(record, config.systems, config.life)


EXPERIMENT = Experiment(
    claim="Small networks shared by neurons learn better than dense warp layers of as many parameters.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": evaluating(load), "deploy": deploying_systems(load)},
    enter=entering(load),
    load=load,
)
