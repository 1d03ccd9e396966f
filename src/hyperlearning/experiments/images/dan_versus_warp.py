"""DANs against dense warp layers: the same trunk, the same training, as many parameters.

Claim (dissertation, section 6.4.4, figure 6.8): small networks shared by all neurons of a layer make hyper-training far more
efficient than the fully-connected warp layers of WarpGrad do.

The page `docs/experiments/dan-versus-warp.md` lists every deviation from the source.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.images.comparison import Contender, check_comparison, compare, tuned_rate
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

NAME = "dan-versus-warp"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Compare phenotypes that neurons share with dense innate layers."""

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    """The network of DANs; that of warp layers follows from it."""
    life: LifeSettings = field(default_factory=LifeSettings)
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(num_epochs=200))
    inner_lrs: tuple[float, ...] = (0.1, 0.3, 1.0)
    """Inner rates that each system chooses from, on validation lives of meta-train classes; a single one is taken as it is."""
    tuning_epochs: int = 20
    """Epochs of each training that a rate is judged by."""
    with_plain: bool = True
    """Whether both are also compared without synaptic scaling and zeros at birth, as the source has them."""
    seed: int = 0
    """Everything random follows from it."""
    threads: int = 2
    """Threads of the computation."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        if self.seed < 0 or min(self.threads, self.tuning_epochs) < 1:
            raise ValueError(
                "Expected a non-negative `seed` and positive `threads` and `tuning_epochs`, "
                f"but got {self.seed}, {self.threads} and {self.tuning_epochs}."
            )
        rates = self.inner_lrs
        if not rates or len(set(rates)) < len(rates) or min(rates) <= 0:
            raise ValueError(f"Expected `inner_lrs` to be different positive rates, one or more, but got {rates}.")
        if self.network.warp:
            raise ValueError(
                "Expected `warp` to be off for the network that warp layers are matched with, but got it on."
            )
        if self.with_plain and self.network == self._plain:
            raise ValueError("Expected `with_plain` to be off where the DANs are plain already, but got it on.")

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """The systems, their inner rate yet to be chosen: DANs first."""
        return tuple(self._contenders())

    @property
    def _plain(self) -> NetworkSettings:
        return replace(self.network, synaptic_scaling=0.0, zero_start=False)

    def _contenders(self) -> Iterator[Contender]:
        dan, warp = "phenotypes shared by the neurons of a layer", "dense innate layers in place of phenotypes"
        yield self._contender("dan", "DANs", dan, self.network)
        yield self._contender("warp", "warp layers", warp, replace(self.network, warp=True))
        if self.with_plain:
            without = "without synaptic scaling, synapses random at birth before hyper-training"
            yield self._contender("plain dan", "DANs, plain", f"{dan}; {without}", self._plain)
            plain_warp = replace(self._plain, warp=True)
            yield self._contender("plain warp", "warp layers, plain", f"{warp}; {without}", plain_warp)

    def _contender(self, label: str, title: str, note: str, network: NetworkSettings) -> Contender:
        settings = ImageSettings(
            data=self.data, network=network, life=self.life, training=self.training, seed=self.seed
        )
        return Contender(label=label, title=title, note=note, settings=settings)


_LAPTOP = Config()

PRESETS: dict[str, Config] = {
    "laptop": _LAPTOP,
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
    check_comparison(config.contenders, config.life)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Chooses rates and hyper-trains every system, or goes on doing so, and deploys all on the same lives."""
    torch.set_num_threads(config.threads)
    sizes = {c.label: c.settings.network.count(config.data)._asdict() for c in config.contenders}
    record.note(threads=config.threads, parameters=sizes)
    pools = load_pools(config.data)
    with record.timed("training_seconds"):
        tuned = [_tuned(config, contender, record, pools, console) for contender in config.contenders]
        compare(record, tuned, config.life, pools, console)


def _tuned(config: Config, contender: Contender, record: RunRecord, pools: Pools, console: Console) -> Contender:
    """Gives a system the rate that suits it, and says what was tried."""
    rate, trials = config.inner_lrs[0], {}
    if len(config.inner_lrs) > 1:
        rate, trials = tuned_rate(
            record,
            contender,
            config.inner_lrs,
            num_epochs=config.tuning_epochs,
            life=config.life,
            pools=pools,
            console=console,
        )
        console.print(f"{contender.title}: inner rate {rate:g}", highlight=False)
    settings = contender.settings
    facts = {"inner_lr": rate, "trials": {f"{k:g}": v for k, v in trials.items()}}
    training = replace(settings.training, inner_lr=rate)
    return replace(contender, settings=replace(settings, training=training), facts=facts)
