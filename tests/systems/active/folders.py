"""Folders of small pictures for tests of labelling."""

from pathlib import Path

import numpy as np
from PIL import Image


def truth(path: str) -> str:
    """The class of a picture that `write_pictures` wrote."""
    return Path(path).name[0]


def write_pictures(folder: Path, *, per_class: int = 8, classes: str = "abc") -> Path:
    """Writes pictures of 8 x 8 with a bright bar whose place tells the class, half of them in folders within."""
    source = np.random.default_rng(0)
    for k, name in enumerate(classes):
        for number in range(per_class):
            pixels = source.integers(0, 60, (8, 8)).astype(np.uint8)
            pixels[:, 2 * k : 2 * k + 2] = 220
            path = folder / ("in/deep" if number % 2 else "") / f"{name}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder
