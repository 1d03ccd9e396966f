"""`omniglot-oml` and `omniglot-anml`, on digits: a run, a run gone on with, and what can be done with a finished one."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.systems.trajectories.digits import NUM_CLASSES, digits_for_omniglot

from hyperlearning.engine.run_record import RunError, RunRecord
from hyperlearning.experiments.comparing import CompareRuns, compare_runs
from hyperlearning.experiments.trajectories import omniglot_anml, omniglot_oml
from hyperlearning.experiments.trajectories.verbs import FurtherTest
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.lines import LongTestLine
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


def _run(root: Path, name: str, experiment: str = "omniglot-oml", **changes: Any) -> RunRecord:
    config = replace(_config(CLAIMS[experiment]), **changes)
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


def test_a_finished_run_is_tested_anew_and_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    record, verbs = _run(tmp_path, "a"), omniglot_oml.EXPERIMENT.verbs
    values = verbs["evaluate"].act(record, TEST).values
    assert set(values["oml whitened memory"]) == {"mean", "ci95"}
    assert len(values) == 4
    life = omniglot_oml.EXPERIMENT.load(record).deployment(num_classes=3)
    image = torch.randint(0, 256, (1, 1, 28, 28)).byte()
    for _ in range(30):
        life.observe(image, torch.tensor([4]))
    assert life.predict(image).argmax() == 4


def test_runs_of_two_claims_are_compared_on_the_first_of_the_runs_that_both_have_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    digits_for_omniglot(monkeypatch)
    longer = replace(_config(omniglot_anml).test, num_runs=4)
    records = [_run(tmp_path, "a"), _run(tmp_path, "b", "omniglot-anml", test=longer)]
    for record in records:
        record.note(finished=True)
    compared = compare_runs(CompareRuns(runs=tuple(str(record.path) for record in records)))
    assert [outcome.facts["num_classes"] for outcome in compared.outcomes[::4]] == [5, 3]
    scores = compared.outcomes[0].scores
    own = {line.embedding: line.scores.held_out for record in records for line in _last_layers(record, 5)}
    assert (scores["a"], scores["b"]) == (own["oml"], own["anml"][:2])


def test_a_test_of_more_runs_begins_with_those_of_a_shorter_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    longer = replace(_config(omniglot_oml).test, num_runs=4)
    short, long = (_run(tmp_path, "a"), _run(tmp_path, "b", test=longer))
    means = [
        next(line.scores.held_out for line in record.lines(LongTestLine) if line.head == "euclidean")
        for record in (short, long)
    ]
    assert means[0] == means[1][:2]


def _last_layers(record: RunRecord, num_classes: int) -> list[LongTestLine]:
    lines = record.lines(LongTestLine)
    return [line for line in lines if (line.head, line.num_classes) == ("last_layer", num_classes)]


def test_runs_that_met_other_classes_are_not_paired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    ours, theirs = _run(tmp_path, "a"), _run(tmp_path, "b", seed=1)
    for record in (ours, theirs):
        record.note(finished=True)
    with pytest.raises(
        RunError, match=r"`seed` is 0 in .*a and 1 in .*b\. Let all of them live the same further lives"
    ):
        compare_runs(CompareRuns(runs=(str(ours.path), str(theirs.path))))


def test_a_network_of_the_other_experiment_is_refused():
    with pytest.raises(ValueError, match="`architecture` to be 'oml' in this experiment, but got 'anml'"):
        omniglot_oml.check(omniglot_anml.PRESETS["smoke"])
