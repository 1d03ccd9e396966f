"""What the claims about continual hypernetworks declare alike: their settings are of one kind, and so are their runs."""

from collections.abc import Mapping

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, over_runs_in, page_of
from hyperlearning.systems.hypernetworks.continual_life import ContinualConfig, check_life, live, load_life
from hyperlearning.systems.hypernetworks.continual_lines import SCENARIOS, MethodLine, TasksLine


def continual_experiment(module: str, *, claim: str, presets: Mapping[str, ContinualConfig]) -> Experiment:
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
        over_runs=over_runs_in("hyperlearning.systems.hypernetworks.continual_seeds"),
    )


def _enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every method on the tasks of the run, a task a life, a scenario each."""
    refuse_further(record, further)
    config, tasks = record.settings(ContinualConfig), record.last(TasksLine).tasks
    met = []
    for scenario, title in SCENARIOS.items():
        lines = [line for line in record.lines(MethodLine) if line.scenario == scenario]
        first = config.hyper.variants[0]
        systems = tuple(
            Fared(
                system=line.method,
                title=line.title,
                enters=line.method == first,
                scores={"accuracy": line.last.accuracies},
            )
            for line in lines
        )
        facts = {"kind": config.data.stream, "data": config.data.dataset, "seed": config.seed, "tasks": tasks}
        met.append(
            MetLives(title=f"{len(tasks)} tasks, {title}", facts={**facts, "scenario": scenario}, systems=systems)
        )
    measure = Measure(name="accuracy", title="accuracy after the last task", unit="share")
    return Entry(measures=(measure,), met=tuple(met))
