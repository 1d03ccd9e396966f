"""From a C++ file of this package to functions that Python calls: compiler, command, cache, check, load.

A library is compiled once and kept under a name that stands for its text, command and processor. Its length and hash are kept
beside it and are compared before every load: a library that was cut short by a full disk or changed is built again.
"""

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import platformdirs
import torch

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger("hyperlearning.kernels")
"""Says at level INFO when a kernel is being compiled, and how long that took."""

COMPILERS = ("c++", "g++", "clang++")
# Not `-ffast-math`: it lets the compiler drop the NaNs that diverged members are recognised by.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
    "-pthread",
)
REALS = {torch.float32: "float", torch.float64: "double"}
INT, LONG, DOUBLE, POINTER = ctypes.c_int, ctypes.c_long, ctypes.c_double, ctypes.c_void_p

Functions = Mapping[str, Sequence[Any]]
"""The functions of a library: the type of the result (or None), then those of the arguments."""


def why_missing(dtype: torch.dtype) -> str | None:
    """Returns why no kernel can be built here for `dtype`, or None if one can.

    Args:
        dtype: Floating-point type of all tensors.
    """
    if dtype not in REALS:
        return f"dtype {dtype} is neither float32 nor float64"
    if sys.platform == "win32":
        return "kernels need a POSIX system"
    if _compiler() is None:
        return f"no C++ compiler found (looked for CXX and {', '.join(COMPILERS)})"
    return None


def load(
    name: str,
    dtype: torch.dtype,
    functions: Functions,
    *,
    definitions: Mapping[str, object] | None = None,
    flags: Sequence[str] = (),
) -> ctypes.CDLL:
    """Loads the library of a kernel; compiles it first, for some seconds, if that was not done before.

    Args:
        name: The kernel's C++ file, without its ending.
        dtype: What `REAL` stands for in it.
        functions: Its functions.
        definitions: Other macros.
        flags: Compiler flags of this kernel alone.

    Raises:
        RuntimeError: If there is no compiler or it fails; the message is the compiler's.
    """
    macros = {"REAL": REALS[dtype], **(definitions or {})}
    command = [*(_compiler() or []), *FLAGS, *flags, *(f"-D{macro}={value}" for macro, value in macros.items())]
    library = ctypes.CDLL(str(_library_of(pathlib.Path(__file__).with_name(f"{name}.cpp"), command)))
    for function, (result, *arguments) in functions.items():
        declared = getattr(library, function)
        declared.restype, declared.argtypes = result, arguments
    return library


def load_or_warn(
    name: str, dtype: torch.dtype, functions: Functions, *, without: str, flags: Sequence[str] = ()
) -> ctypes.CDLL | None:
    """Does what `load` does, for kernels that are used unasked: where none can be built there is none.

    Args:
        name: As for `load`.
        dtype: As for `load`.
        functions: As for `load`.
        without: What a failing compiler's message says about going on.
        flags: As for `load`.
    """
    if why_missing(dtype) is not None:
        return None
    try:
        return load(name, dtype, functions, flags=flags)
    except (RuntimeError, OSError) as error:
        warnings.warn(f"Going on without {without}: {error}", stacklevel=3)
        return None


def _compiler() -> list[str] | None:
    """Command of the system compiler; like in make, CXX may contain arguments."""
    wanted = shlex.split(os.environ.get("CXX", ""))
    for command in (wanted, *([name] for name in COMPILERS)):
        path = shutil.which(command[0]) if command else None
        if path is not None:
            return [path, *command[1:]]
    return None


def _library_of(source: pathlib.Path, command: Sequence[str]) -> pathlib.Path:
    """The compiled library of a file, from the cache if it is whole there."""
    target = _cache_directory() / f"{source.stem}-{_fingerprint(source, command)}.so"
    if not _is_whole(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if not _is_whole(target):
                _compile(source, command, target)
    return target


def _cache_directory() -> pathlib.Path:
    root = os.environ.get("HYPERLEARNING_CACHE") or platformdirs.user_cache_dir("hyperlearning")
    return pathlib.Path(root) / "kernels"


def _fingerprint(source: pathlib.Path, command: Sequence[str]) -> str:
    parts = (*_texts(source), shlex.join(command), _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _texts(source: pathlib.Path) -> list[str]:
    """A source file and the files of ours that it includes."""
    text = source.read_text(encoding="utf-8")
    included = re.findall(r'^#include "(.+)"$', text, flags=re.MULTILINE)
    return [text, *(more for path in included for more in _texts(source.parent / path))]


@functools.cache
def _processor() -> str:
    """Model and instruction sets: `-march=native` may not run on another processor."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kept = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(kept)}))


def _is_whole(library: pathlib.Path) -> bool:
    """Compares a library with what is kept beside it: mapping one that was cut short ends in a bus error."""
    try:
        return _sum_of(library) == _beside(library).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _sum_of(library: pathlib.Path) -> str:
    data = library.read_bytes()
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}\n"


def _beside(library: pathlib.Path) -> pathlib.Path:
    return library.with_suffix(".sum")


@contextlib.contextmanager
def _alone(target: pathlib.Path) -> Iterator[None]:
    """Lets one process at a time compile a library; those that waited find it done."""
    lock = target.with_suffix(".lock")
    with lock.open("w") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _compile(source: pathlib.Path, command: Sequence[str], target: pathlib.Path) -> None:
    """Files appear whole or not at all; a library is valid from when its sum appears."""
    logger.info("Compiling kernel %s (once, some seconds; kept in %s).", source.stem, target.parent)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        library, kept = pathlib.Path(folder, "library"), pathlib.Path(folder, "sum")
        run = subprocess.run([*command, str(source), "-o", str(library)], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"Compiling {source.name} failed:\n{run.stderr.strip()}")
        kept.write_text(_sum_of(library), encoding="utf-8")
        _beside(target).unlink(missing_ok=True)
        for path, place in ((library, target), (kept, _beside(target))):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.replace(place)
    logger.info("Compiled kernel %s in %.1f s.", source.stem, time.perf_counter() - began)
