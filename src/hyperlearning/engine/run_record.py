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

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from hyperlearning.core.atomic_files import write_atomically, write_json


class RunError(RuntimeError):
    """A run directory cannot be made, read or written."""


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
        cls, root: Path, experiment: str, name: str, config: Any, *, preset: str, command: str, overwrite: bool
    ) -> "RunRecord":
        """Makes a new run directory.

        Args:
            root: Where runs live.
            experiment: The experiment's name.
            name: The run's name.
            config: A dataclass of settings.
            preset: The preset the settings began from.
            command: The command that repeats the run.
            overwrite: Whether a run already there is removed.

        Raises:
            RunError: If the run exists and may not be overwritten, or the root cannot be written.
        """
        assert is_dataclass(config)
        assert not isinstance(config, type)
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
            settings = {"experiment": experiment, "preset": preset, "settings": asdict(config)}
            write_json(path / "manifest.json", _manifest(command))
            write_json(path / "config.json", settings)
        except OSError as error:
            raise RunError(f"Expected to be able to write {path}, but got: {error.strerror}.") from error
        return cls(path)

    @property
    def config(self) -> dict[str, Any]:
        """The experiment's name, the preset's, and the settings."""
        return json.loads((self.path / "config.json").read_text())

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

    def append(self, kind: str, **values: Any) -> None:
        """Adds one line to the metrics and flushes it."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """Returns the metrics lines of a kind, oldest first. A half-written last line is left out."""
        return [line for line in self._read() if line["kind"] == kind]

    def last(self, kind: str) -> dict[str, Any]:
        """Returns the newest metrics line of a kind.

        Raises:
            RunError: If there is none: the run has not got that far.
        """
        lines = self.lines(kind)
        if not lines:
            raise RunError(
                f"Expected {self.path} to have reached its '{kind}', but it has not. "
                f"Finish it with `hyperlearning resume {self.path}`."
            )
        return lines[-1]

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
        with (self.path / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(f"Expected {self.path} to be idle, but another process is working on it.") from error
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


def _manifest(command: str) -> dict[str, Any]:
    versions = {name: metadata.version(name) for name in ("hyperlearning", "torch", "numpy")}
    return {
        "command": command,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(),
        "python": sys.version.split()[0],
        "versions": versions,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def _commit() -> str | None:
    """Returns the commit of the source tree this package runs from; nothing when installed from a wheel."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return answer.stdout.strip() or None
