"""Semi-supervised class-incremental learning: what a run leaves, how it lives on, settings that are refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.experiments.images.folders import write_digits
from torch.nn.functional import avg_pool2d

import hyperlearning as hl
from hyperlearning.cli import run_command
from hyperlearning.data.image_folders import read_image_folder
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images.semi_supervised_class_incremental import PRESETS, Config, check
from hyperlearning.systems.folder import learn_folder
from hyperlearning.systems.images import build
from hyperlearning.systems.images.closed_form import TITLES as SOLVED
from hyperlearning.systems.images.lines import MethodLine
from hyperlearning.systems.images.semi_supervised import SupervisionSettings
from hyperlearning.systems.images.semi_supervised_folder import TwoOutputFolder
from hyperlearning.systems.images.settings import DataSettings, NetworkSettings


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    root = tmp_path_factory.mktemp("runs")
    arguments = "run semi-supervised-class-incremental smoke --dataset digits --side 14 --threads 1 --root".split()
    assert run_command([*arguments, str(root)], Console(quiet=True)) == 0
    return RunRecord(root / "semi-supervised-class-incremental" / "smoke")


def test_ways_of_supervision_meet_the_same_lives(record: RunRecord):
    methods = {line.method: line for line in record.lines(MethodLine) if line.split == "meta_test"}
    prototypes = {"prototypes_few", "prototypes_refined", "prototypes_all", "own_prototypes"}
    assert set(methods) == {"dan", "few", "all", *prototypes, *SOLVED}
    assert len({len(line.scores.generalization) for line in methods.values()}) == 1
    assert methods["dan"].pixel_error is not None
    assert "data:image/png;base64," in (record.path / "report.html").read_text()


def test_a_life_learns_from_an_image_with_a_label_and_others_without(record: RunRecord):
    life = hl.load(record.path).deployment()
    images = torch.rand(3, 1, 14, 14, generator=torch.Generator().manual_seed(0))
    before = life.predict(images)
    life.observe(images, torch.tensor([2]))
    after = life.predict(images)
    assert before.shape == (3, 5)
    assert after[0, 2] - after[0].mean() > before[0, 2] - before[0].mean()
    assert life.reconstruct(images).shape == (3, 7, 7)


def test_a_folder_is_learned_from_the_labels_that_each_life_says_it_is_told(
    record: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write_digits(tmp_path / "digits", ("a", "b", "c"), per_class=8)
    arguments = ["deploy", str(record.path), str(folder), "--out", str(tmp_path / "out")]
    assert run_command(arguments, Console(width=200)) == 0
    assert "the run's own life is told the label of 1" in capsys.readouterr().out
    facts = json.loads((tmp_path / "out" / "errors.json").read_text())["share_not_recognised"]
    titles = {name: facts[name]["title"] for name in ("dan", "dan_all", "means_few", "means")}
    told = {name for name, title in titles.items() if "1 labelled a class" in title}
    assert told == {"dan", "means_few"}
    assert {"bayes", "projected_ridge", "plain_replay"} <= set(facts)
    assert facts["means_few"]["numbers_kept"] == facts["means"]["numbers_kept"]


def test_a_folders_life_is_that_of_the_runs_own_deployment(record: RunRecord, tmp_path: Path):
    """Of each class the first image drawn has its label, the others have none."""
    trained = hl.load(record.path)
    pictures = read_image_folder(write_digits(tmp_path / "digits", ("a", "b"), per_class=8), side=14)
    learned = learn_folder(TwoOutputFolder(trained), pictures)
    few, every = trained.deployment(), trained.deployment()
    for label, batch in enumerate(learned.stream.batches):
        few.learn(learned.stream.images[batch], [label])
        every.learn(learned.stream.images[batch], [label] * len(batch))
    assert few.classify(learned.stream.images) == learned["dan"].chosen.tolist()
    assert every.classify(learned.stream.images) == learned["dan_all"].chosen.tolist()
    held_out = learned.stream.images[~learned.stream.is_learned]
    error = (few.reconstruct(held_out) - avg_pool2d(held_out, 2)[:, 0]).square().mean()
    assert learned["dan"].pixel_error == pytest.approx(float(error), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"supervision": SupervisionSettings(num_labelled=5)}, "Expected `num_labelled` below `num_instances`"),
        ({"supervision": SupervisionSettings(pixel_side=5)}, "Expected `pixel_side` to divide `side`"),
        ({"network": NetworkSettings(num_outputs=10)}, "Expected `hidden_sizes`"),
        ({"threads": 0}, "Expected `threads` to be positive"),
        ({"hidden_scaling": 0.0}, "Expected `hidden_scaling` to be positive"),
    ],
)
def test_supervision_that_cannot_be_is_refused(change: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        replace(Config(), **change)


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(ValueError, match="Expected `pixel_weight` to be positive"):
        SupervisionSettings(pixel_weight=0.0)


def test_the_memory_of_all_pixels_is_counted(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(build, "check_footprint", lambda estimate, device: seen.append(estimate.parameters))
    config = replace(PRESETS["smoke"], data=DataSettings(dataset="digits"))
    for side in (7, 14):
        check(replace(config, supervision=SupervisionSettings(pixel_side=side)))
    assert seen[1] > 2 * seen[0]
