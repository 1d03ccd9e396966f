"""A page with the pictures that wait for an answer, which needs nothing else, online or off."""

import base64
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from hyperlearning.data.picture_files import read_picture
from hyperlearning.systems.active.labelling.pool_files import PoolFiles
from hyperlearning.systems.active.questions import Question

_SIDE = 128
"""Pixels of a picture's longer side."""


class SheetRow(NamedTuple):
    """A picture, its path, and why it was chosen."""

    source: str
    path: str
    why: str


def contact_sheet(folder: Path, pool: PoolFiles, questions: Sequence[Question]) -> bytes:
    """Writes the page.

    Args:
        folder: Where the pictures are.
        pool: Their paths.
        questions: Those to show, a row each.

    Raises:
        DataError: If a picture can no longer be read.
    """
    rows = [SheetRow(_thumbnail(folder, pool.images[own.place]), pool.images[own.place], own.why) for own in questions]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = resources.files("hyperlearning.systems.active.labelling").joinpath("sheet.html.jinja")
    page = environment.from_string(template.read_text(encoding="utf-8")).render(
        title=f"{len(rows)} images of {folder.name} that wait for an answer",
        lead="The rows are those of queue.csv, in the same order.",
        rows=rows,
        side=_SIDE,
    )
    return page.encode()


def _thumbnail(folder: Path, name: str) -> str:
    small = read_picture(folder / name, name, side=_SIDE, channels=3).small
    pixels = (small * 255).round().cpu().numpy().astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.moveaxis(pixels, 0, -1)).save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
