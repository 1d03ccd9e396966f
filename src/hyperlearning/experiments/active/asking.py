"""What the claims about strategies with one recipe declare alike."""

from collections.abc import Mapping
from statistics import fmean

from hyperlearning.core.settings import to_json
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.systems.active.asking import AskConfig, check_asking, live_asking
from hyperlearning.systems.active.lines import LifeLine


def asking_experiment(module: str, *, claim: str, presets: Mapping[str, AskConfig]) -> Experiment:
    """Declares a claim.

    Args:
        module: The claim's `__name__`.
        claim: The claim in one sentence.
        presets: Settings by name, the default first.
    """
    return Experiment(
        claim=claim,
        presets=presets,
        check=check_asking,
        run=live_asking,
        report=page_of(module),
        enter=_enter,
    )


def _enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every strategy on the lives of the run."""
    refuse_further(record, further)
    config = record.settings(AskConfig)
    lives: dict[str, list[LifeLine]] = {}
    for line in sorted(record.lines(LifeLine), key=lambda line: line.seed):
        lives.setdefault(line.strategy, []).append(line)
    best = max(lives, key=lambda name: fmean(line.last.accuracy for line in lives[name]))
    systems = tuple(
        Fared(
            system=name,
            title=lines[0].title,
            enters=name == best,
            scores={"accuracy": [line.last.accuracy for line in lines]},
        )
        for name, lines in lives.items()
    )
    facts = {
        "data": to_json(config.data),
        "questions": to_json(config.questions),
        "recipe": to_json(config.recipe),
        "seed": config.seed,
    }
    met = MetLives(title=f"{config.questions.num_seeds} lives", facts=facts, systems=systems)
    return Entry(measures=(Measure(name="accuracy", title="accuracy after the last round", unit="share"),), met=(met,))
