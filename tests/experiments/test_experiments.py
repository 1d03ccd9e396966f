"""Every experiment, end to end at its smallest."""

import json
import os
from pathlib import Path

import pytest
import torch
from rich.console import Console

from hyperlearning.cli import run_command
from hyperlearning.data import prepared
from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.continual import total_error
from hyperlearning.experiments.registry import EXPERIMENTS
from hyperlearning.systems.regression.lives import evaluation_grid, hold_out
from hyperlearning.systems.regression.methods import baseline_methods
from hyperlearning.systems.regression.settings import StreamSettings

NEEDS_OMNIGLOT = ("omniglot-oml", "omniglot-anml", "omniglot-600")


def has_omniglot() -> bool:
    root = os.environ.get("HYPERLEARNING_DATA", "")
    splits = ("background", "evaluation")
    return bool(root) and all(
        prepared.split_path(CATALOGUE["omniglot"], split, Path(root)).is_file() for split in splits
    )


def call(*arguments: str) -> int:
    return run_command(arguments, Console(quiet=True))


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_smoke_leaves_a_report_with_a_picture(name: str, tmp_path: Path):
    if name in NEEDS_OMNIGLOT and not has_omniglot():
        pytest.skip("omniglot is not under HYPERLEARNING_DATA")
    has_digits = hasattr(EXPERIMENTS[name].presets["smoke"], "data") and name not in NEEDS_OMNIGLOT
    offline = ("--dataset", "digits") if has_digits else ()
    assert call("run", name, "smoke", *offline, "--root", str(tmp_path)) == 0
    page = (tmp_path / name / "smoke" / "report.html").read_text()
    assert "data:image/png;base64," in page


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_the_first_preset_is_the_quick_one_and_all_presets_build(name: str):
    presets = EXPERIMENTS[name].presets
    assert next(iter(presets)) in ("quick", "laptop")
    assert {"smoke", "paper"} <= set(presets)


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
    assert call(*arguments) == 0
    record = RunRecord(tmp_path / "incremental-regression" / preset)
    assert {line["method"] for line in record.lines("method")} >= {"dan", "dan_joint", "mlp_ewc", "rbf"}


def test_an_interrupted_ablation_goes_on_with_the_conditions_that_are_missing(tmp_path: Path):
    arguments = ("run", "regression-ablations", "smoke", "--studies", "num_channels", "--root", str(tmp_path))
    assert call(*arguments) == 0
    run = tmp_path / "regression-ablations" / "smoke"
    whole = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(whole.splitlines(keepends=True)[0])
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "finished": False}))
    assert call("resume", str(run)) == 0
    assert (run / "metrics.jsonl").read_text() == whole


def test_all_methods_meet_the_same_functions_and_the_budgets_differ_by_less_than_two_percent():
    settings = StreamSettings(updates_per_task=4)
    first, again = (hold_out(settings, 5, seed=3) for _ in range(2))
    assert torch.equal(first.stream.targets, again.stream.targets)
    assert all(abs(m.num_plastic - 5920) < 0.02 * 5920 for m in baseline_methods(5920, num_tasks=5, seed=0).values())


def test_no_training_function_is_among_the_held_out_ones():
    held_out = hold_out(StreamSettings(), 20, seed=0).values
    validation = hold_out(StreamSettings(), 20, seed=0, purpose="validation").values
    assert torch.cdist(held_out[..., 0], validation[..., 0]).min() > 1e-3


def test_the_evaluation_grid_has_equally_many_points_in_every_window():
    grid = evaluation_grid(5)[:, 0]
    assert torch.bincount(((grid + 5) / 2).floor().long()).tolist() == [50] * 5


def test_radial_basis_functions_keep_what_they_learned():
    held_out = hold_out(StreamSettings(), 8, seed=0)
    methods = baseline_methods(1000, num_tasks=5, seed=0)
    local, plain = (total_error(methods[name].live(held_out).errors).mean() for name in ("rbf", "mlp"))
    assert local < 0.01 < plain
