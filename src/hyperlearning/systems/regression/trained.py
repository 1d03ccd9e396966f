"""What can be done with a finished run of incremental regression: begin lives, evaluate it anew, compare it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hyperlearning.core.params import Params
from hyperlearning.core.settings import from_json
from hyperlearning.engine.run_record import RunError, RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.learners.deployment import Deployment
from hyperlearning.reports.page import Table
from hyperlearning.systems.regression.build import System, build_system
from hyperlearning.systems.regression.lives import deploy, hold_out, scores_of
from hyperlearning.systems.regression.settings import NetworkSettings, StreamSettings, TrainingSettings


def experiment_of(record: RunRecord, experiments: Mapping[str, Any]) -> tuple[Any, Any]:
    """Finds a run's experiment and rebuilds its settings.

    Raises:
        RunError: If the experiment is unknown or the settings are of another version.
    """
    config = record.config
    experiment = experiments.get(config["experiment"])
    if experiment is None:
        raise RunError(f"Expected {record.path} to be of a known experiment, but it is of '{config['experiment']}'.")
    kind = type(next(iter(experiment.presets.values())))
    try:
        return experiment, from_json(kind, config["settings"])
    except (TypeError, KeyError, ValueError) as error:
        raise RunError(f"Expected settings of this version in {record.path}/config.json, but got: {error}.") from error


class TrainedRun(NamedTuple):
    """A finished run of incremental regression, ready to deploy.

    Attributes:
        system: Network and inner loop.
        stream: What a life consisted of in training.
        start: Synapses at birth.
        innate: The hyper-trained phenotype.
        training: How it was hyper-trained; the inner loop is the same in deployment.
    """

    system: System
    stream: StreamSettings
    start: Params
    innate: Params
    training: TrainingSettings

    def deployment(self) -> Deployment:
        """Begins a life: a network at birth, its phenotype fixed."""
        network = self.system.network
        values = {**dict(network.named_parameters()), **self.start}
        for name, parameter in network.named_parameters():
            parameter.data.copy_(values[name])
        return Deployment(
            network,
            self.innate,
            inner_lr=self.training.inner_lr,
            inner_optimizer=self.training.inner_optimizer,
        )


def load_run(path: str | Path) -> TrainedRun:
    """Loads what a run of incremental regression has hyper-trained.

    Args:
        path: The run's directory.

    Raises:
        RunError: If there is no such run, it is of another kind, or has not finished hyper-training.
        FileError: If its model file was altered.
    """
    record = RunRecord(path)
    _check_kind(record)
    settings = record.config["settings"]
    network = from_json(NetworkSettings, settings["network"])
    training = from_json(TrainingSettings, settings["training"])
    stream = from_json(StreamSettings, settings["stream"])
    system = build_system(network, training, stream, seed=settings["seed"])
    innate, start = load_model(record)
    return TrainedRun(system, stream, start, innate, training)


def evaluate(record: RunRecord, *, num_functions: int, seed: int) -> dict[str, Estimate]:
    """Deploys a run on functions that neither training nor its own evaluation has met.

    Args:
        record: The run.
        num_functions: How many functions, at least 2.
        seed: What they are drawn from.

    Returns:
        An estimate over functions of every score.

    Raises:
        ValueError: If `num_functions` is below 2.
    """
    if num_functions < 2:
        raise ValueError(f"Expected `num_functions` to be at least 2, but got {num_functions}.")
    run = load_run(record.path)
    held_out = hold_out(run.stream, num_functions, seed=seed, purpose="evaluate")
    lives = deploy(run.system.learner, run.start, run.innate, held_out, num_tasks=run.stream.num_tasks)
    return {name: estimate(values) for name, values in scores_of(lives.errors).items()}


def compare(first: RunRecord, second: RunRecord) -> Table:
    """Compares two runs over the held-out functions they share, pair by pair.

    Raises:
        RunError: If a run has not finished or they did not meet the same functions.
    """
    _check_kind(first)
    _check_kind(second)
    a, b = _dan_scores(first), _dan_scores(second)
    for name in ("stream", "seed", "num_functions"):
        if first.config["settings"].get(name) != second.config["settings"].get(name):
            raise RunError(
                f"Expected two runs that met the same functions, but `{name}` is "
                f"{first.config['settings'].get(name)} and {second.config['settings'].get(name)}."
            )
    rows = []
    for score in a:
        difference = paired_difference(a[score], b[score])
        verdict = "no clear difference" if difference.low <= 0 <= difference.high else "clear of 0"
        rows.append(
            (score.replace("_", " "), str(estimate(a[score])), str(estimate(b[score])), str(difference), verdict)
        )
    header = ("score", "A", "B", "A - B, paired", "95 % interval")
    return Table(title=f"A: {first.path}   B: {second.path}", header=header, rows=tuple(rows))


def _check_kind(record: RunRecord) -> None:
    if record.config["experiment"] != "incremental-regression":
        raise RunError(
            f"Expected a run of incremental-regression, but {record.path} is of {record.config['experiment']}."
        )


def _dan_scores(record: RunRecord) -> dict[str, list[float]]:
    for line in record.lines("method"):
        if line["method"] == "dan":
            return line["scores"]
    raise RunError(
        f"Expected {record.path} to have deployed its network, but it has not. "
        f"Finish it with `hyperlearning resume {record.path}`."
    )
