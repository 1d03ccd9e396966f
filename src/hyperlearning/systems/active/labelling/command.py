"""`hyperlearning label`: what its options are, and what each of its forms does."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from hyperlearning.acquisition.answers import Policy
from hyperlearning.acquisition.strategies import StrategyName
from hyperlearning.core.atomic_files import check_is_folder_to_be, write_atomically, write_together
from hyperlearning.core.errors import QueryError
from hyperlearning.data.image_folders import counted
from hyperlearning.systems.active.embedders import FeatureKind
from hyperlearning.systems.active.labelling import directory
from hyperlearning.systems.active.labelling.answer_rows import (
    AnswerRow,
    check_complete,
    read_csv,
    read_jsonl,
    tell_rows,
)
from hyperlearning.systems.active.labelling.classifier import FolderClassifier
from hyperlearning.systems.active.labelling.directory import Delimiter, Labelling, State
from hyperlearning.systems.active.labelling.label_studio import interface, read_label_studio, tasks
from hyperlearning.systems.active.labelling.settings import LabellingSettings, going_on
from hyperlearning.systems.active.labelling.sheet import contact_sheet
from hyperlearning.systems.active.labelling.tables import labels_table, predictions_table, queue_table
from hyperlearning.systems.active.labelling.terminal import answer_at_terminal
from hyperlearning.systems.active.questions import Question


@dataclass(frozen=True, kw_only=True)
class LabelFolder:
    """Chooses images of a folder to ask about, takes answers, learns from them, and chooses again.

    `label FOLDER --budget 200` writes a queue; fill in its column `answer` and give the same command again, until the budget is
    spent. With `--ask terminal` it asks at once. `label status DIR` and `label export DIR` say what is known and write it out; a
    folder called status or export is given as ./status or ./export. Options of choosing are kept and need not be given again.
    """

    folder: tyro.conf.Positional[Path]
    """A folder of pictures, with folders in it or without."""
    budget: int | None = None
    """Answers that may be given in all, `?` and `-` included; to be given at first, may be changed later."""
    ask: Literal["queue", "terminal"] = "queue"
    """Write a queue to be filled in, or ask here, one image's path at a time."""
    into: Path | None = None
    """The labelling's directory; called after the folder, beside it, if absent."""
    query_size: int | None = None
    """Questions at a time; may be changed later. 20 if never given."""
    take: Annotated[Path | None, tyro.conf.arg(name="import")] = None
    """Take answers from a file first: a CSV or JSONL with `path` and `answer`, or Label Studio's JSON."""
    correct: bool = False
    """Let answers of the file or the queue change those that were given before."""
    export_label_studio: Path | None = None
    """Write the questions as tasks of Label Studio to this file, and its labelling interface beside it as .xml."""
    jsonl: bool = False
    """Write queue.jsonl beside queue.csv; answers in it are read too."""
    delimiter: Delimiter | None = None
    """Of the queue: `;` where spreadsheets take a comma for a decimal mark. May be changed later."""
    strategy: StrategyName | None = None
    """What chooses; margin if never given."""
    first: StrategyName | None = None
    """What chooses before two classes are known, one that needs no label; random if never given."""
    classes: tuple[str, ...] | None = None
    """Classes that are known beforehand; others are met as they come."""
    policy: Policy | None = None
    """What becomes of images that are not one of ours; `remove` if never given."""
    ignore_rejects: tyro.conf.FlagCreatePairsOff[bool] = False
    """Learn nothing from images that are not one of ours: none is predicted to be, and others like them are asked about too."""
    features: FeatureKind | None = None
    """What is learned on; pixels if never given."""
    side: int | None = None
    """Height and width that images are brought to; 32 if never given."""
    channels: Literal[1, 3] | None = None
    """1, grey, or 3; 3 if never given."""
    seed: int | None = None
    """Of chance; 0 if never given."""


_CHOSEN = ("strategy", "first", "classes", "policy", "features", "side", "channels", "seed")
_CHANGING = ("budget", "query_size", "delimiter")


