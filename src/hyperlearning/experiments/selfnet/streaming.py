"""What the claims about streams of image tasks declare alike: their settings are of one kind, and their runs are opened alike."""

from collections.abc import Mapping

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, over_runs_in, page_of
from hyperlearning.experiments.selfnet.entering import enter_stores
from hyperlearning.systems.selfnet.stream_life import StreamConfig, check_life, live, load_life


def stream_experiment(module: str, *, claim: str, presets: Mapping[str, StreamConfig]) -> Experiment:
    """Declares a claim about a stream.

    Args:
        module: The claim's `__name__`.
        claim: The claim in one sentence.
        presets: Settings by name, the default first.
    """
    return Experiment(
        claim=claim,
        presets=presets,
        check=check_life,
        run=live,
        report=page_of(module),
        enter=_enter,
        load=load_life,
        over_runs=over_runs_in("hyperlearning.systems.selfnet.over_seeds"),
    )


def _enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every store and every learner on the tasks of the run, a task a life."""
    config = record.settings(StreamConfig)
    return enter_stores(
        record,
        further,
        code_sizes=config.codes.code_sizes,
        kind=config.data.stream,
        data=config.data.dataset,
        seed=config.seed,
    )
