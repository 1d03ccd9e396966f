"""What the claims about strategies with one recipe declare alike."""

from collections.abc import Mapping

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.active.entering import enter_lives
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.systems.active.asking import AskConfig, check_asking, live_asking


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
    config = record.settings(AskConfig)
    facts = {"data": config.data, "questions": config.questions, "recipe": config.recipe, "seed": config.seed}
    return enter_lives(record, further, **facts)