def label(
    options: LabelFolder, say: Callable[[str], None], read_line: Callable[[], str] | None = None
) -> dict[str, Any]:
    """Goes on with a labelling, or begins it: takes answers, asks, and writes what waits.

    Args:
        options: Of the command.
        say: Shows a text, without a line feed of its own.
        read_line: Gives what was typed at a terminal; of standard input if absent.

    Returns:
        What `status` says.

    Raises:
        AnswerError: If an answer cannot be taken; nothing of its file is.
        DataError: If the folder cannot be read, or is not as it was.
        FileError: If a file of the labelling is damaged.
        ValueError: If an option cannot be.
    """
    path = options.into or options.folder.resolve().with_name(f"{options.folder.resolve().name}-labels")
    if path.resolve().is_relative_to(options.folder.resolve()):
        raise ValueError(
            f"Expected a directory outside {options.folder}, but got {path}. Name another by `--into DIR`."
        )
    with directory.working_on(path):
        labelling = _opened(path, options)
        for sentence in labelling.said:
            say(f"{sentence}\n")
        _take_answers(labelling, options, say)
        if options.ask == "terminal":
            answer_at_terminal(labelling, read_line or sys.stdin.readline, say)
        questions = labelling.ask()
        labelling.save()
        _write_queue(labelling, questions, with_jsonl=options.jsonl)
        if options.export_label_studio is not None:
            _write_tasks(labelling, options.export_label_studio)
        for sentence in _what_now(labelling, questions, options):
            say(f"{sentence}\n")
        return status(labelling)


def _opened(path: Path, options: LabelFolder) -> Labelling:
    given = {name: getattr(options, name) for name in _CHOSEN if getattr(options, name) is not None}
    if options.ignore_rejects:
        given["ignore_rejects"] = True
    changing = {name: getattr(options, name) for name in _CHANGING if getattr(options, name) is not None}
    if not directory.is_begun(path):
        if options.budget is None:
            raise ValueError(
                f"Expected `--budget N`, how many answers may be given, to begin labelling {options.folder}."
            )
        state = State(folder=str(options.folder.resolve()), **changing)
        return directory.begin(path, options.folder, LabellingSettings(**given), state)
    labelling = directory.opened(path)
    going_on(labelling.settings, given, str(path))
    labelling.pool.check(options.folder, path)
    labelling.change(folder=str(options.folder.resolve()), **changing)
    return labelling


def _take_answers(labelling: Labelling, options: LabelFolder, say: Callable[[str], None]) -> None:
    """Takes what the file of `--import` and the queue answer, and saves it."""
    for file in [*([options.take] if options.take is not None else []), *_queues(labelling.path)]:
        rows = _rows(file, labelling)
        taken_anyway = options.take is not None and options.take.resolve() == file.resolve()
        if not taken_anyway:
            waiting = {labelling.pool.images[question.place] for question in labelling.loop.waiting}
            check_complete(rows, labelling.pool, [name for name in labelling.state.queued if name in waiting], file)
        if num := tell_rows(labelling.loop, labelling.pool, rows, correct=options.correct):
            say(f"Took {counted(num, 'answer')} from {file}.\n")
    labelling.save()


def _queues(path: Path) -> Iterator[Path]:
    yield from (path / name for name in ("queue.csv", "queue.jsonl") if (path / name).is_file())


def _rows(file: Path, labelling: Labelling) -> Sequence[AnswerRow]:
    if file.suffix.lower() == ".json":
        return read_label_studio(file, labelling.pool, labelling.loop.answers)
    return read_jsonl(file) if file.suffix.lower() == ".jsonl" else read_csv(file)


def _write_queue(labelling: Labelling, questions: Sequence[Question], *, with_jsonl: bool) -> None:
    names = [labelling.pool.images[question.place] for question in questions]
    contents = {
        "queue.csv": queue_table(labelling.pool, questions, labelling.state.delimiter).content(),
        "contact-sheet.html": contact_sheet(Path(labelling.state.folder), labelling.pool, questions),
    }
    if with_jsonl or (labelling.path / "queue.jsonl").is_file():
        lines = [
            json.dumps({"path": name, "answer": "", "why": own.why, "round": own.round}, ensure_ascii=False)
            for name, own in zip(names, questions, strict=True)
        ]
        contents["queue.jsonl"] = "".join(f"{line}\n" for line in lines).encode()
    write_together(labelling.path, contents)
    labelling.change(queued=tuple(names))


def _write_tasks(labelling: Labelling, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(tasks(labelling), indent=1, ensure_ascii=False) + "\n").encode())
    write_atomically(path.with_suffix(".xml"), interface(labelling.loop.classes).encode())


