"""Real processes, really killed: what they leave behind goes on to the same numbers."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from safetensors.torch import load_file
from tests.engine.jobs import JOBS

ROOT = Path(__file__).parents[2]
every_job = pytest.mark.parametrize("name", list(JOBS))


def start(folder: Path, name: str, *, rest: float = 0.05, threads: str = "1") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.engine.worker", str(folder), name, str(rest)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HYPERLEARNING_CHECKPOINT_SECONDS": "0.01", "OMP_NUM_THREADS": threads},
    )


def finish(folder: Path, name: str) -> str:
    process = start(folder, name, rest=0.0)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def numbers_of(folder: Path) -> tuple[list[dict[str, object]], dict[str, bytes]]:
    run = folder / "jobs" / "one"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = max((run / "checkpoints").glob("*.safetensors"))
    return lines, {name: tensor.numpy().tobytes() for name, tensor in load_file(last).items()}


@cache
def uninterrupted(name: str) -> tuple[list[dict[str, object]], dict[str, bytes]]:
    with TemporaryDirectory() as folder:
        finish(Path(folder), name)
        return numbers_of(Path(folder))


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[str], *, fewest: int = 1) -> None:
    deadline, checkpoints = time.monotonic() + 120, folder / "jobs" / "one" / "checkpoints"
    while len(list(checkpoints.glob("step-*"))) < fewest and process.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.01)


@every_job
def test_killed_at_random_moments_it_ends_with_the_numbers_of_one_that_was_not(tmp_path: Path, name: str):
    moments = random.Random(time.time_ns())
    process = start(tmp_path, name)
    for _ in range(2):
        wait_for_checkpoint(tmp_path, process)
        time.sleep(moments.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        process = start(tmp_path, name)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert numbers_of(tmp_path) == uninterrupted(name)


@every_job
def test_resumed_under_another_number_of_threads_it_ends_in_the_same_numbers(tmp_path: Path, name: str):
    process = start(tmp_path, name, threads="2")
    wait_for_checkpoint(tmp_path, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    output, _ = start(tmp_path, name, rest=0.0, threads="3").communicate(timeout=300)
    assert numbers_of(tmp_path) == uninterrupted(name), output


def test_ctrl_c_stops_at_a_step_with_a_checkpoint_and_says_how_to_go_on(tmp_path: Path):
    process = start(tmp_path, "hyper-training")
    wait_for_checkpoint(tmp_path, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert f"hyperlearning resume {tmp_path / 'jobs' / 'one'}" in output.replace("\n", " ")
    finish(tmp_path, "hyper-training")
    assert numbers_of(tmp_path) == uninterrupted("hyper-training")


def test_an_altered_checkpoint_is_named_and_the_previous_one_used(tmp_path: Path):
    process = start(tmp_path, "hyper-training")
    wait_for_checkpoint(tmp_path, process, fewest=2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    newest = max((tmp_path / "jobs" / "one" / "checkpoints").glob("step-*"))
    content = bytearray(newest.read_bytes())
    content[-5] ^= 0xFF
    newest.write_bytes(bytes(content))
    assert newest.name in finish(tmp_path, "hyper-training")
    assert numbers_of(tmp_path) == uninterrupted("hyper-training")


def test_two_processes_cannot_work_on_one_run(tmp_path: Path):
    first = start(tmp_path, "hyper-training", rest=1.0)
    wait_for_checkpoint(tmp_path, first)
    second = start(tmp_path, "hyper-training")
    output, _ = second.communicate(timeout=120)
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert "another process" in output


def test_a_job_in_another_thread_than_the_main_one_is_done_too(tmp_path: Path):
    code = (
        "import sys, threading\nfrom tests.engine import worker\n"
        f"sys.argv[1:] = [{str(tmp_path)!r}, 'fitting', '0']\nfound = []\n"
        "thread = threading.Thread(target=lambda: found.append(worker.main()))\n"
        "thread.start()\nthread.join()\nsys.exit(found[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert numbers_of(tmp_path) == uninterrupted("fitting")
