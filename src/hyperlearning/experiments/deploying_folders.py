"""`deploy` on a folder of images of a user's own: from pictures to a page of all lives."""

import csv
import io
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from hyperlearning.core.atomic_files import check_is_folder_to_be, write_together
from hyperlearning.data.image_folders import GroundOption, UserImages, read_image_folder
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.experiment import Answer, Verb
from hyperlearning.experiments.shipped import is_shipped
from hyperlearning.reports.page import Page, render_page
from hyperlearning.systems.folder import FolderSettings, LearnedFolder, learn_folder
from hyperlearning.systems.folder_lives import FolderRun
from hyperlearning.systems.folder_page import BYTES, FolderWords, folder_page, lives_table, verdict
from hyperlearning.systems.innate import Innate

HELP = (
    "Learns a folder of images class after class with what the run has trained, beside all that it must stand beside."
)


@dataclass(frozen=True, kw_only=True)
class DeployOnFolder:
    """Options of `deploy`."""

    folder: tyro.conf.Positional[Path]
    """A folder with one subfolder of pictures a class; classes are met in natural order of their names."""
    ground: GroundOption | None = None
    """What ink stands on, if it is not to be recognised: `light` inverts all pictures, `dark` none, as for photographs, `each`
    those with a light edge."""
    out: Path | None = None
    """Folder of the outputs; called after the folder, beside it, if absent."""
    lives: tyro.conf.OmitArgPrefixes[FolderSettings] = field(default_factory=FolderSettings)


class Opened(NamedTuple):
    """What of a run is going to learn a folder.

    Attributes:
        run: What was trained.
        innate: What its meta-train classes say of its features, read or estimated when it is wanted; nothing if that cannot be.
        said: How it was chosen among several, for people; empty where there is one only.
        flags: What chooses it on the command line.
    """

    run: FolderRun
    innate: Callable[[], Innate | None]
    said: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def deploying(opening: Callable[[RunRecord], Opened]) -> Verb:
    """Makes the verb of a claim whose runs hold one thing that lives.

    Args:
        opening: Opens a run.
    """
    return Verb(HELP, DeployOnFolder, lambda record, options: deployed(record, opening(record), options))


def deployed(record: RunRecord, opened: Opened, options: DeployOnFolder) -> Answer:
    """Lets all lives learn a folder, and writes page, predictions and errors.

    Raises:
        DataError: If the folder cannot be read.
        ValueError: If there are too few classes, or too many, or outputs would lie in the folder.
    """
    folder = options.folder
    out = options.out or folder.resolve().with_name(f"{folder.resolve().name}-learned")
    if folder.is_file():
        raise ValueError(
            f"Expected a folder of images, which runs of {record.experiment} learn, but {folder} is a file. A table is learned "
            f"without this run, by `hyperlearning deploy {folder}`."
        )
    _check_apart(out, folder)
    check_is_folder_to_be(out)
    pictures = read_image_folder(folder, side=opened.run.side, ground=options.ground)
    learned = learn_folder(opened.run, pictures, innate=opened.innate(), settings=options.lives)
    words = FolderWords(
        title=f"{folder.resolve().name}, learned class after class",
        classes=pictures.class_names,
        read=(*pictures.said, *opened.said),
        command=_command(record, options, opened.flags),
    )
    page, facts = folder_page(learned, words), _facts(record, folder, pictures, learned)
    write_together(out, dict(_files(pictures, learned, page, facts)))
    said = [*words.read, *learned.said, verdict(learned), f"Page, predictions and errors: {out}"]
    return Answer(table=lives_table(learned), values=facts, note="\n".join(said))


def _check_apart(out: Path, folder: Path) -> None:
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"Expected `out` to be outside {folder}, where it would be a class, but got {out}.")


def _command(record: RunRecord, options: DeployOnFolder, chosen: tuple[str, ...]) -> str:
    """What repeats it, wherever the folder lies."""
    lives = options.lives
    given = {
        "--num-learned": lives.num_learned,
        "--ground": options.ground,
        "--seed": lives.seed or None,
    }
    flags = [str(part) for name, value in given.items() if value is not None for part in (name, value)]
    run = [] if is_shipped(record.path) else [str(record.path)]
    return shlex.join(["hyperlearning", "deploy", *run, options.folder.resolve().name, *chosen, *flags])


def _files(
    pictures: UserImages, learned: LearnedFolder, page: Page, facts: dict[str, Any]
) -> Iterator[tuple[str, bytes]]:
    yield "report.html", render_page(page).encode()
    yield "picture.png", page.sections[0].pictures[0].content
    yield "predictions.csv", _predictions(pictures, learned)
    yield "errors.json", (json.dumps(facts, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _predictions(pictures: UserImages, learned: LearnedFolder) -> bytes:
    """What every life takes every image for after the last class."""
    names, lives = pictures.class_names, sorted(learned.lives, key=lambda life: life.name)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "class", "learned", *(life.name for life in lives)])
    for place, (file, label) in enumerate(zip(pictures.file_names, pictures.labels.tolist(), strict=True)):
        kind = "learned" if learned.stream.is_learned[place] else "held out"
        table.writerow([file, names[label], kind, *(names[int(life.chosen[place])] for life in lives)])
    return text.getvalue().encode()


def _facts(record: RunRecord, folder: Path, pictures: UserImages, learned: LearnedFolder) -> dict[str, Any]:
    """Shares of images that are not recognised, of 1, and what each life keeps."""
    lives = {
        life.name: {
            "title": life.title,
            "held_out_along_the_life": _error(life.along),
            "learned_at_the_end": _error(life.all_learned),
            "held_out_at_the_end": _error(life.all_held_out),
            "by_class": {
                name: {"learned": _error(learned_share), "held_out": _error(held_out_share)}
                for name, learned_share, held_out_share in zip(
                    pictures.class_names, life.learned.tolist(), life.held_out.tolist(), strict=True
                )
            },
            **({} if life.pixel_error is None else {"squared_error_of_a_pixel": life.pixel_error}),
            "numbers_kept": life.num_stored,
            "bytes_kept": BYTES * life.num_stored,
        }
        for life in learned.lives
    }
    return {"run": str(record.path), "folder": str(folder), "best": learned.best.name, "share_not_recognised": lives}


def _error(share: float | None) -> float | None:
    return None if share is None or share != share else 1 - share
