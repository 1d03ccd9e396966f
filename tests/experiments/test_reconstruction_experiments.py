"""The two experiments that reconstruct, end to end on built-in digits, and settings that they refuse."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from hyperlearning.cli import run_command
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images import semi_supervised_class_incremental as semi
from hyperlearning.experiments.images import unsupervised_class_incremental as unsupervised
from hyperlearning.networks.dan.network import DANNetwork, Synapses
from hyperlearning.systems.images import build
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import DataSettings, LifeSettings, NetworkSettings

DIGITS = DataSettings(dataset="digits")


def record_of(name: str, folder: Path) -> RunRecord:
    arguments = ("run", name, "smoke", "--dataset", "digits", "--root", str(folder))
    assert run_command(arguments, Console(quiet=True)) == 0
    return RunRecord(folder / name / "smoke")


def test_an_autoencoder_is_compared_with_references_and_leaves_pictures(tmp_path: Path):
    record = record_of(unsupervised.NAME, tmp_path)
    on_eval = {line["method"] for line in record.lines("method") if line["split"] == "meta_eval"}
    assert on_eval == {
        "dan", "dan_short", "dan_joint", "dan_frozen", "frozen", "frozen_finetuned", "mean_image", "components",
        "finetune", "joint",
    }  # fmt: skip
    pictures = record.last("pictures")
    assert pictures["moments"] == [1, 8, 16]
    assert pictures["reconstructions"]["shape"][:3] == [len(pictures["looks"]), 4, 2]
    assert "data:image/gif;base64," in (record.path / "report.html").read_text()


def test_ways_of_supervision_meet_the_same_lives(tmp_path: Path):
    record = record_of(semi.NAME, tmp_path)
    methods = {line["method"]: line for line in record.lines("method") if line["split"] == "meta_test"}
    assert set(methods) == {"dan", "few", "all", "prototypes_few", "prototypes_refined", "prototypes_all"}
    assert len({len(line["scores"]["generalization"]) for line in methods.values()}) == 1
    assert "pixel_error" in methods["dan"]
    assert "data:image/png;base64," in (record.path / "report.html").read_text()


def test_conditions_differ_in_labels_alone():
    config = replace(semi.PRESETS["smoke"], data=DIGITS)
    pools = load_pools(DIGITS)
    streams = {}
    for name, condition in semi.conditions(config).items():
        (phase,) = semi.build_system(config, condition, pools, {}).phases
        streams[name] = phase.draw(torch.Generator().manual_seed(0))
    assert torch.equal(streams["dan"].inputs, streams["all"].inputs)
    assert torch.equal(streams["dan"].targets[..., 2:], streams["all"].targets[..., 2:])
    assert streams["dan"].targets[..., 1].mean() == pytest.approx(1 / 3)
    assert streams["all"].targets[..., 1].mean() == 1


def test_synapses_into_outputs_alone_are_zero_at_first():
    network = semi.build(semi.PRESETS["smoke"])
    zero = {name for name, tensor in network.named_parameters() if "synapses" in name and not tensor.any()}
    assert {name.split(".")[2] for name in zero} == {"0_2", "1_2"}


def synapses_of(config: semi.Config) -> dict[str, Synapses]:
    head = semi.build(config).head
    assert isinstance(head, DANNetwork)
    return {name: module for name, module in head.synapses.items() if isinstance(module, Synapses)}


def test_an_update_changes_hidden_drives_by_the_square_of_their_scaling():
    changes = []
    for scaling in (10.0, 100.0):
        synapses = synapses_of(replace(semi.PRESETS["smoke"], hidden_scaling=scaling))["0_1"]
        before = synapses.effective_weight()
        (grad,) = torch.autograd.grad(before.sum(), synapses.weight)
        with torch.no_grad():
            synapses.weight.sub_(grad)
            changes.append(float((synapses.effective_weight() - before).mean()))
    assert changes[0] / changes[1] == pytest.approx(100, rel=0.02)


def test_outputs_have_the_scaling_of_the_settings_and_hidden_neurons_their_own():
    config = semi.PRESETS["smoke"]
    scalings = {name: synapses.scaling for name, synapses in synapses_of(config).items()}
    of_outputs = config.network.synaptic_scaling
    assert scalings == {"0_1": config.hidden_scaling, "0_2": of_outputs, "1_2": of_outputs}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": NetworkSettings(hidden_sizes=(32,), synaptic_scaling=0.0)}, "Expected an autoencoder without"),
        (
            {"network": NetworkSettings(hidden_sizes=(8, 8), synaptic_scaling=0.0, zero_start=False)},
            "Expected an odd number of `hidden_sizes`",
        ),
        ({"frozen_epochs": -1}, "Expected non-negative `seed` and `frozen_epochs`"),
        ({"data": replace(DIGITS), "life": LifeSettings(num_held_out=10_000)}, "Expected 10 classes of 10005 images"),
    ],
)
def test_settings_an_autoencoder_cannot_have_are_refused(change: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        unsupervised.check(replace(unsupervised.Config(), **change))


@pytest.mark.parametrize(
    "change", [{"deployment_steps": 0}, {"components": 0}, {"finetune_lives": 1}, {"deployment_lrs": ()},
               {"finetune_lrs": (0.1, -0.1)}],
)  # fmt: skip
def test_deployments_that_cannot_be_are_refused(change: dict[str, Any]):
    with pytest.raises(ValueError, match="Expected"):
        unsupervised.DeploymentSettings(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"supervision": semi.SupervisionSettings(num_labelled=5)}, "Expected `num_labelled` below `num_instances`"),
        ({"supervision": semi.SupervisionSettings(pixel_side=5)}, "Expected `pixel_side` to divide `side`"),
        ({"network": NetworkSettings(num_outputs=10)}, "Expected `hidden_sizes`"),
        ({"threads": 0}, "Expected a non-negative `seed` and positive `threads`"),
        ({"hidden_scaling": 0.0}, "Expected `hidden_scaling` to be positive"),
    ],
)
def test_supervision_that_cannot_be_is_refused(change: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        replace(semi.Config(), **change)


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(ValueError, match="Expected positive `num_labelled`, `pixel_side` and `pixel_weight`"):
        semi.SupervisionSettings(pixel_weight=0.0)


def test_the_bytes_of_all_pixels_are_counted(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(build, "check_footprint", lambda estimate, device: seen.append(estimate.parameters))
    config = replace(semi.PRESETS["smoke"], data=DIGITS)
    for side in (7, 14):
        semi.check(replace(config, supervision=semi.SupervisionSettings(pixel_side=side)))
    assert seen[1] > 2 * seen[0]
