"""How runs of this family enter a comparison."""

from collections.abc import Iterable
from dataclasses import asdict

from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives
from hyperlearning.systems.regression.scores import Scores
from hyperlearning.systems.regression.settings import StreamSettings
from hyperlearning.systems.regression.sine_settings import LifeSettings
from hyperlearning.systems.regression.wave_pairs import PairSettings

MEASURES = (
    Measure(name="total_error", title="total error", unit="mean squared error", lower_is_better=True),
    Measure(name="memory_error", title="memory error", unit="mean squared error", lower_is_better=True),
    Measure(name="forgetting", title="forgetting", unit="mean squared error", lower_is_better=True),
    Measure(name="backward_transfer", title="backward transfer", unit="mean squared error"),
)


def fared(system: str, title: str, scores: Scores, *, enters: bool) -> Fared:
    """Says how a system of this family fared."""
    return Fared(system=system, title=title, enters=enters, scores=scores._asdict())


def functions_entry(
    stream: StreamSettings, num_functions: int, seed: int, systems: Iterable[Fared], *, further: FurtherLives | None
) -> Entry:
    """What runs on functions met piece by piece have to say.

    Args:
        stream: What a life consists of.
        num_functions: How many the run met itself; they are drawn together, so that of another number all are others.
        seed: What those were drawn from.
        systems: How systems fared.
        further: The lives they met instead of the run's own.
    """
    drawn = (num_functions, seed) if further is None else further
    kind = "functions met piece by piece"
    return _entry(kind, f"functions of {stream.num_tasks} pieces", "num_functions", stream, drawn, systems, further)


def sine_entry(
    life: LifeSettings, num_lives: int, seed: int, systems: Iterable[Fared], *, further: FurtherLives | None
) -> Entry:
    """Likewise of lives of sine waves."""
    drawn, kind = (num_lives, seed) if further is None else further, "sine waves one after another"
    return _entry(kind, f"lives of {life.num_tasks} sine waves", "num_lives", life, drawn, systems, further)


def pairs_entry(
    life: PairSettings, num_lives: int, seed: int, systems: Iterable[Fared], *, further: FurtherLives | None
) -> Entry:
    """Likewise of lives of pairs of waves."""
    drawn, kind = (num_lives, seed) if further is None else further, "pairs of waves one after another"
    return _entry(kind, f"lives of {life.num_tasks} pairs of waves", "num_lives", life, drawn, systems, further)


def _entry(
    kind: str,
    words: str,
    counted: str,
    life: StreamSettings | LifeSettings | PairSettings,
    drawn: tuple[int, int],
    systems: Iterable[Fared],
    further: FurtherLives | None,
) -> Entry:
    count, drawn_from = drawn
    purpose = "held-out" if further is None else "evaluate"
    facts = {"kind": kind, **asdict(life), counted: count, "seed": drawn_from, "purpose": purpose}
    met = MetLives(title=f"{count} {words}", facts=facts, systems=tuple(systems))
    return Entry(measures=MEASURES, met=(met,))
