"""Many small networks in few bytes: Self-Net's autoencoder, what needs no training, and networks that are born as short codes.

Claim (dissertation, section 2.4.2, figure 2.3): an autoencoder that is trained on its own recollections keeps 50 networks of
21,840 weights as 5 numbers each, "10x compression", at 95.7 percent. What does it keep in bytes, and what keeps more in fewer?

The page `docs/experiments/selfnet-compression.md` lists every deviation from the source.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, get_args

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, over_runs_in, page_of
from hyperlearning.experiments.selfnet.entering import enter_stores
from hyperlearning.systems.selfnet.comparison import Plan, compare_all
from hyperlearning.systems.selfnet.loading import KeptNetworks, kept_networks
from hyperlearning.systems.selfnet.settings import (
    CodeSettings,
    ContinualSettings,
    MaskSettings,
    TaskSettings,
    TaskTraining,
)
from hyperlearning.systems.selfnet.stores import SelfNetSizes, StoreName, stores_of
from hyperlearning.systems.selfnet.tasks import drawn_tasks


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn many tasks, keep their networks in every way, and compare accuracy and bytes."""

    data: TaskSettings = field(default_factory=TaskSettings)
    training: TaskTraining = field(default_factory=TaskTraining)
    codes: CodeSettings = field(default_factory=CodeSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    continual: ContinualSettings = field(default_factory=ContinualSettings)
    buffer: Count = 5
    """Tasks of a stage, m."""
    latent: Count = 5
    """Numbers that Self-Net, and principal components, keep of a network, s."""
    stores: Annotated[tuple[StoreName, ...], Some(distinct=True)] = get_args(StoreName)
    """What keeps the task networks, beside networks that are kept as they are; coded networks have settings of their own."""
    most_iterations: Count = 1800
    """The most iterations of Self-Net's first stage (authors' code: 1800)."""
    later_iterations: Count = 600
    """Likewise of every later one (authors' code: 350)."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


_QUICK = Config(
    data=TaskSettings(num_tasks=20, most_images=2000),
    stores=("mean", "principal", "bits_4", "bits_2", "ternary", "self_net"),
    codes=CodeSettings(code_sizes=(64, 128)),
    continual=ContinualSettings(learners=("sgd", "ewc"), trials=3, tuning_images=500),
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": Config(),
    "hundred": Config(data=TaskSettings(num_tasks=100), buffer=10, latent=10),
    "smoke": replace(
        _QUICK,
        data=TaskSettings(num_tasks=4, most_images=20),
        training=TaskTraining(task_epochs=1),
        codes=CodeSettings(code_sizes=(4, 8), code_epochs=1),
        masks=MaskSettings(mask_epochs=1),
        continual=ContinualSettings(trials=2, tuning_tasks=2, tuning_images=20, fisher_images=10),
        stores=(
            "source",
            "mean",
            "principal",
            "bits_4",
            "ternary",
            "self_net",
            "self_net_text",
            "self_net_code",
            "self_net_at_once",
        ),
        buffer=2,
        latent=2,
        most_iterations=3,
        later_iterations=2,
    ),
    "paper": Config(),
}


def check(config: Config) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    _plan(config)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Learns all tasks, or goes on doing so, lets every store take the networks in, and learns all tasks in every other way."""
    record.note(threads=config.threads)
    compare_all(_plan(config), record, console)


def _plan(config: Config) -> Plan:
    tasks = drawn_tasks(config.data, config.seed)
    most = min(config.continual.tuning_images, config.data.most_images)
    trial = replace(config.data, num_tasks=config.continual.tuning_tasks, most_images=most)
    sizes = SelfNetSizes(config.latent, (config.most_iterations, config.later_iterations))
    stores = stores_of(tasks, sizes, seed=config.seed)
    return Plan(
        config=config,
        tasks=tasks,
        others=drawn_tasks(trial, config.seed, validation=True),
        training=config.training,
        stores={name: store for name, store in stores.items() if name in config.stores},
        codes=config.codes,
        masks=config.masks,
        continual=config.continual,
        inference=None,
        buffer=config.buffer,
        seed=config.seed,
    )


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every store and every learner on the tasks of the run, a task a life."""
    config = record.settings(Config)
    return enter_stores(
        record, further, code_sizes=config.codes.code_sizes, kind="binary tasks", data=config.data.dataset
    )


def load(record: RunRecord) -> dict[str, KeptNetworks]:
    """Opens every store of a finished run, by name, with the networks of all tasks."""
    return kept_networks(_plan(record.settings(Config)), record)


EXPERIMENT = Experiment(
    claim="An autoencoder keeps 50 networks in the bytes of five; networks that are born as codes take a thousandth.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
    load=load,
    over_runs=over_runs_in("hyperlearning.systems.selfnet.over_seeds"),
)