def _what_now(labelling: Labelling, questions: Sequence[Question], options: LabelFolder) -> Iterator[str]:
    num, budget = len(labelling.loop.answers), labelling.state.budget
    yield f"{num} of {budget} answers given; {counted(labelling.loop.num_labelled, 'image')} labelled."
    if budget > len(labelling.pool.images) and not num:
        yield (
            f"The folder has {counted(len(labelling.pool.images), 'image')} to ask about, fewer than the budget: all of them "
            "can be."
        )
    if questions:
        queue = labelling.path / "queue.csv"
        yield (
            f"{counted(len(questions), 'image')} wait in {queue}, with pictures in {queue.with_name('contact-sheet.html')}. "
            "Write a class into the column `answer` of each (`?` unsure, `-` not one of ours) and give the same command again."
        )
    else:
        yield (
            f"{'The budget is spent' if num >= budget else 'Every image has its answer'}: nothing is asked. "
            f"`hyperlearning label export {labelling.path}` writes labels, predictions and the model."
        )
    if options.export_label_studio is not None:
        yield (
            f"Tasks: {options.export_label_studio}; the labelling interface: "
            f"{options.export_label_studio.with_suffix('.xml')}. Label Studio serves the images with "
            f"LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
            f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={Path(labelling.state.folder).parent}, once the project has a source "
            f"storage of local files with the path {labelling.state.folder}, which need not be synchronised."
        )


@dataclass(frozen=True, kw_only=True)
class ShowLabelling:
    """Says how far a labelling is."""

    path: tyro.conf.Positional[Path]
    """Its directory, such as FOLDER-labels."""


def status_of(options: ShowLabelling) -> dict[str, Any]:
    """How far a labelling is.

    Raises:
        FileError: If there is none, or it is damaged.
    """
    return status(directory.opened(options.path))


def status(labelling: Labelling) -> dict[str, Any]:
    """How far a labelling is, as JSON values."""
    loop, kinds = labelling.loop, Counter(answer.kind for answer in labelling.loop.answers)
    return {
        "folder": labelling.state.folder,
        "directory": str(labelling.path),
        "images": len(labelling.pool.images),
        "duplicates": [list(own) for own in labelling.pool.duplicates],
        "unread": [list(own) for own in labelling.pool.unread],
        "budget": labelling.state.budget,
        "answers": len(loop.answers),
        "labelled": loop.num_labelled,
        "not_ours": kinds["rejected"],
        "unsure": kinds["unsure"],
        "classes": dict.fromkeys(loop.classes, 0) | dict(Counter(loop.labels().values())),
        "waiting": [labelling.pool.images[question.place] for question in loop.waiting],
        "may_still_be_asked": labelling.num_left,
    }


@dataclass(frozen=True, kw_only=True)
class ExportLabelling:
    """Writes labels, what every image is taken for with calibrated confidence, and the model."""

    path: tyro.conf.Positional[Path]
    """The labelling's directory, such as FOLDER-labels."""
    out: Path | None = None
    """Where to; `export` in the directory if absent."""


def export(options: ExportLabelling) -> dict[str, Any]:
    """Writes `labels.csv`, `predictions.csv`, `model.safetensors` and `model.json`.

    Returns:
        What `status` says, and where the files are.

    Raises:
        FileError: If there is no labelling, or it is damaged.
        QueryError: If labels are of fewer than two classes, one of them and what is not one of ours excepted; `labels.csv` is
            written nevertheless.
    """
    labelling = directory.opened(options.path)
    out, loop = options.out or options.path / "export", labelling.loop
    check_is_folder_to_be(out)
    labels = {"labels.csv": labels_table(labelling.pool, loop).content()}
    met = sorted(set(loop.labels().values()))
    if not met or len(loop.outcomes) - len(loop.classes) + len(met) < 2:
        write_together(out, labels)
        raise QueryError(
            f"Expected labels of two classes to tell apart, but got {f'{met[0]} alone' if met else 'none'}. What was answered "
            f"is in {out / 'labels.csv'}; there is no model yet."
        )
    write_together(out, labels | {"predictions.csv": predictions_table(labelling.pool, loop, loop.predict()).content()})
    classifier_of(labelling).save(out / "model.safetensors")
    return status(labelling) | {"export": str(out)}


def classifier_of(labelling: Labelling) -> FolderClassifier:
    """What a labelling has learned."""
    return FolderClassifier(
        classes=labelling.loop.outcomes,
        side=labelling.settings.side,
        channels=labelling.settings.channels,
        features=labelling.settings.features,
        embedder=labelling.embedder,
        head=labelling.loop.head(),
    )
