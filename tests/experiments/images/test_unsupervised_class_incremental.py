"""Unsupervised class-incremental learning: what a run leaves, how it lives on, settings that are refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.experiments.images.folders import write_digits

import hyperlearning as hl
from hyperlearning.cli import run_command
from hyperlearning.core.tensor_files import load_tensors
from hyperlearning.data.image_folders import read_image_folder
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images.unsupervised_class_incremental import (
    EXPERIMENT,
    Config,
    DeploymentSettings,
    check,
)
from hyperlearning.experiments.images.verbs import FurtherLives
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.systems.folder import learn_folder
from hyperlearning.systems.images.autoencoder import TrainedAutoencoder, build_autoencoder
from hyperlearning.systems.images.autoencoder_folder import AutoencoderFolder
from hyperlearning.systems.images.autoencoder_lines import ReconstructionLine
from hyperlearning.systems.images.autoencoder_pictures import PicturesLine
from hyperlearning.systems.images.settings import DataSettings, LifeSettings, NetworkSettings


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    root = tmp_path_factory.mktemp("runs")
    arguments = "run unsupervised-class-incremental smoke --dataset digits --side 12 --threads 1 --root".split()
    assert run_command([*arguments, str(root)], Console(quiet=True)) == 0
    return RunRecord(root / "unsupervised-class-incremental" / "smoke")


def test_an_autoencoder_is_compared_with_references_and_leaves_pictures(record: RunRecord):
    on_eval = {line.method for line in record.lines(ReconstructionLine) if line.split == "meta_eval"}
    assert on_eval == {
        "dan", "dan_short", "dan_joint", "dan_frozen", "frozen", "frozen_finetuned", "mean_image", "components",
        "finetune", "joint",
    }  # fmt: skip
    pictures = record.last(PicturesLine)
    assert pictures.moments == [1, 8, 16]
    assert pictures.reconstructions.shape[:3] == [len(pictures.looks), 4, 2]
    assert "data:image/gif;base64," in (record.path / "report.html").read_text()


def test_a_life_on_images_without_labels_reconstructs_them_better_and_better(record: RunRecord):
    life = hl.load(record.path).deployment()
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    losses = [life.observe(images) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert life.predict(images).shape == images.shape
    assert life.num_updates == 5


def test_errors_of_further_lives_are_estimated(record: RunRecord):
    answer = EXPERIMENT.verbs["evaluate"].act(record, FurtherLives(num_lives=2))
    assert {"meta-eval memory", "meta-test generalization", "meta-train forward_transfer"} <= set(answer.values)


def test_a_folder_is_learned_without_its_labels_and_told_apart_by_the_code(
    record: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write_digits(tmp_path / "digits", ("a", "b", "c"), per_class=8)
    arguments = ["deploy", str(record.path), str(folder), "--out", str(tmp_path / "out")]
    assert run_command(arguments, Console(width=200)) == 0
    said = capsys.readouterr().out
    assert "and is told no label" in said
    assert "pixel error, held out" in said
    facts = json.loads((tmp_path / "out" / "errors.json").read_text())["share_not_recognised"]
    assert {"dan", "dan_frozen", "means", "bayes", "plain"} <= set(facts)
    code = 6  # Of the preset; a mean and a count for each class, and what logits need of it.
    assert facts["dan_frozen"]["numbers_kept"] == 3 * (code + 2)


def test_a_folders_autoencoder_is_the_one_of_the_runs_own_deployment(record: RunRecord, tmp_path: Path):
    """A mean of codes stays as it was when its class was met; the code that is looked at is the last."""
    trained = hl.load(record.path)
    pictures = read_image_folder(write_digits(tmp_path / "digits", ("a", "b"), per_class=8), side=12)
    learned = learn_folder(AutoencoderFolder(trained), pictures)
    images, life, means = learned.stream.images, trained.deployment(), []
    with torch.no_grad():
        for batch in learned.stream.batches:
            life.learn(images[batch])
            life.save(tmp_path / "life.safetensors")
            means.append(_codes(trained, tmp_path / "life.safetensors", images[batch]).mean(0))
        chosen = torch.cdist(_codes(trained, tmp_path / "life.safetensors", images), torch.stack(means)).argmin(1)
    assert torch.equal(learned["dan"].chosen, chosen)
    held_out = images[~learned.stream.is_learned]
    for name, own in (("dan", life), ("dan_frozen", trained.deployment())):
        error = (own.predict(held_out) - held_out).square().mean()
        assert learned[name].pixel_error == pytest.approx(float(error), rel=1e-5)
    assert learned["means"].pixel_error is None


def _codes(trained: TrainedAutoencoder, saved: Path, images: torch.Tensor) -> torch.Tensor:
    """The one hidden layer of the preset's autoencoder, by hand: drives of its synapses, then its phenotype."""
    network = build_autoencoder(trained.settings)
    network.load_state_dict({name.partition("/")[2]: tensor for name, tensor in _parameters(saved)})
    assert isinstance(network.head, DANNetwork)
    synapses = network.head.synapses["0_1"]
    drive = network.trunk(images) @ synapses.weight + synapses.bias
    return network.head.phenotypes[0](drive.unflatten(1, (-1, network.head.num_channels)))


def _parameters(saved: Path) -> Iterator[tuple[str, torch.Tensor]]:
    tensors = load_tensors(saved).tensors
    return ((name, tensor) for name, tensor in tensors.items() if name.startswith(("plastic/", "innate/")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": NetworkSettings(hidden_sizes=(32,), synaptic_scaling=0.0)}, "Expected an autoencoder without"),
        (
            {"network": NetworkSettings(hidden_sizes=(8, 8), synaptic_scaling=0.0, zero_start=False)},
            "Expected an odd number of `hidden_sizes`",
        ),
        ({"frozen_epochs": -1}, "Expected `frozen_epochs` to be non-negative"),
        (
            {"data": DataSettings(dataset="digits"), "life": LifeSettings(num_held_out=10_000)},
            "Expected 10 classes of 10005 images",
        ),
    ],
)
def test_settings_an_autoencoder_cannot_have_are_refused(change: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        check(replace(Config(), **change))


@pytest.mark.parametrize(
    "change", [{"deployment_steps": 0}, {"components": 0}, {"finetune_lives": 1}, {"deployment_lrs": ()},
               {"finetune_lrs": (0.1, -0.1)}],
)  # fmt: skip
def test_deployments_that_cannot_be_are_refused(change: dict[str, Any]):
    with pytest.raises(ValueError, match="Expected"):
        DeploymentSettings(**change)
