"""Compiling, keeping and loading: what is damaged, missing or failing, with real files and a real compiler."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.kernels.populations import SINGLE

from hyperlearning.kernels import adam, dan, toolchain

_REASON = toolchain.why_missing(torch.float32)
needs_compiler = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))
KERNELS = Path(toolchain.__file__).parent


def cut_short(library: Path) -> None:
    os.truncate(library, 4096)


def flip_a_byte(library: Path) -> None:
    data = bytearray(library.read_bytes())
    data[len(data) // 2] ^= 1
    library.write_bytes(data)


def forget_the_sum(library: Path) -> None:
    library.with_suffix(".sum").unlink()


def leave(library: Path) -> None:
    """What is whole is not built again."""


DAMAGES = (cut_short, flip_a_byte, forget_the_sum, leave)
# A process that mapped a library cut short would end with a bus error, so that this is a process of its own.
PROGRAM = """
import json, logging, os, sys, torch
from hyperlearning.kernels import adam
told = []
handler = logging.Handler(logging.INFO)
handler.emit = lambda record: told.append(record.getMessage())
logging.getLogger("hyperlearning.kernels").addHandler(handler)
logging.getLogger("hyperlearning.kernels").setLevel(logging.INFO)
for cache in sys.argv[1:]:
    os.environ["HYPERLEARNING_CACHE"], before = cache, len(told)
    adam.library_for.cache_clear()
    grads = [torch.full((20,), 2.0)]
    zeros = [torch.zeros(20)]
    rule, one = adam.AdamRule(0.9, 0.999, 1e-8, 0.0), torch.tensor(1.0)
    moved = adam.update(rule, zeros, grads, zeros, zeros, correction=one, rate=one)
    print(json.dumps({"first": moved.first[0][0].item(), "told": told[before:]}), flush=True)
"""


def compiled(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Compiles Adam into an empty cache."""
    monkeypatch.setenv("HYPERLEARNING_CACHE", str(cache))
    assert adam.library_for.__wrapped__(torch.float32) is not None
    (library,) = (cache / "kernels").glob("adam-*.so")
    return library


@pytest.fixture(scope="module")
def after_damage(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, object]]]:
    """The library after each damage and another process, and what that one printed."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as monkeypatch:
        library = compiled(folder / "whole", monkeypatch)
    places = {}
    for damage in DAMAGES:
        shutil.copytree(folder / "whole", folder / damage.__name__)
        places[damage.__name__] = folder / damage.__name__ / "kernels" / library.name
        damage(places[damage.__name__])
    caches = [str(folder / name) for name in places]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *caches],
        env={**os.environ, "HYPERLEARNING_UNCHECKED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, done.stdout.splitlines())
    return {name: (place, line) for (name, place), line in zip(places.items(), lines, strict=True)}


@needs_compiler
@pytest.mark.parametrize("damage", [damage.__name__ for damage in DAMAGES])
def test_a_library_that_was_damaged_is_built_again_and_only_then(damage: str, after_damage: dict[str, tuple]):
    library, printed = after_damage[damage]
    assert printed["first"] == pytest.approx(0.2, rel=1e-6)
    assert len(printed["told"]) == (damage != "leave")
    # The length is that of a whole library, as the file beside it says.
    assert library.with_suffix(".sum").read_text().startswith(f"{library.stat().st_size} bytes, sha256 ")
    assert sorted(path.suffix for path in library.parent.iterdir()) == [".so", ".sum"]


@needs_compiler
def test_compiling_is_told_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, logger="hyperlearning.kernels"):
        library = compiled(tmp_path, monkeypatch)
    assert caplog.messages == [f"Compiling the kernel of Adam (once, about 2 seconds; kept in {library.parent})."]


@pytest.fixture
def failing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler that fails, and an empty cache; the folder of its libraries."""
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho the compiler has its own words >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", f"{compiler} -an-argument")
    monkeypatch.setenv("HYPERLEARNING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


@needs_compiler
def test_a_failing_compiler_raises_its_message_and_leaves_no_files(failing_compiler: Path):
    with pytest.raises(RuntimeError, match=r"Compiling dan.cpp failed:\nthe compiler has its own words"):
        dan.build.__wrapped__(SINGLE)
    assert list(failing_compiler.iterdir()) == []


@needs_compiler
@pytest.mark.usefixtures("failing_compiler")
def test_a_kernel_that_nobody_asked_for_is_done_without_after_a_warning():
    with pytest.warns(UserWarning, match=r"Going on without .*\n.*its own words"):
        assert adam.library_for.__wrapped__(torch.float32) is None


def test_every_library_is_opened_by_the_toolchain_which_checks_it_first():
    assert [path.name for path in KERNELS.glob("*.py") if "CDLL(" in path.read_text()] == ["toolchain.py"]


def test_every_source_and_every_header_is_used():
    python = [path.read_text() for path in KERNELS.glob("*.py")]
    native = {path.name: path.read_text() for path in KERNELS.iterdir() if path.suffix in (".cpp", ".h")}
    sources = {f"{name}.cpp" for text in python for name in re.findall(r'Source\(\s*name="(\w+)"', text)}
    headers = {name for text in native.values() for name in re.findall(r'#include "(.+)"', text)}
    assert sources | headers == native.keys()
