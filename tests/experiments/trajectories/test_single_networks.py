"""`omniglot-oml` and `omniglot-anml`, on digits: a run, a run gone on with, and what can be done with a finished one."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from rich.console import Console
from tests.systems.trajectories.digits import NUM_CLASSES, digits_for_omniglot

from hyperlearning.engine.run_record import RunError, RunRecord
from hyperlearning.experiments.trajectories import omniglot_anml, omniglot_oml
from hyperlearning.experiments.trajectories.verbs import CompareTests, FurtherTest
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.settings import ContinualConfig, LongTestSettings, TrajectorySettings

CONSOLE = Console(quiet=True)
CLAIMS = {"omniglot-oml": omniglot_oml, "omniglot-anml": omniglot_anml}
TEST = FurtherTest(num_classes=4, num_runs=2, heads=("last_layer", "whitened"))


def _config(module: ModuleType) -> ContinualConfig:
    return replace(
        module.PRESETS["smoke"],
        data=CharacterSettings(meta_train_classes=NUM_CLASSES, meta_test_classes=NUM_CLASSES),
        training=TrajectorySettings(num_steps=2, images_per_class=3, remember_size=4, inner_lr=0.03),
        test=LongTestSettings(test_classes=(3, 5), num_runs=2, lrs=(0.003,), sgd_lrs=(0.001,), lr_runs=1),
    )


def _run(root: Path, name: str, experiment: str = "omniglot-oml") -> RunRecord:
    config = _config(CLAIMS[experiment])
    record = RunRecord.create(root, experiment, name, config)
    CLAIMS[experiment].check(config)
    CLAIMS[experiment].run(config, record, CONSOLE)
    return record


@pytest.mark.parametrize("experiment", CLAIMS)
def test_a_run_gone_on_with_says_the_same_and_a_page_begins_with_the_claim(
    experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    digits_for_omniglot(monkeypatch)
    record, module = _run(tmp_path, "a", experiment), CLAIMS[experiment]
    metrics = record.path / "metrics.jsonl"
    whole = metrics.read_text()
    metrics.write_text("".join(whole.splitlines(keepends=True)[:-2]))
    module.run(_config(module), record, CONSOLE)
    assert metrics.read_text() == whole
    glance = module.EXPERIMENT.report(record).sections[0]
    assert (glance.title, len(glance.pictures), len(glance.tables[0].rows)) == ("At a glance", 1, 10)


def test_a_finished_run_is_tested_anew_compared_and_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    record, verbs = _run(tmp_path, "a"), omniglot_oml.EXPERIMENT.verbs
    values = verbs["evaluate"].act(record, TEST).values
    assert set(values["oml whitened memory"]) == {"mean", "ci95"}
    assert len(values) == 4
    both = verbs["compare"].act(record, CompareTests(other=record.path))
    assert both.values["oml last_layer held_out"]["difference"] == {"mean": 0.0, "ci95": 0.0}
    assert [row[2] for row in both.table.rows] == ["5"] * 10
    life = omniglot_oml.EXPERIMENT.load(record).deployment(num_classes=3)
    image = torch.randint(0, 256, (1, 1, 28, 28)).byte()
    for _ in range(30):
        life.observe(image, torch.tensor([4]))
    assert life.predict(image).argmax() == 4


def test_runs_of_two_claims_are_not_compared(tmp_path: Path):
    ours, theirs = (RunRecord.create(tmp_path, name, "a", _config(CLAIMS[name])) for name in CLAIMS)
    with pytest.raises(RunError, match=r"Expected another run of omniglot-oml, but .* is of omniglot-anml"):
        omniglot_oml.EXPERIMENT.verbs["compare"].act(ours, CompareTests(other=theirs.path))


def test_runs_that_met_other_classes_are_not_paired(tmp_path: Path):
    config = _config(omniglot_oml)
    ours = RunRecord.create(tmp_path, "omniglot-oml", "a", config)
    theirs = RunRecord.create(tmp_path, "omniglot-oml", "b", replace(config, seed=1))
    with pytest.raises(RunError, match="met the same meta-test runs, but `seed` is 0 and 1"):
        omniglot_oml.EXPERIMENT.verbs["compare"].act(ours, CompareTests(other=theirs.path))


def test_a_network_of_the_other_experiment_is_refused():
    with pytest.raises(ValueError, match="`architecture` to be 'oml' in this experiment, but got 'anml'"):
        omniglot_oml.check(omniglot_anml.PRESETS["smoke"])
