"""The record of one run: everything a report needs, and all that is needed to go on after an interruption.

```
<root>/<experiment>/<name>/
  config.json      the settings
  manifest.json    versions, commit, device, times, command
  metrics.jsonl    one JSON object a line: {"kind": ..., ...}
  checkpoints/     see `checkpoints`
  model.safetensors  what hyper-training made, once it has finished
  figures/         pictures, rebuilt from metrics.jsonl
  report.html      the page, likewise
```
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import torch

from hyperlearning.core.atomic_files import write_atomically, write_json
from hyperlearning.core.errors import RunError
from hyperlearning.core.folder_locks import held
from hyperlearning.core.settings import from_json, to_json

_T = TypeVar("_T")


@runtime_checkable
class Line(Protocol):
    """One line of the metrics: a frozen dataclass whose fields are its JSON keys.

    Attributes:
        kind: What kind of line it is.
    """

    kind: ClassVar[str]


if typing.TYPE_CHECKING:
    L = TypeVar("L", bound=Line)
else:
    L = TypeVar("L")  # `type[L]` cannot be checked at run time where the bound is a protocol with attributes.


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a run came to be.

    Attributes:
        preset: The preset that its settings began from.
        command: The command that repeats it.
        device: Where it computes.
    """

    preset: str = ""
    command: str = ""
    device: str = "cpu"


_BELOW_ANOTHER = Made()
"""Of a record below a run's, which says how it came to be."""


