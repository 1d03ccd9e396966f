"""A finished run of class-incremental learning: what it saved begins lives and is evaluated anew."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import hyperlearning as hl
from hyperlearning.cli import run_command
from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.comparing import CompareRuns, compare_runs
from hyperlearning.experiments.images.class_incremental import EXPERIMENT, PRESETS, Config
from hyperlearning.experiments.images.verbs import FurtherLives
from hyperlearning.systems.images.settings import LifeSettings

SETTINGS = (
    "run class-incremental smoke --dataset digits --num-epochs 2 --side 12 --maps 4 4 --num-lives 2 --baseline-lives 0 "
    "--no-with-prototypes --threads 1"
).split()


@pytest.fixture(scope="module", params=[0, 2], ids=["lives alone", "embedding first"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    arguments = [*SETTINGS, "--embedding-epochs", str(request.param), "--root", str(root)]
    assert run_command(arguments, Console(quiet=True)) == 0
    return root / "class-incremental" / "smoke"


def test_a_life_on_images_of_ones_own_changes_synapses_and_nothing_innate(run: Path):
    classifier = hl.load_classifier(run)
    life = classifier.deployment()
    images, labels = torch.rand(5, 1, 12, 12, generator=torch.Generator().manual_seed(0)), torch.full((5,), 3)
    before = life.predict(images)
    for _ in range(2):
        life.observe(images, labels)
    after = life.predict(images)
    assert before.shape == (5, 6)
    assert (after[:, 3] - after.mean(1) > before[:, 3] - before.mean(1)).all()
    network = classifier.settings.network.build(classifier.settings.data, 0)
    assert set(classifier.innate) == {name for name, _ in network.named_parameters() if network.is_innate(name)}


def test_an_evaluation_follows_from_its_seed_and_has_every_score_of_every_kind_of_lives(run: Path):
    record, evaluate = RunRecord(run), EXPERIMENT.verbs["evaluate"].act
    first, again, other = (evaluate(record, FurtherLives(num_lives=3, seed=seed)).values for seed in (7, 7, 8))
    assert first == again != other
    kinds, scores = ("meta-train", "meta-test", "meta-eval"), ("memory", "generalization", "forgetting")
    assert {f"{kind} {score}" for kind in kinds for score in scores} <= set(first)


def test_a_run_does_not_differ_from_its_copy_on_further_lives(run: Path, tmp_path: Path):
    copy = shutil.copytree(run, tmp_path / "copy")
    options = CompareRuns(runs=(str(run), str(copy)), num_lives=3)
    for comparison in compare_runs(options).values()["comparisons"].values():
        assert [pair["difference"]["mean"] for pair in comparison["pairs"]] == [0.0]


def test_a_run_of_another_experiment_is_refused(tmp_path: Path):
    record = RunRecord.create(tmp_path, "scaling", "y", PRESETS["smoke"])
    with pytest.raises(RunError, match="Expected a run of class-incremental"):
        hl.load_classifier(record.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline_lives": 1}, "`baseline_lives` to be 0 or at least 2"),
        ({"baseline_lives": -2}, "`baseline_lives` to be non-negative"),
        ({"baseline_lrs": (0.001, 0.0)}, "`baseline_lrs` to be positive and finite throughout"),
        ({"few_tasks": 4, "life": LifeSettings(num_tasks=3)}, "`few_tasks` to be from 1 to `num_tasks`"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Config(**change)
