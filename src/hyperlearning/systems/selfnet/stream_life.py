"""A life on a stream of image tasks, kept in every way: what the claims of figures 2.4 and 2.5 have in common."""

from dataclasses import dataclass, field, replace
from typing import Annotated, get_args

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, Some, Within, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.selfnet.comparison import Plan, compare_all
from hyperlearning.systems.selfnet.loading import KeptNetworks, kept_networks
from hyperlearning.systems.selfnet.settings import (
    CodeSettings,
    ContinualSettings,
    InferenceSettings,
    MaskSettings,
    StreamSettings,
    TaskTraining,
)
from hyperlearning.systems.selfnet.stores import SelfNetSizes, StoreName, stores_of
from hyperlearning.systems.selfnet.tasks import stream_tasks

ALL_STORES: tuple[StoreName, ...] = get_args(StoreName)
LAPTOP_STORES: tuple[StoreName, ...] = tuple(
    store for store in ALL_STORES if store not in ("self_net_code", "self_net_at_once")
)
"""All but the authors' loop, which shows one vector at a time, and what is no stream."""

QUICK_LEARNERS = ContinualSettings(
    learners=("sgd", "ewc", "replay"), trials=3, tuning_tasks=3, tuning_images=1000, replay_shares=(0.5,)
)
"""One of each kind."""


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """Learn a stream of tasks, keep their networks in every way, and learn the same tasks with one network."""

    data: StreamSettings
    training: TaskTraining
    codes: CodeSettings = field(default_factory=CodeSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    continual: ContinualSettings = field(default_factory=ContinualSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    buffer: Count = 1
    """Tasks of a stage, m."""
    latent: Count = 20
    """Numbers that Self-Net keeps of a vector, and principal components of a network, s."""
    hidden: tuple[Count, ...] = (200,)
    """Hidden units between a vector and its code, as the text has Self-Net."""
    pieces: Annotated[int, Within(1, 100)] = 1
    """Equal pieces that Self-Net cuts every network into."""
    stores: Annotated[tuple[StoreName, ...], Some(distinct=True)] = ALL_STORES
    """What keeps the task networks, beside networks that are kept as they are; coded networks have settings of their own."""
    thresholds: Annotated[tuple[Annotated[float, Within(0, 1)], ...], Some()] = (0.997,)
    """Cosine that ends a stage of Self-Net as the text and the code have it (text: .997)."""
    most_iterations: Count = 300
    """The most iterations of the first stage of Self-Net as the text and the code have it (authors' code: 100 to 300)."""
    later_iterations: Count = 300
    """Likewise of every later one."""
    own_iterations: Count = 1500
    """The most iterations of any stage of Self-Net of ours."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


def check_life(config: StreamConfig) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    _plan(config)
    if config.data.network == "patches" and "progress_and_compress" in config.continual.learners:
        raise ValueError(
            "Expected no progress_and_compress among `learners` for `network` patches: its columns are sequences of layers."
        )


def live(config: StreamConfig, record: RunRecord, console: Console) -> None:
    """Lives the life in every way, or goes on doing so."""
    record.note(threads=config.threads)
    compare_all(_plan(config), record, console)


def load_life(record: RunRecord) -> dict[str, KeptNetworks]:
    """Opens every store of a finished run, by name, with the networks of all tasks."""
    return kept_networks(_plan(record.settings(StreamConfig)), record)


def _plan(config: StreamConfig) -> Plan:
    tasks, own = stream_tasks(config.data, config.seed), config.continual
    most = min(own.tuning_images, config.data.most_images)
    trial = replace(config.data, num_tasks=min(own.tuning_tasks, config.data.num_tasks), most_images=most)
    sizes = SelfNetSizes(
        config.latent,
        (config.most_iterations, config.later_iterations),
        (config.own_iterations, config.own_iterations),
        thresholds=config.thresholds,
        every=True,
        hidden=config.hidden,
        pieces=config.pieces,
    )
    stores = stores_of(tasks, sizes, seed=config.seed)
    return Plan(
        config=config,
        tasks=tasks,
        others=stream_tasks(trial, config.seed, validation=True),
        training=config.training,
        stores={name: store for name, store in stores.items() if name in config.stores},
        codes=config.codes,
        masks=config.masks,
        continual=own,
        inference=config.inference,
        buffer=config.buffer,
        seed=config.seed,
    )


def smoke_of(quick: StreamConfig, *, num_tasks: int = 2) -> StreamConfig:
    """The shortest life that goes every way that `quick` and `laptop` go."""
    return replace(
        quick,
        data=replace(quick.data, num_tasks=num_tasks, most_images=40, test_images=40),
        training=replace(quick.training, task_epochs=1),
        codes=CodeSettings(code_sizes=(4, 8), code_epochs=1),
        masks=MaskSettings(mask_epochs=1),
        continual=ContinualSettings(trials=2, tuning_tasks=2, tuning_images=40, fisher_images=10),
        stores=(*LAPTOP_STORES, "self_net_code"),
        latent=2,
        hidden=(4,),
        most_iterations=3,
        later_iterations=2,
        own_iterations=3,
    )
