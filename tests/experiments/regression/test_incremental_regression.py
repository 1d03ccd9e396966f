"""Settings of every kind, and verbs on runs that do not fit."""

import dataclasses
from pathlib import Path

import pytest
from rich.console import Console

from hyperlearning.cli import run_command
from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import Made, RunRecord
from hyperlearning.experiments.regression.incremental_regression import EXPERIMENT, PRESETS
from hyperlearning.experiments.regression.verbs import CompareRuns
from hyperlearning.systems.regression.lines import MethodLine


@pytest.mark.parametrize(
    "settings",
    [
        ("paper", "--hidden-sizes", "6", "6", "--num-channels", "4", "--reset", "redraw"),
        ("notebook", "--hidden-sizes", "4", "4", "--num-channels", "4", "--phenotype-sizes", "5", "--num-outer-updates", "2"),
        ("smoke", "--num-tasks", "2", "--sharing", "layer", "--backend", "eager", "--num-polish-epochs", "0"),
        ("smoke", "--num-tasks", "3", "--reset", "learned", "--through", "5", "--update-every", "5"),
        ("smoke", "--num-tasks", "6", "--inner-optimizer", "adam", "--hidden-sizes", "3", "3", "--num-channels", "2"),
        ("smoke", "--inner-innate-lr", "0.001", "--hyper-scope", "memory_and_future", "--num-polish-epochs", "0"),
    ],
)  # fmt: skip
def test_settings_of_every_kind_run_to_the_end(settings: tuple[str, ...], tmp_path: Path):
    small = ("--population", "2", "--num-epochs", "1", "--updates-per-task", "10", "--num-functions", "4")
    preset, *fields = settings
    arguments = ["run", "incremental-regression", preset, *small, "--threads", "1", *fields, "--root", str(tmp_path)]
    assert run_command(arguments, Console(quiet=True)) == 0
    record = RunRecord(tmp_path / "incremental-regression" / preset)
    assert {line.method for line in record.lines(MethodLine)} >= {"dan", "dan_joint", "mlp_ewc", "rbf"}


def record_of(folder: Path, **settings: int) -> RunRecord:
    config, made = dataclasses.replace(PRESETS["smoke"], **settings), Made(preset="smoke", command="", device="cpu")
    return RunRecord.create(
        folder, "incremental-regression", f"run{len(list(folder.rglob('config.json')))}", config, made=made
    )


def test_runs_that_met_other_functions_are_not_compared(tmp_path: Path):
    first, other = record_of(tmp_path), record_of(tmp_path, seed=1)
    with pytest.raises(RunError, match="`seed` is 0 and 1"):
        EXPERIMENT.verbs["compare"].act(first, CompareRuns(other=other.path))


def test_a_run_that_has_not_deployed_its_network_is_not_compared(tmp_path: Path):
    first, other = record_of(tmp_path), record_of(tmp_path, threads=1)
    with pytest.raises(RunError, match="to have deployed its network"):
        EXPERIMENT.verbs["compare"].act(first, CompareRuns(other=other.path))
