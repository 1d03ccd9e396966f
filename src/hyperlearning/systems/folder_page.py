"""The page of a user's folder of images: which life served it best, what it takes for what, and what each keeps."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyperlearning.evaluation.intervals import Estimate
from hyperlearning.reports.numbers import percent
from hyperlearning.reports.page import Page, Picture, Section, Table
from hyperlearning.reports.recognition import recognition_figure
from hyperlearning.reports.style import drawable, png_bytes
from hyperlearning.systems.folder import LearnedFolder, LivedFolder

BYTES = 4
"""Of a number in single precision."""

_MOST_ROWS, _MOST_LEARNED, _MOST_HELD_OUT = 30, 5, 8
"""Classes and images drawn at most."""
_PIXELS = "pixel error, held out"
_LETTERS = 9
"""Of a class's name in the picture."""


@dataclass(frozen=True, kw_only=True)
class FolderWords:
    """What a page calls a folder.

    Attributes:
        title: What was learned.
        classes: Names of the classes.
        read: What was found as the folder was read.
        command: What repeats it.
    """

    title: str
    classes: tuple[str, ...]
    read: tuple[str, ...] = ()
    command: str = ""


def folder_page(learned: LearnedFolder, words: FolderWords) -> Page:
    """Makes the page.

    Args:
        learned: How the lives fared.
        words: What things are called.
    """
    glance = Section(
        title="At a glance",
        pictures=(_picture(learned, words.classes),),
        tables=(lives_table(learned),),
    )
    classes = Section(
        title="Class by class", tables=(_best_table(learned, words.classes), *_classes_tables(learned, words))
    )
    lives = Section(
        title="What the lives are",
        tables=(
            Table(
                title="All lives", header=("life", "what it is"), rows=tuple((x.title, x.note) for x in learned.lives)
            ),
        ),
    )
    read = Section(title="What was read and done", paragraphs=(*words.read, *learned.said))
    return Page(
        title=words.title, lead=verdict(learned), sections=(glance, read, classes, lives), command=words.command
    )


def verdict(learned: LearnedFolder) -> str:
    """Which life served these images best, before it learned them, and where the run's own stands."""
    best, own = learned.best, learned[learned.own]
    score, what = _score(best), "of images that it never learned, asked for along the life,"
    if best.along is None:
        what = "of the images learned, as nothing was held out,"
    equal = [x.title for x in learned.lives if x is not best and not x.joint and _score(x) == score]
    said = (
        f"{best.title[0].upper()}{best.title[1:]} served these images best: {what} {_percent(score)} % are recognised among the "
        f"classes met, with {_stored(best)} kept."
    )
    if equal:
        said += f" As good by this: {'; '.join(equal)}."
    if best is own:
        return said
    return f"{said} The run's own life, {own.title}, recognises {_percent(_score(own))} %, with {_stored(own)}."


def lives_table(learned: LearnedFolder) -> Table:
    """All lives on the same images, best first."""
    with_held_out = learned.best.all_held_out is not None
    reconstructed = any(life.pixel_error is not None for life in learned.lives)
    header = ("along the life, held out", "at the end, learned", "at the end, held out")
    rows = []
    for life in learned.lives:
        shares = (life.along, life.all_learned, life.all_held_out)
        cells = tuple(_percent(share) for share in (shares if with_held_out else shares[1:2]))
        errors = ("" if life.pixel_error is None else f"{life.pixel_error:.4f}",) if reconstructed else ()
        rows.append((life.title, *cells, *errors, f"{life.num_stored:,}", f"{life.num_stored * BYTES:,}"))
    caption = (
        "Along the life: after a class, held-out images of the classes met by then, none of which was learned, the life choosing "
        "among these classes; the mean over the times asked. "
    )
    pixels = " Pixel error: of held-out images, reconstructed at the end, the mean squared error of a pixel."
    return Table(
        title="All lives on the same images: percent recognised",
        header=(
            "life",
            *(header if with_held_out else header[1:2]),
            *((_PIXELS,) if reconstructed else ()),
            "numbers kept",
            "bytes kept",
        ),
        rows=tuple(rows),
        caption=f"{caption if with_held_out else ''}At the end: after the last class, among all classes. What no life changes is "
        "not counted, such as the trained convolutions. Bytes are of single precision; images kept are counted as numbers too."
        f"{pixels if reconstructed else ''}",
        highlight=(0,),
    )


