"""What can be done with a finished comparison: its systems open by label, live further lives, and are compared with others'."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

import hyperlearning as hl
from hyperlearning.cli import run_command
from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.comparing import CompareRuns, compare_runs
from hyperlearning.experiments.images.scaling import EXPERIMENT, PRESETS
from hyperlearning.experiments.images.verbs import FurtherLives

LIVES = FurtherLives(num_lives=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    arguments = "run scaling smoke --dataset digits --side 12 --num-epochs 1 --num-lives 2 --root".split()
    assert run_command([*arguments, str(root)], Console(quiet=True)) == 0
    return root / "scaling" / "smoke"


def test_every_system_of_a_comparison_opens_and_lives(run: Path):
    systems = hl.load(run)
    assert set(systems) == {"14k", "30k"}
    life = systems["14k"].deployment()
    life.observe(torch.rand(3, 1, 12, 12), torch.tensor([1, 1, 1]))
    assert life.num_updates == 1


def test_every_system_lives_further_lives_the_same_in_a_comparison_as_when_evaluated(run: Path, tmp_path: Path):
    evaluated = EXPERIMENT.verbs["evaluate"].act(RunRecord(run), LIVES).values
    assert {"14k meta-eval generalization", "30k meta-test memory"} <= set(evaluated)
    compared = compare_runs(CompareRuns(runs=(f"{run}:14k", f"{run}:30k"), num_lives=2)).values()["comparisons"]
    (pair,) = compared["meta-eval (all ten digits, other images), 2 lives of 4 classes: generalization"]["pairs"]
    assert pair["first"] == evaluated["14k meta-eval generalization"]
    assert pair["second"] == evaluated["30k meta-eval generalization"]


def test_runs_of_other_lives_are_not_compared(run: Path, tmp_path: Path):
    arguments = "run scaling smoke --dataset digits --side 12 --num-epochs 1 --num-lives 2 --num-held-out 2 --sizes 14k"
    assert run_command([*arguments.split(), "--root", str(tmp_path)], Console(quiet=True)) == 0
    with pytest.raises(RunError, match=r"`num_held_out` is 3 in .* and 2 in .* Compare runs that agree in it"):
        compare_runs(CompareRuns(runs=(str(run), str(tmp_path / "scaling" / "smoke"))))


def test_a_comparison_that_has_not_been_trained_does_not_open(tmp_path: Path):
    record = RunRecord.create(tmp_path, "scaling", "smoke", PRESETS["smoke"])
    with pytest.raises(RunError, match="to have trained '14k'"):
        hl.load(record.path)
