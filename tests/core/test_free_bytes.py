"""Bytes that can still be had: control groups of both versions, devices that do not say."""

from pathlib import Path

import pytest

from hyperlearning.core.free_bytes import _control_group_bytes, available_bytes, readable_bytes


def test_a_cpu_has_memory_and_an_unknown_device_says_nothing():
    assert (available_bytes("cpu") or 0) > 0
    assert available_bytes("meta") is None


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": "1000\n", "memory.current": "300\n"}, [700]),
        ({"memory.max": "max\n", "memory.current": "300\n"}, []),
        ({"memory/memory.limit_in_bytes": "500\n", "memory/memory.usage_in_bytes": "600\n"}, [0]),
        ({}, []),
    ],
)
def test_a_control_groups_limit_is_read_in_both_versions(tmp_path: Path, files: dict[str, str], left: list[int]):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert list(_control_group_bytes(tmp_path)) == left


@pytest.mark.parametrize(("size", "said"), [(0, "0 bytes"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (3e9, "3.0 GB")])
def test_bytes_are_said_in_the_largest_unit_that_leaves_one(size: float, said: str):
    assert readable_bytes(int(size)) == said
