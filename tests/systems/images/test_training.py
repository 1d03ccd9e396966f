"""Hyper-training on images, really killed: what it leaves behind goes on to the same numbers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import load_file

SETTINGS = (
    "run class-incremental smoke --dataset digits --embedding-epochs 0 --num-epochs 20 --side 12 --maps 4 4 --num-lives 2 "
    "--baseline-lives 0 --no-with-prototypes --threads 1"
).split()


def _start(arguments: list[str]):
    return subprocess.Popen(
        [sys.executable, "-m", "hyperlearning", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HYPERLEARNING_CHECKPOINT_SECONDS": "0.02", "OMP_NUM_THREADS": "1"},
    )


def _finish(arguments: list[str]):
    process = _start(arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def _lines(path: Path):
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.endswith("seconds")} for line in lines]


def _numbers_of(run: Path):
    system = run / "systems" / "hyper-trained"
    last = max((system / "checkpoints").glob("*.safetensors"))
    tensors = {name: tensor.numpy().tobytes() for name, tensor in load_file(last).items()}
    return _lines(run), _lines(system), tensors, (run / "model.safetensors").read_bytes()


def test_hyper_training_killed_and_resumed_ends_in_the_numbers_of_one_that_was_not(tmp_path: Path):
    _finish([*SETTINGS, "--root", str(tmp_path / "whole")])
    run = tmp_path / "killed" / "class-incremental" / "smoke"
    process = _start([*SETTINGS, "--root", str(tmp_path / "killed")])
    system = run / "systems" / "hyper-trained"
    deadline = time.monotonic() + 120
    while not list((system / "checkpoints").glob("step-*")) and process.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    epochs = [line for line in _lines(system) if line["kind"] == "epoch"]
    assert len(epochs) < 20, "killed too late to show anything"
    _finish(["resume", str(run)])
    assert _numbers_of(run) == _numbers_of(tmp_path / "whole" / "class-incremental" / "smoke")
