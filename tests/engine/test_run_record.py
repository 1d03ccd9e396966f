"""What a record says of where it comes from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import hyperlearning

MAKE = """
import sys
from dataclasses import dataclass
from pathlib import Path
from hyperlearning.engine.run_record import Made, RunRecord

@dataclass(frozen=True)
class Config:
    seed: int = 0

made = Made(preset="quick", command="hyperlearning run x", device="cpu")
print(RunRecord.create(Path(sys.argv[1]), "x", "y", Config(), made=made).manifest["commit"])
"""


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit_recorded(package: Path, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", MAKE, str(folder)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
    )
    return done.stdout.strip()


def a_checkout(folder: Path, place: str) -> Path:
    """A repository that holds the package at a place."""
    source = Path(hyperlearning.__file__).parent
    shutil.copytree(source, folder / place, ignore=shutil.ignore_patterns("__pycache__", "shipped"))
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "first")
    return folder / place


def test_its_own_checkouts_commit_is_recorded(tmp_path: Path):
    package = a_checkout(tmp_path / "own", "src/hyperlearning")
    assert commit_recorded(package, tmp_path / "runs") == git(tmp_path / "own", "rev-parse", "HEAD")


def test_installed_into_another_repository_that_ones_commit_is_not_recorded(tmp_path: Path):
    package = a_checkout(tmp_path / "other", ".venv/site-packages/hyperlearning")
    assert commit_recorded(package, tmp_path / "runs") == "None"
