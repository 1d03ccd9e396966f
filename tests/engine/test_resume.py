"""Real processes, really killed: what they leave behind goes on to the same numbers."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

SETTINGS = (
    "run incremental-regression smoke --population 2 --num-epochs 6 --updates-per-task 60 --hyper-batch-size 8 "
    "--hidden-sizes 4 4 --num-channels 4 --num-functions 4 --threads 1 --backend eager"
).split()


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hyperlearning", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HYPERLEARNING_CHECKPOINT_SECONDS": "0.05", "OMP_NUM_THREADS": "1"},
    )


def finish(arguments: list[str]) -> str:
    process = start(arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def numbers_of(run: Path) -> tuple[list[dict[str, object]], dict[str, bytes]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = max((run / "checkpoints").glob("*.safetensors"))
    return lines, {name: tensor.numpy().tobytes() for name, tensor in load_file(last).items()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, object]], dict[str, bytes]]:
    root = tmp_path_factory.mktemp("whole")
    finish([*SETTINGS, "--root", str(root)])
    return numbers_of(root / "incremental-regression" / "smoke")


def wait_for_checkpoint(run: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not list((run / "checkpoints").glob("step-*")) and process.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.02)


def test_a_run_killed_at_random_moments_ends_with_the_numbers_of_one_that_was_not(
    tmp_path: Path, uninterrupted: tuple[list[dict[str, object]], dict[str, bytes]]
):
    run = tmp_path / "incremental-regression" / "smoke"
    moments = random.Random(time.time_ns())
    process = start([*SETTINGS, "--root", str(tmp_path)])
    for _ in range(3):
        wait_for_checkpoint(run, process)
        time.sleep(moments.uniform(0.0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        process = start(["resume", str(run)])
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert numbers_of(run) == uninterrupted


def test_ctrl_c_stops_at_a_step_with_a_checkpoint_and_says_how_to_go_on(
    tmp_path: Path, uninterrupted: tuple[list[dict[str, object]], dict[str, bytes]]
):
    run = tmp_path / "incremental-regression" / "smoke"
    process = start([*SETTINGS, "--root", str(tmp_path)])
    wait_for_checkpoint(run, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert f"hyperlearning resume {run}" in output.replace("\n", " ")
    finish(["resume", str(run)])
    assert numbers_of(run) == uninterrupted


def test_an_altered_checkpoint_is_named_and_the_previous_one_used(
    tmp_path: Path, uninterrupted: tuple[list[dict[str, object]], dict[str, bytes]]
):
    run = tmp_path / "incremental-regression" / "smoke"
    process = start([*SETTINGS, "--root", str(tmp_path)])
    while len(list((run / "checkpoints").glob("step-*"))) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    newest = max((run / "checkpoints").glob("step-*"))
    content = bytearray(newest.read_bytes())
    content[-5] ^= 0xFF
    newest.write_bytes(bytes(content))
    output = finish(["resume", str(run)])
    assert newest.name in output
    assert numbers_of(run) == uninterrupted


def test_two_processes_cannot_work_on_one_run(tmp_path: Path):
    run = tmp_path / "incremental-regression" / "smoke"
    first = start([*SETTINGS, "--root", str(tmp_path)])
    wait_for_checkpoint(run, first)
    second = start(["resume", str(run)])
    output, _ = second.communicate(timeout=120)
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert "another process" in output
