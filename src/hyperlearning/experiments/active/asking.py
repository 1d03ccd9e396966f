"""What the claims about strategies declare alike."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.active.entering import enter_lives
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.systems.active.asking import Asking, Conditions, check_conditions, live_conditions

Config = TypeVar("Config", bound=Asking)


def asking_experiment(
    module: str,
    *,
    claim: str,
    presets: Mapping[str, Config],
    conditions: Callable[[Config], Conditions],
) -> Experiment:
    """Declares a claim.

    Args:
        module: The claim's `__name__`.
        claim: The claim in one sentence.
        presets: Settings by name, the default first.
        conditions: What settings vary.
    """
    kind = type(next(iter(presets.values())))

    def check(config: Config) -> None:
        check_conditions(config, conditions(config))

    def run(config: Config, record: RunRecord, console: Console) -> None:
        live_conditions(config, conditions(config), record, console)

    def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
        return enter_lives(record, further, record.settings(kind))

    return Experiment(claim=claim, presets=presets, check=check, run=run, report=page_of(module), enter=enter)
