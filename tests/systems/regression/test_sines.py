"""OML's sine waves as an experiment: what is compared with what, and going on after an interruption."""

import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from hyperlearning.cli import run_command
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.regression.oml_regression import PRESETS, check
from hyperlearning.systems.regression.lives import HeldOut, Lives
from hyperlearning.systems.regression.methods import Tuned
from hyperlearning.systems.regression.sine_lives import hold_out_lives
from hyperlearning.systems.regression.sine_methods import DIVERGED, Baseline, choose, name_of
from hyperlearning.systems.regression.sine_settings import LifeSettings

METHODS = {
    "oml", "oml_joint", "oml_random", "dan", "dan_joint", "dan_random",
    "scratch", "scratch_joint", "replay", "ewc", "pretrained", "pretrained_joint",
}  # fmt: skip


def call(*arguments: str) -> int:
    return run_command(arguments, Console(quiet=True))


def test_an_interrupted_run_goes_on_to_the_same_methods_and_numbers(tmp_path: Path):
    assert call("run", "oml-regression", "smoke", "--root", str(tmp_path)) == 0
    run = tmp_path / "oml-regression" / "smoke"
    assert {line["method"] for line in RunRecord(run).lines("method")} == METHODS
    whole = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text("".join(whole.splitlines(keepends=True)[:5]))
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "finished": False}))
    assert call("resume", str(run)) == 0
    assert (run / "metrics.jsonl").read_text() == whole


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_can_be_built(preset: str):
    check(PRESETS[preset])
    assert PRESETS[preset].life.capacity >= PRESETS[preset].life.num_tasks


def test_held_out_lives_are_the_same_every_time_and_not_the_validation_lives():
    first, again = (hold_out_lives(LifeSettings(), 3, seed=1) for _ in range(2))
    other = hold_out_lives(LifeSettings(), 3, seed=1, purpose="validation")
    assert torch.equal(first.stream.targets, again.stream.targets)
    assert not torch.equal(first.values, other.values)


def test_the_choice_falls_on_the_lowest_total_error_and_a_life_that_diverged_counts():
    held_out = hold_out_lives(LifeSettings(num_tasks=2, capacity=2), 2, seed=0)
    errors = {("sgd", 0.1): 3.0, ("sgd", 0.2): float("nan"), ("adam", 0.1): 2.0}

    def live(held_out: HeldOut, tuned: Tuned, strength: float) -> Lives:
        return Lives(torch.full((2, 3, 2), errors[tuned.optimizer, tuned.lr]), torch.zeros(3, 2, 4))

    chosen = choose(Baseline("", "", 0, live), held_out, sgd_lrs=(0.1, 0.2), adam_lrs=(0.1,))
    assert name_of(chosen.tuned, chosen.strength) == "adam 0.1"
    assert chosen.trials == {"sgd 0.1": 3.0, "sgd 0.2": DIVERGED, "adam 0.1": 2.0}


@pytest.mark.parametrize(("field", "value"), [("num_tasks", 1), ("batch_size", 0), ("updates_per_task", 0)])
def test_sizes_out_of_range_are_refused(field: str, value: int):
    with pytest.raises(ValueError, match="Expected at least 2 of `num_tasks`"):
        LifeSettings(**{field: value})


def test_a_code_with_fewer_places_than_tasks_is_refused():
    with pytest.raises(ValueError, match=r"Expected `capacity` to be at least `num_tasks` \(10\), but got 9\."):
        LifeSettings(capacity=9)
