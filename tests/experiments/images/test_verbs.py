"""What can be done with a finished comparison: its systems open by label, live further lives, and are compared with others'."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch
from rich.console import Console
from tests.experiments.images.folders import write_digits

import hyperlearning as hl
from hyperlearning.cli import run_command
from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.comparing import CompareRuns, compare_runs
from hyperlearning.experiments.images.scaling import EXPERIMENT, PRESETS
from hyperlearning.experiments.images.verbs import FurtherLives, best_system
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES
from hyperlearning.systems.images.lines import MethodLine

RESULTS = Path(__file__).parents[3] / "results"

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


@pytest.mark.parametrize("experiment", ["scaling", "over-training", "dan-versus-warp"])
def test_the_best_system_recognises_most_held_out_images_of_meta_test_classes_and_of_equal_ones_comes_first(
    experiment: str,
):
    record = RunRecord(RESULTS / experiment / "laptop")
    means = {
        line.method: fmean(line.scores.generalization)
        for line in record.lines(MethodLine)
        if line.split == "meta_test" and not line.method.startswith(OWN_PROTOTYPES)
    }
    best = max(means, key=lambda name: means[name])
    assert best_system(record, means) == best
    assert best_system(record, [name for name in means if name != best]) != best


def test_of_equal_systems_the_first_is_the_best(run: Path, tmp_path: Path):
    record = RunRecord(shutil.copytree(run, tmp_path / "copy"))
    first = next(line for line in record.lines(MethodLine) if line.split == "meta_test" and line.method == "14k")
    record.append(replace(first, method="again"))
    assert [best_system(record, names) for names in (("14k", "again"), ("again", "14k"))] == ["14k", "again"]


def test_a_run_that_has_not_deployed_all_its_systems_has_no_best(run: Path):
    with pytest.raises(RunError, match=r"deployed all its systems, but .* lacks 99k.*or name a `--system`"):
        best_system(RunRecord(run), ("14k", "99k"))


def test_a_folder_is_learned_by_the_best_system_or_by_the_one_that_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, best = write_digits(tmp_path / "digits", ("a", "b")), best_system(RunRecord(run), ("14k", "30k"))
    (other,) = {"14k", "30k"} - {best}
    for options, system in (((), best), (("--system", other), other)):
        out = tmp_path / system
        assert run_command(["deploy", str(run), str(folder), "--out", str(out), *options], Console(width=200)) == 0
        said = capsys.readouterr().out
        assert (f"Of 14k, 30k, {system} was taken" in said) == (system == best)
        assert f"hyperlearning deploy {run} digits --system {system}" in (out / "report.html").read_text()
    kept = [
        json.loads((tmp_path / name / "errors.json").read_text())["share_not_recognised"] for name in ("14k", "30k")
    ]
    assert kept[0]["dan"]["numbers_kept"] < kept[1]["dan"]["numbers_kept"]


def test_a_system_that_a_run_lacks_is_refused_with_those_that_it_has(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write_digits(tmp_path / "digits", ("a", "b"))
    assert run_command(["deploy", str(run), str(folder), "--system", "99k"], Console(quiet=True)) == 1
    assert "Expected `system` among 14k, 30k, but got 99k" in capsys.readouterr().err
    assert not (tmp_path / "digits-learned").exists()


def test_a_comparison_that_has_not_been_trained_does_not_open(tmp_path: Path):
    record = RunRecord.create(tmp_path, "scaling", "smoke", PRESETS["smoke"])
    with pytest.raises(RunError, match="to have trained '14k'"):
        hl.load(record.path)