def _score(life: LivedFolder) -> float:
    return life.all_learned if life.along is None else life.along


def _stored(life: LivedFolder) -> str:
    return f"{life.num_stored:,} numbers ({life.num_stored * BYTES:,} bytes)"


def _percent(share: float | None) -> str:
    return "" if share is None or np.isnan(share) else percent(Estimate(share, 0.0, 1))


def _best_table(learned: LearnedFolder, classes: Sequence[str]) -> Table:
    """What the best life makes of every class."""
    best, stream, rows = learned.best, learned.stream, []
    for label, name in enumerate(classes):
        own = stream.labels == label
        taken = Counter(best.chosen[own & ~stream.is_learned].tolist())
        wrong = [f"{classes[other]} ({count})" for other, count in taken.most_common() if other != label]
        numbers = (int((own & stream.is_learned).sum()), int((own & ~stream.is_learned).sum()))
        shares = (float(best.learned[label]), float(best.held_out[label]))
        rows.append((name, *map(str, numbers), *map(_percent, shares), ", ".join(wrong[:3])))
    return Table(
        title=f"{best.title[0].upper()}{best.title[1:]}: percent recognised at the end",
        header=("class", "learned", "held out", "of learned, %", "of held out, %", "others are taken for"),
        rows=tuple(rows),
    )


def _classes_tables(learned: LearnedFolder, words: FolderWords) -> list[Table]:
    """Every class, life by life."""
    header = ("class", *(life.title for life in learned.lives))
    kinds = {
        "images learned": [life.learned for life in learned.lives],
        "images held out": [life.held_out for life in learned.lives],
    }
    if learned.best.all_held_out is None:
        del kinds["images held out"]
    return [
        Table(
            title=f"All lives: percent of {kind} recognised at the end",
            header=header,
            rows=tuple(
                (name, *(_percent(float(shares[label])) for shares in columns))
                for label, name in enumerate(words.classes)
            ),
        )
        for kind, columns in kinds.items()
    ]


def _picture(learned: LearnedFolder, classes: Sequence[str]) -> Picture:
    stream, best = learned.stream, learned.best
    number = min(len(classes), _MOST_ROWS)
    held_out = [(~stream.is_learned & (stream.labels == label)).nonzero()[:, 0] for label in range(number)]
    met = _sheet([stream.images[batch[:_MOST_LEARNED], 0].cpu().numpy() for batch in stream.batches[:number]])
    others = _sheet([stream.images[places[:_MOST_HELD_OUT], 0].cpu().numpy() for places in held_out])
    taken_for = np.full(others.shape[:2], -1)
    for row, places in zip(taken_for, held_out, strict=True):
        shown = best.chosen[places[:_MOST_HELD_OUT]].cpu().numpy()
        row[: len(shown)] = np.where(shown < number, shown, -1)
    names = [_short(name, label) for label, name in enumerate(classes[:number])]
    rest = f" The first {number} of {len(classes)} classes." if number < len(classes) else ""
    unmet = ' "?" is a class that is not drawn.' if number < len(classes) else ""
    return Picture(
        title=f"What {best.title} recognises at its end",
        caption="Left, what each class was taught with, class after class from top to bottom; right, other images of it, which "
        "no life learned. Those that are not recognised are framed, with the name of the class that they are taken for."
        f"{rest}{unmet}",
        content=png_bytes(recognition_figure(met, others, taken_for, names=names)),
        alt=f"Images of {len(classes)} classes: which were learned, and which others {best.title} recognises",
    )


def _sheet(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of images of one side, as many in each as in the longest, at least one; NaN where there is none."""
    side = rows[0].shape[-1]
    sheet = np.full((len(rows), max(1, *map(len, rows)), side, side), np.nan)
    for filled, images in zip(sheet, rows, strict=True):
        filled[: len(images)] = images
    return sheet


def _short(name: str, label: int) -> str:
    """A class's name as the picture has room for it."""
    short = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
    return drawable(short, str(label + 1))
