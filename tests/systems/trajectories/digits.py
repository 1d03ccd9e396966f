"""scikit-learn's digits in the place of Omniglot: ten classes of twenty images in either split, on any machine."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hyperlearning.data.images import ImageSet, load
from hyperlearning.systems.trajectories import characters

NUM_CLASSES, NUM_IMAGES = 10, 20
_SPLITS = {"background": "train", "evaluation": "test"}


def digits_for_omniglot(monkeypatch: pytest.MonkeyPatch):
    """Makes characters digits for the rest of a test."""
    monkeypatch.setattr(characters, "load", _digits)


def _digits(name: str, split: str, *, root: Path | None = None) -> ImageSet:
    assert name == "omniglot"
    digits = load("digits", _SPLITS[split])
    first = torch.cat([(digits.labels == label).nonzero()[:NUM_IMAGES, 0] for label in range(NUM_CLASSES)])
    return replace(digits, images=digits.images[first], labels=digits.labels[first], num_published=len(first))
