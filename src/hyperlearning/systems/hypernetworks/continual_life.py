"""A stream that a hypernetwork and its rivals learn: what the claims about continual hypernetworks have in common."""

from dataclasses import dataclass, field, replace

from rich.console import Console

from hyperlearning.core.expect import Count, Seed, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.hypernetworks.continual_comparison import Plan, compare_all
from hyperlearning.systems.hypernetworks.continual_loading import WrittenNetworks, written_networks
from hyperlearning.systems.hypernetworks.continual_settings import (
    ContinualTaskSettings,
    HypernetSettings,
    InferenceSettings,
    RivalSettings,
)


@dataclass(frozen=True, kw_only=True)
class ContinualConfig:
    """Learn a stream of tasks by a hypernetwork, and in every other way, on one target network."""

    data: ContinualTaskSettings
    hyper: HypernetSettings = field(default_factory=HypernetSettings)
    rivals: RivalSettings = field(default_factory=RivalSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation."""

    def __post_init__(self) -> None:
        check_ranges(self)


def check_life(config: ContinualConfig) -> None:
    """Raises if settings contradict one another, or data are absent."""
    check_ranges(config)
    _plan(config).checked()


def live(config: ContinualConfig, record: RunRecord, console: Console) -> None:
    """Learns the stream in every way, or goes on doing so."""
    record.note(threads=config.threads)
    compare_all(_plan(config), record, console)


def load_life(record: RunRecord) -> dict[str, WrittenNetworks]:
    """Opens the hypernetworks of a finished run, by their variants, with the networks that they write for all tasks."""
    return written_networks(_plan(record.settings(ContinualConfig)), record)


def _plan(config: ContinualConfig) -> Plan:
    return Plan(config, config.data, config.hyper, config.rivals, config.inference, config.seed)


def smoke_of(quick: ContinualConfig, *, num_tasks: int = 2) -> ContinualConfig:
    """The shortest life that goes every way that other presets go."""
    return replace(
        quick,
        data=replace(quick.data, num_tasks=num_tasks, units=(8,), most_images=40, test_images=40),
        hyper=HypernetSettings(embedding_size=4, hidden=(4,), chunk_size=500, chunk_embedding_size=4, num_steps=4),
        rivals=RivalSettings(
            trials=2,
            tuning_tasks=2,
            tuning_images=40,
            fisher_images=10,
            replay_images=10,
            features=10,
            feature_images=40,
        ),
        inference=InferenceSettings(
            latent=4, decoder_units=8, decoder_chunk_size=500, decoder_steps=4, classifier_steps=4
        ),
    )
