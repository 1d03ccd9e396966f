"""What was trained beforehand and comes with the package: finished runs without their course, for `deploy` without one's own."""

from importlib import resources
from pathlib import Path

SERIES = "series"
"""A phenotype hyper-trained on functions: `incremental-regression best`, seed 0."""

IMAGES = "images"
"""A classifier hyper-trained on Omniglot: `class-incremental laptop`, seed 0."""


def shipped_run(source: Path) -> Path | None:
    """Finds the shipped run that can learn from a user's own data.

    Args:
        source: What is to be learned from: a file, `-` for standard input, or a folder of images, a subfolder a class.

    Returns:
        The run's directory; none if `source` is a run itself.
    """
    if not source.is_dir():
        return shipped(SERIES)
    return None if (source / "config.json").is_file() else shipped(IMAGES)


def shipped(name: str) -> Path:
    """The directory of a run that came with the package."""
    return Path(str(resources.files("hyperlearning"))) / "shipped" / name


def is_shipped(run: Path) -> bool:
    """Whether a run's directory is one that came with the package."""
    return run.parent.name == "shipped" and run.parent.parent.name == "hyperlearning"
