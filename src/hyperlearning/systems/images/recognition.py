"""One life as it can be seen: the images that it learned, others of the same classes, and what it takes them for."""

import string
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hyperlearning.reports import Picture, png_bytes
from hyperlearning.reports.recognition import recognition_figure
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.lives import looked_at, some_lives
from hyperlearning.systems.images.methods import Newborn
from hyperlearning.systems.images.pools import Split
from hyperlearning.systems.packed_images import PackedImages, pack_images, unpack_images

_LETTERS = string.ascii_uppercase
_NUM_LEVELS = 15
_NUM_SHOWN = 8
"""Held-out images shown of a class, the first ones."""


@dataclass(frozen=True, kw_only=True)
class RecognitionLine:
    """What one life recognises at its end.

    Attributes:
        split: Where its classes come from.
        names: Of its classes, as they were met: digits where they are, else letters.
        learned: (T, i, S, S), the images learned, class after class.
        held_out: (T, n, S, S), others of the same classes.
        taken_for: (T, n), the class that each of them is taken for, by its place in the life; -1 for none of the life's.
    """

    kind: ClassVar[str] = "recognition"

    split: Split
    names: list[str]
    learned: PackedImages
    held_out: PackedImages
    taken_for: list[list[int]]


def recognition_line(born: Newborn, split: Split, lives: ClassLives, *, steps_per_task: int) -> RecognitionLine:
    """Lives the first of these lives and says what it takes images for."""
    life = some_lives(lives, slice(1))
    *_, logits = looked_at(*born, life, steps_per_task=steps_per_task)
    chosen = logits[0].argmax(-1).unflatten(0, (life.labels.shape[1], -1))
    shown = chosen[:, life.learned.shape[2] :][:, :_NUM_SHOWN]
    place_of = {int(label): place for place, label in enumerate(life.labels[0])}
    return RecognitionLine(
        split=split,
        names=_names(life.labels[0].tolist()),
        learned=pack_images(_in_levels(life.learned[0, :, :, 0])),
        held_out=pack_images(_in_levels(life.held_out[0, :, :_NUM_SHOWN, 0])),
        taken_for=[[place_of.get(label, -1) for label in row] for row in shown.tolist()],
    )


def _in_levels(images: Tensor) -> Tensor:
    """Rounds pixels: few levels pack to half the size."""
    return (images * _NUM_LEVELS).round() / _NUM_LEVELS


def _names(labels: list[int]) -> list[str]:
    in_order = labels == list(range(len(labels)))
    return [str(label) if in_order else _LETTERS[place % 26] * (1 + place // 26) for place, label in enumerate(labels)]


def recognition_picture(line: RecognitionLine, *, title: str) -> Picture:
    """Shows a life."""
    right = sum(place == task for task, row in enumerate(line.taken_for) for place in row)
    learned, held_out = (unpack_images(images) / 255 for images in (line.learned, line.held_out))
    return Picture(
        title=f"One life on {title}",
        caption="Classes were met one after another, from top to bottom. Of the images shown afterwards, none seen before, "
        f"{right} of {sum(map(len, line.taken_for))} are recognised; the others are framed, with the name of the class that they "
        "are taken for.",
        content=png_bytes(recognition_figure(learned, held_out, line.taken_for, names=line.names)),
        alt=f"{title}: images learned class after class, held-out images, and which are taken for another class",
    )
