"""A finished run of stores is opened: networks of all tasks come back as each store kept them, and learn on."""

import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console

import hyperlearning as hl
from hyperlearning.cli import run_command
from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.selfnet.lines import StoreLine
from hyperlearning.systems.selfnet.settings import StreamSettings, TaskSettings
from hyperlearning.systems.selfnet.task_networks import accuracy
from hyperlearning.systems.selfnet.tasks import drawn_tasks, stream_tasks


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    command = ["run", "selfnet-compression", "smoke", "--dataset", "digits", "--threads", "1", "--root", str(root)]
    assert run_command(command, Console(quiet=True)) == 0
    return root / "selfnet-compression" / "smoke"


def test_every_store_gives_networks_that_do_as_well_as_its_record_says(run: Path):
    kept, lines = hl.load(run), {line.method: line for line in RunRecord(run).lines(StoreLine)}
    learners = {"sgd", "l2", "ewc", "replay_1", "joint", "progress_and_compress"}
    assert learners < set(lines) - set(kept)
    assert {"separate", "separate_adam", "masked", "coded_8", "self_net_text", "bits_4"} < set(kept) < set(lines)
    tasks = drawn_tasks(TaskSettings(dataset="digits", num_tasks=4, most_images=20), 0)
    for method, own in kept.items():
        assert own.tasks == tasks.titles
        assert own.num_bytes == lines[method].last.num_bytes
        scores = [round(accuracy(own.get(title), tasks.test(number)), 5) for number, title in enumerate(own.tasks)]
        assert tuple(scores) == lines[method].last.accuracies


def test_networks_of_a_stream_that_were_cut_into_pieces_come_back(tmp_path: Path):
    command = [
        "run",
        "selfnet-split-cifar10",
        "smoke",
        "--dataset",
        "digits",
        "--threads",
        "1",
        "--root",
        str(tmp_path),
    ]
    assert run_command(command, Console(quiet=True)) == 0
    path = tmp_path / "selfnet-split-cifar10" / "smoke"
    (line,) = (line for line in RunRecord(path).lines(StoreLine) if line.method == "self_net")
    settings = StreamSettings(stream="one_against_four", dataset="digits", num_tasks=2, most_images=40, test_images=40)
    own, tasks = hl.load(path)["self_net"], stream_tasks(settings, 0)
    scores = [round(accuracy(own.get(title), tasks.test(number)), 5) for number, title in enumerate(own.tasks)]
    assert tuple(scores) == line.last.accuracies


def test_a_network_that_was_kept_learns_on(run: Path):
    own = hl.load(run)["bits_4"]
    life = own.deployment(own.tasks[1])
    images, labels = torch.randn(8, 1, 28, 28), torch.tensor([0, 1] * 4)
    before = life.predict(images)
    torch.testing.assert_close(before, own.get(own.tasks[1])(images).detach())
    losses = [life.observe(images, labels) for _ in range(40)]
    assert losses[-1] < losses[0]


def test_a_task_that_is_not_there_is_refused_with_those_that_are(run: Path):
    own = hl.load(run)["separate"]
    with pytest.raises(KeyError, match=f"Expected one of {own.tasks[0]}; "):
        own.get("11 or 12")


def test_a_run_that_has_not_finished_or_keeps_no_networks_is_refused(run: Path, tmp_path: Path):
    bare = shutil.copytree(run, tmp_path / "bare", ignore=shutil.ignore_patterns("systems"))
    with pytest.raises(RunError, match="kept without it"):
        hl.load(bare)
    RunRecord(bare).note(finished=False)
    with pytest.raises(RunError, match="hyperlearning resume"):
        hl.load(bare)
