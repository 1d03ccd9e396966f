"""Checkpoints: round trips to the bit, and every way a file can be wrong."""

import importlib.util
import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from hyperlearning.core.atomic_files import write_atomically
from hyperlearning.core.tensor_files import FileError, load_tensors, save_tensors
from hyperlearning.engine.checkpoints import load_latest, save_checkpoint

SOURCE = Path(__file__).parents[2] / "src"
FACTS = {"epoch": 3, "config": {"sizes": [1, 16, 1], "name": "tiny", "rate": 0.1}}


def _tensors(value: float = 1.0):
    return {
        "single": torch.tensor([value, -0.0, float("nan"), float("inf"), 1e-42]),
        "double": torch.full((2, 3), value / 3, dtype=torch.float64),
        "scalar": torch.tensor(value),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "none": torch.zeros(0, 4),
    }


def _bits(tensors: dict[str, Tensor]):
    return {n: (t.dtype, tuple(t.shape), t.contiguous().numpy().tobytes()) for n, t in tensors.items()}


def _loaded_or_refused(path: Path):
    try:
        loaded = load_tensors(path)
    except FileError:
        return "refused"
    return _bits(loaded.tensors), loaded.facts


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("saved") / "whole.safetensors"
    save_tensors(path, _tensors(), FACTS)
    return path


def test_tensors_come_back_to_the_bit(saved: Path):
    assert _bits(load_tensors(saved).tensors) == _bits(_tensors())


def test_tensors_come_back_in_the_order_they_were_given_in(saved: Path):
    assert list(load_tensors(saved).tensors) == list(_tensors())


def test_facts_come_back(saved: Path):
    assert load_tensors(saved).facts == FACTS


def test_a_view_is_saved_by_its_values(tmp_path: Path):
    matrix = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "view", {"t": matrix.T, "row": matrix[1]}, {})
    back = load_tensors(tmp_path / "view").tensors
    torch.testing.assert_close(back, {"t": matrix.T, "row": matrix[1]}, rtol=0, atol=0)


def test_a_file_cut_anywhere_is_refused(saved: Path, tmp_path: Path):
    content = saved.read_bytes()
    outcomes = {}
    for length in range(len(content)):
        (tmp_path / "cut").write_bytes(content[:length])
        outcomes[length] = _loaded_or_refused(tmp_path / "cut")
    assert set(outcomes.values()) == {"refused"}


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
@example(position=0, bit=0)
@example(position=7, bit=7)
@example(position=8, bit=1)
def test_a_flipped_bit_anywhere_is_detected(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
):
    content = bytearray(saved.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path = tmp_path_factory.mktemp("flipped") / "file"
    path.write_bytes(bytes(content))
    with pytest.raises(FileError):
        load_tensors(path)


@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_changed_byte_never_gives_other_numbers(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, position: int, value: int
):
    content = bytearray(saved.read_bytes())
    content[position % len(content)] = value
    path = tmp_path_factory.mktemp("changed") / "file"
    path.write_bytes(bytes(content))
    # Between header and data the format has blanks, and one kind of blank may replace another.
    assert _loaded_or_refused(path) in ("refused", (_bits(_tensors()), FACTS))


def test_the_checkpoint_before_a_truncated_one_is_used(tmp_path: Path):
    save_checkpoint(tmp_path, 1, _tensors(1.0), FACTS)
    newest = save_checkpoint(tmp_path, 2, _tensors(2.0), FACTS)
    content = newest.read_bytes()
    for length in (0, 1, 8, 100, len(content) // 2, len(content) - 1):
        newest.write_bytes(content[:length])
        checkpoint, complaints = load_latest(tmp_path, {})
        assert checkpoint.tensors["scalar"] == 1.0
        assert len(complaints) == 1
        assert str(newest) in complaints[0]


def test_the_newest_checkpoint_is_used_if_it_is_whole(tmp_path: Path):
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, step, _tensors(float(step)), FACTS)
    checkpoint, complaints = load_latest(tmp_path, FACTS)
    assert checkpoint.tensors["scalar"] == 10.0
    assert complaints == []


def test_without_a_checkpoint_there_is_nothing_to_load(tmp_path: Path):
    assert load_latest(tmp_path, {}) == (None, [])


def test_if_no_checkpoint_can_be_used_the_error_names_each(tmp_path: Path):
    paths = [save_checkpoint(tmp_path, step, _tensors(), FACTS) for step in (1, 2)]
    for path in paths:
        path.write_bytes(b"not a checkpoint")
    with pytest.raises(FileError, match="No usable checkpoint") as caught:
        load_latest(tmp_path, {})
    assert all(str(path) in str(caught.value) for path in paths)


def test_a_checkpoint_of_another_configuration_is_refused_by_the_facts_name(tmp_path: Path):
    save_checkpoint(tmp_path, 1, _tensors(), FACTS)
    with pytest.raises(FileError, match=r"to be of config .*'other'.*, but it is of .*'tiny'"):
        load_latest(tmp_path, {"config": FACTS["config"] | {"name": "other"}})


def test_tuples_and_lists_are_the_same_configuration(tmp_path: Path):
    save_checkpoint(tmp_path, 1, _tensors(), {"sizes": (1, 2)})
    checkpoint, _ = load_latest(tmp_path, {"sizes": (1, 2)})
    assert checkpoint.facts == {"sizes": [1, 2]}


def test_only_the_last_two_checkpoints_are_kept(tmp_path: Path):
    for step in range(1, 6):
        save_checkpoint(tmp_path, step, _tensors(), FACTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-00000000{n}.safetensors" for n in (4, 5)]


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from hyperlearning.engine.checkpoints import save_checkpoint

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
save_checkpoint(folder, 1, {"weights": torch.ones(100)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
for step in (1, 2):
    try:
        save_checkpoint(folder, step, {"weights": torch.zeros(10_000)}, {})
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="file sizes cannot be limited here")
def test_a_disk_that_fills_up_leaves_the_old_checkpoint_and_nothing_else(tmp_path: Path):
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert result.stdout.split() == ["OSError", "OSError"], result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.safetensors"]
    torch.testing.assert_close(load_latest(tmp_path, {})[0].tensors, {"weights": torch.ones(100)}, rtol=0, atol=0)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        inspect.unwrap(write_atomically)(path, "not bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_in_place_of_a_checkpoint_is_refused_unopened(tmp_path: Path, kind: str):
    path = tmp_path / "step-000000001.safetensors"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(_Trap()))
    else:
        torch.save({"weights": _Trap()}, path)
    with pytest.raises(FileError):
        load_latest(tmp_path, {})
