"""How lives of questions enter a comparison."""

from statistics import fmean
from typing import Any

from hyperlearning.core.settings import to_json
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.systems.active.lines import LifeLine

_OF_NO_LIFE = ("strategies", "device", "threads")
"""Settings that no life follows from."""


def enter_lives(record: RunRecord, further: FurtherLives | None, config: Any) -> Entry:
    """Every recipe with every strategy, on the lives of the run.

    Args:
        record: The run's record.
        further: Lives that it has not met, which are refused.
        config: The run's settings.
    """
    refuse_further(record, further)
    lives: dict[str, list[LifeLine]] = {}
    for line in sorted(record.lines(LifeLine), key=lambda line: line.seed):
        lives.setdefault(f"{line.recipe}_{line.strategy}", []).append(line)
    best = max(lives, key=lambda name: fmean(line.last.accuracy for line in lives[name]))
    systems = tuple(
        Fared(
            system=name,
            title=f"{lines[0].title}, {lines[0].recipe}",
            enters=name == best,
            scores={"accuracy": [line.last.accuracy for line in lines]},
        )
        for name, lines in lives.items()
    )
    known = {name: value for name, value in to_json(config).items() if name not in _OF_NO_LIFE}
    met = MetLives(title=f"{len(lives[best])} lives", facts=known, systems=systems)
    return Entry(measures=(Measure(name="accuracy", title="accuracy after the last round", unit="share"),), met=(met,))
