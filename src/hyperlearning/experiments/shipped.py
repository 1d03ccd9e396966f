"""What was trained beforehand and comes with the package: finished runs without their course, for `deploy` without one's own."""

from importlib import resources
from pathlib import Path

SERIES = "series"
"""A phenotype hyper-trained on functions: `incremental-regression best`, seed 0."""


def shipped_run(source: Path) -> Path | None:
    """Finds the shipped run that can learn from a user's own data.

    Args:
        source: What is to be learned from: a file, or `-` for standard input.

    Returns:
        The run's directory; none if `source` is a run itself, or nothing shipped can learn from it.
    """
    return None if source.is_dir() else shipped(SERIES)


def shipped(name: str) -> Path:
    """The directory of a run that came with the package."""
    return Path(str(resources.files("hyperlearning"))) / "shipped" / name


def is_shipped(run: Path) -> bool:
    """Whether a run's directory is one that came with the package."""
    return run.parent.name == "shipped" and run.parent.parent.name == "hyperlearning"
