"""From a C++ file of this package to functions that Python calls: compiler, command, cache, check, load.

A library is compiled once and kept under a name that stands for its text, command and processor. Its length and hash are kept
beside it and are compared before every load: a library that was cut short by a full disk or changed is built again.
"""

import contextlib
import ctypes
import dataclasses
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
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import platformdirs
import torch

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger("hyperlearning.kernels")
"""Says at level INFO when a kernel is being compiled."""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A C++ file of this package.

    Attributes:
        name: The file, without its ending.
        what: What it computes, to tell those who wait for it.
        seconds: About how long compiling takes.
        functions: What Python calls: the type of the result (or None), then those of the arguments.
        flags: Compiler flags of this file alone.
    """

    name: str
    what: str
    seconds: int
    functions: Mapping[str, Sequence[Any]]
    flags: tuple[str, ...] = ()

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        return pathlib.Path(__file__).with_name(f"{self.name}.cpp")


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
    source: Source, dtype: torch.dtype, *, definitions: Mapping[str, object] = types.MappingProxyType({})
) -> ctypes.CDLL:
    """Loads the library of a kernel; compiles it first, for some seconds, if that was not done before.

    Args:
        source: What it is compiled from.
        dtype: What `REAL` stands for in it.
        definitions: Other macros.

    Raises:
        RuntimeError: If there is no compiler or it fails; the message is the compiler's.
    """
    reason = why_missing(dtype)
    if reason is not None:
        raise RuntimeError(f"Expected a kernel of {source.what} to be possible here, but {reason}.")
    macros = {"REAL": REALS[dtype], **definitions}
    defined = (f"-D{macro}={value}" for macro, value in macros.items())
    command = [*(_compiler() or []), *FLAGS, *source.flags, *defined]
    library = ctypes.CDLL(str(_library_of(source, command)))
    for name, (result, *arguments) in source.functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def load_or_warn(source: Source, dtype: torch.dtype, *, without: str) -> ctypes.CDLL | None:
    """Does what `load` does, for kernels that are used unasked: where none can be built there is none.

    Args:
        source: As for `load`.
        dtype: As for `load`.
        without: What a failing compiler's message says about going on.
    """
    if why_missing(dtype) is not None:
        return None
    try:
        return load(source, dtype)
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


def _library_of(source: Source, command: Sequence[str]) -> pathlib.Path:
    """The compiled library of a file, from the cache if it is whole there."""
    target = _cache_directory() / f"{source.name}-{_fingerprint(source, command)}.so"
    if not _is_whole(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if not _is_whole(target):
                _compile(source, command, target)
    return target


def _cache_directory() -> pathlib.Path:
    root = os.environ.get("HYPERLEARNING_CACHE") or platformdirs.user_cache_dir("hyperlearning")
    return pathlib.Path(root) / "kernels"


def _fingerprint(source: Source, command: Sequence[str]) -> str:
    parts = (*_texts(source.path), shlex.join(command), _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _texts(path: pathlib.Path) -> list[str]:
    """A source file and the files of ours that it includes."""
    text = path.read_text(encoding="utf-8")
    included = re.findall(r'^#include "(.+)"$', text, flags=re.MULTILINE)
    return [text, *(more for name in included for more in _texts(path.with_name(name)))]


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


def _compile(source: Source, command: Sequence[str], target: pathlib.Path) -> None:
    """Files appear whole or not at all; a library is valid from when its sum appears."""
    message = "Compiling the kernel of %s (once, about %d seconds; kept in %s)."
    logger.info(message, source.what, source.seconds, target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        library, kept = pathlib.Path(folder, "library"), pathlib.Path(folder, "sum")
        made = subprocess.run(
            [*command, str(source.path), "-o", str(library)], capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            raise RuntimeError(f"Compiling {source.path.name} failed:\n{made.stderr.strip()}")
        kept.write_text(_sum_of(library), encoding="utf-8")
        _beside(target).unlink(missing_ok=True)
        for path, place in ((library, target), (kept, _beside(target))):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.replace(place)
