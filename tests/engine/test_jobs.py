"""What every kind of job must do, whatever it computes."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.engine.jobs import JOBS, RoundLine

from hyperlearning.core.settings import to_json
from hyperlearning.core.tensor_files import FileError, load_tensors, save_tensors
from hyperlearning.engine.job import Packed
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import final_state, run_job

every_job = pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in JOBS.items()])


def bits_of(job: Any, state: Any) -> tuple[dict[str, bytes], str]:
    packed = job.pack(state)
    return {n: t.numpy().tobytes() for n, t in packed.tensors.items()}, json.dumps(packed.facts)


def whole(job: Any) -> list[Any]:
    return list(job.steps(job.begin()))


@every_job
def test_its_steps_lead_to_the_end_unit_by_unit(make: Any):
    job = make()
    done = [step.done for step in whole(job)]
    assert job.done(job.begin()) == 0
    assert done == sorted(set(done))
    assert done[-1] == job.total


@every_job
def test_it_counts_its_epochs(make: Any):
    job = make()
    epochs = [step.epoch for step in whole(job) if step.epoch is not None]
    assert epochs == list(range(1, job.num_epochs + 1))


@every_job
def test_it_gives_the_same_bits_twice_and_leaves_its_first_state_as_it_was(make: Any):
    job = make()
    before = bits_of(job, job.begin())
    first, second = whole(job)[-1].state, whole(job)[-1].state
    assert bits_of(job, first) == bits_of(job, second)
    assert bits_of(job, job.begin()) == before


@every_job
def test_stopped_after_any_step_saved_and_continued_it_ends_in_the_same_bits(make: Any, tmp_path: Path):
    job = make()
    steps = whole(job)
    states = [job.begin(), *(step.state for step in steps)]
    for stop, state in enumerate(states):
        packed = job.pack(state)
        save_tensors(tmp_path / "state.safetensors", packed.tensors, packed.facts)
        saved = load_tensors(tmp_path / "state.safetensors")
        other = make()
        other.source.manual_seed(99)  # All that counts is in the state.
        rest = list(other.steps(other.unpack(Packed(saved.tensors, saved.facts))))
        assert [bits_of(job, step.state) for step in rest] == [bits_of(job, step.state) for step in steps[stop:]]
        assert [step.line for step in rest] == [step.line for step in steps[stop:]]


@every_job
def test_its_state_and_all_its_data_are_where_new_tensors_are_made(make: Any):
    with torch.device("meta"):
        job = make()
        tensors = {n: t for n, t in job.pack(job.begin()).tensors.items() if n != "generator"}
        back = job.pack(
            job.unpack(Packed({**job.pack(job.begin()).tensors, **on_cpu(tensors)}, job.pack(job.begin()).facts))
        )
    assert {t.device.type for t in tensors.values()} == {"meta"}
    assert {t.device.type for n, t in back.tensors.items() if n != "generator"} == {"meta"}


def on_cpu(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(tensor.shape, dtype=tensor.dtype, device="cpu") for name, tensor in tensors.items()}


def record_at(path: Path) -> RunRecord:
    return RunRecord.create(path, "jobs", "one", RoundLine(round=0, total=0.0))


@every_job
def test_in_a_record_it_leaves_lines_looks_and_its_final_state(make: Any, tmp_path: Path):
    job, record = make(), record_at(tmp_path)
    look = lambda epoch, state: RoundLine(round=epoch, total=job.done(state))  # noqa: E731
    state = run_job(record, job, Console(quiet=True), look=look, num_looks=2)
    lines = [json.loads(line) for line in (record.path / "metrics.jsonl").read_text().splitlines()]
    expected = [{"kind": step.line.kind, **to_json(step.line)} for step in whole(job) if step.line is not None]
    assert [line for line in lines if line in expected] == expected
    assert lines[-1] == {"kind": "round", "round": job.num_epochs, "total": job.total}
    assert bits_of(job, final_state(record, job)) == bits_of(job, state)


@every_job
def test_a_finished_job_is_not_done_again(make: Any, tmp_path: Path):
    job, record = make(), record_at(tmp_path)
    state = run_job(record, job, Console(quiet=True))
    record.append(RoundLine(round=100, total=1.0))
    text = (record.path / "metrics.jsonl").read_text()
    again = run_job(record, job, Console(quiet=True), look=partial(pytest.fail, "looked again"))
    assert bits_of(job, again) == bits_of(job, state)
    assert (record.path / "metrics.jsonl").read_text() == text


@every_job
def test_a_checkpoint_of_another_version_is_refused_by_name(make: Any, tmp_path: Path):
    job, record = make(), record_at(tmp_path)
    save_tensors(record.checkpoints / "step-000000001.safetensors", {"x": torch.ones(1)}, {"config": record.config})
    with pytest.raises(FileError, match="it is of an earlier version"):
        run_job(record, job, Console(quiet=True))