class RunRecord:
    """One run's directory.

    Args:
        path: The directory, which must hold a run. Use `create` for a new one.

    Raises:
        RunError: If there is no run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise RunError(f"Expected a run directory with a config.json, but got {self.path}.")
        for name in ("config.json", "manifest.json"):
            try:
                json.loads((self.path / name).read_text())
            except (OSError, json.JSONDecodeError) as error:
                raise RunError(f"Expected JSON in {self.path / name}, but got: {error}.") from error

    @classmethod
    def create(
        cls,
        root: Path,
        experiment: str,
        name: str,
        settings: Any,
        *,
        made: Made = _BELOW_ANOTHER,
        overwrite: bool = False,
    ) -> "RunRecord":
        """Makes a new run directory.

        Args:
            root: Where runs live.
            experiment: The experiment's name.
            name: The run's name.
            settings: A dataclass of settings.
            made: How the run came to be.
            overwrite: Whether a run already there is removed.

        Raises:
            RunError: If the run exists and may not be overwritten, or the root cannot be written.
        """
        if Path(name).name != name or name in ("", ".", ".."):
            raise RunError(f"Expected `name` to be a plain folder name, but got '{name}'.")
        path = root / experiment / name
        if path.exists() and not overwrite:
            raise RunError(
                f"Expected a new run, but {path} exists. Go on with `hyperlearning resume {path}`, "
                "choose another --name, or replace it with --overwrite."
            )
        try:
            if path.exists():
                with cls(path).locked():
                    shutil.rmtree(path)
            (path / "checkpoints").mkdir(parents=True)
            (path / "figures").mkdir()
            config = {"experiment": experiment, "preset": made.preset, "settings": to_json(settings)}
            write_json(path / "manifest.json", _manifest(made))
            write_json(path / "config.json", config)
        except OSError as error:
            raise RunError(f"Expected to be able to write {path}, but got: {error.strerror}.") from error
        return cls(path)

    @property
    def config(self) -> dict[str, Any]:
        """The experiment's name, the preset's, and the settings."""
        return json.loads((self.path / "config.json").read_text())

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.config["experiment"]

    def settings(self, kind: type[_T]) -> _T:
        """Rebuilds the settings.

        Args:
            kind: The dataclass that they are of.

        Raises:
            RunError: If they are of another version.
        """
        try:
            return from_json(kind, self.config["settings"])
        except (TypeError, KeyError, ValueError) as error:
            raise RunError(f"Expected settings of this version in {self.path}/config.json, but got: {error}") from error

    @property
    def manifest(self) -> dict[str, Any]:
        """Versions, commit, device, times and command."""
        return json.loads((self.path / "manifest.json").read_text())

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        """Where pictures are."""
        folder = self.path / "figures"
        folder.mkdir(exist_ok=True)
        return folder

    def note(self, **facts: Any) -> None:
        """Adds facts to the manifest."""
        write_json(self.path / "manifest.json", {**self.manifest, **facts})

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the seconds that the block takes to a fact of the manifest, also when it is interrupted."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.note(**{name: round(self.manifest.get(name, 0.0) + time.monotonic() - began, 1)})

    def append(self, line: Line) -> None:
        """Adds one line to the metrics and flushes it."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"kind": line.kind, **to_json(line)}) + "\n")

    def once(self, kind: type[L], key: Mapping[str, Any], make: Callable[[], L]) -> L:
        """Returns the line that says so, making and adding it only if the record does not have it: work is done once.

        Args:
            kind: Kind of the line.
            key: Fields that tell it from others of its kind.
            make: Does the work and says what came of it.
        """
        for line in self.lines(kind):
            if all(getattr(line, name) == value for name, value in key.items()):
                return line
        made = make()
        self.append(made)
        return made

    def lines(self, kind: type[L]) -> list[L]:
        """Returns the metrics lines of a kind, oldest first. A half-written last line is left out.

        Raises:
            RunError: If a line is of another version.
        """
        return [self._line(kind, values) for values in self._read() if values["kind"] == kind.kind]

    def last(self, kind: type[L]) -> L:
        """Returns the newest metrics line of a kind.

        Raises:
            RunError: If there is none: the run has not got that far.
        """
        lines = self.lines(kind)
        if not lines:
            raise RunError(
                f"Expected {self.path} to have reached its '{kind.kind}', but it has not. "
                f"Finish it with `hyperlearning resume {self.path}`."
            )
        return lines[-1]

    def _line(self, kind: type[L], values: dict[str, Any]) -> L:
        try:
            return from_json(kind, {name: value for name, value in values.items() if name != "kind"})
        except (TypeError, KeyError, ValueError) as error:
            raise RunError(
                f"Expected lines '{kind.kind}' of this version in {self.path}/metrics.jsonl, but got: {error}"
            ) from error

    def count_lines(self) -> int:
        """Counts the metrics lines, for a checkpoint."""
        return sum(1 for _ in self._read())

    def truncate_lines(self, num_lines: int) -> None:
        """Drops all metrics lines after the first `num_lines`: what a checkpoint does not yet know happens again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            kept = [json.dumps(line) + "\n" for line in list(self._read())[:num_lines]]
            if len(kept) < num_lines:
                raise RunError(f"Expected {num_lines} or more lines in {path}, but got {len(kept)}: it was altered.")
            write_atomically(path, "".join(kept).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process from writing to the same run at the same time.

        Raises:
            RunError: If another live process has it.
        """
        with held(self.path):
            self._drop_half_a_line()
            yield

    def _drop_half_a_line(self) -> None:
        """Removes what a killed process may have left of a line, so that the next one begins afresh."""
        path = self.path / "metrics.jsonl"
        if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
            write_atomically(path, content[: content.rfind(b"\n") + 1])

    def _read(self) -> Iterator[dict[str, Any]]:
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def _manifest(made: Made) -> dict[str, Any]:
    versions = {name: metadata.version(name) for name in ("hyperlearning", "torch", "numpy")}
    return {
        "command": made.command,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(),
        "python": sys.version.split()[0],
        "versions": versions,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if made.device == "cuda" else "cpu",
    }


def _commit() -> str | None:
    """Returns the commit of the checkout that this package runs from; nothing where it was installed into another one."""
    package = Path(__file__).resolve().parents[1]
    try:
        answer = subprocess.run(
            ["git", "-C", str(package), "rev-parse", "HEAD", "--show-prefix"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    # In its own checkout the package lies at src/hyperlearning; in a virtual environment within another one, elsewhere.
    commit, _, prefix = answer.stdout.strip().partition("\n")
    return commit if prefix == "src/hyperlearning/" else None
