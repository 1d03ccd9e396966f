"""The directory of a labelling: all that is known, every answer saved before anything else is done.

```
FOLDER-labels/
  settings.json         what was given first
  pool.json             which files, by path and hash; duplicates; what could not be read
  learning/             learned features while they are being learned
  features.safetensors  of the images, and what they follow from
  answers.json          every answer, and the questions that wait
  state.json            the budget, and what stands in the queue
  queue.csv             the questions, with a column for answers
  contact-sheet.html    likewise, with pictures
  labels.csv            what was answered
```
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from hyperlearning.core.atomic_files import check_is_folder_to_be, write_json
from hyperlearning.core.errors import FileError, Interrupted
from hyperlearning.core.expect import Count, check_ranges
from hyperlearning.core.folder_locks import held
from hyperlearning.core.settings import from_json, to_json
from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.data.unlabelled_folders import read_unlabelled_folder
from hyperlearning.engine.rounds import Rounds, RoundsState
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import run_job
from hyperlearning.systems.active.embedders import EMBEDDERS, Work
from hyperlearning.systems.active.features import Embedder
from hyperlearning.systems.active.labelling.pool_files import PoolFiles
from hyperlearning.systems.active.labelling.settings import LabellingSettings
from hyperlearning.systems.active.labelling.tables import labels_table
from hyperlearning.systems.active.loop import ActiveLoop
from hyperlearning.systems.active.questions import Question

Delimiter = Literal[",", ";"]
_FORMAT = 1
_LEARNING = "learning"
_BEFORE_SETTINGS = {_LEARNING, "pool.json", "features.safetensors", "answers.json", "state.json"}
"""Written before `settings.json`: what a beginning that was killed leaves."""


@dataclass(frozen=True, kw_only=True)
class _Learning:
    """What features that are learned follow from."""

    settings: LabellingSettings
    images: str


@dataclass(frozen=True, kw_only=True)
class State:
    """What may change while a folder is labelled.

    Attributes:
        folder: Where the images are.
        budget: Answers that may be given in all.
        query_size: Questions at a time.
        delimiter: Of the queue.
        queued: Paths that the queue asked about when it was written.
    """

    folder: str
    budget: Count
    query_size: Count = 20
    delimiter: Delimiter = ","
    queued: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(kw_only=True, eq=False)
class Labelling:
    """A folder that is being labelled.

    Attributes:
        path: Its directory.
        settings: What was given first.
        state: What may change.
        pool: Which files it is of.
        embedder: What turns images into features.
        features_ND: Of the images.
        loop: Questions and answers.
        said: What was found and done at the beginning, a sentence each.
    """

    path: Path
    settings: LabellingSettings
    state: State
    pool: PoolFiles
    embedder: Embedder
    features_ND: Float[Tensor, "N D"]
    loop: ActiveLoop
    said: tuple[str, ...] = field(default=())

    @property
    def num_left(self) -> int:
        """Answers that may still be given: by the budget, and by the images that are left to ask about."""
        return max(0, min(self.state.budget - len(self.loop.answers), self.loop.num_left))

    def ask(self) -> Sequence[Question]:
        """The questions that wait, joined by new ones until there are as many as are asked at a time; none if none may be."""
        num = min(self.state.query_size, self.num_left)
        return [self.loop.asked[place] for place in self.loop.ask(num)] if num else []

    def save(self) -> None:
        """Writes answers, questions and labels."""
        self.loop.save(self.path / "answers.json")
        labels_table(self.pool, self.loop).write(self.path / "labels.csv")

    def change(self, **changes: Any) -> None:
        """Changes the state and writes it."""
        self.state = dataclasses.replace(self.state, **changes)
        write_json(self.path / "state.json", to_json(self.state))


def is_begun(path: Path) -> bool:
    """Whether a directory holds a labelling."""
    return (path / "settings.json").is_file()


@contextmanager
def working_on(path: Path) -> Iterator[None]:
    """Makes the directory, and keeps other processes from it while the block runs.

    Raises:
        RunError: If another live process has it.
        ValueError: If it is a file, or holds files that no labelling wrote.
    """
    check_is_folder_to_be(path)
    if path.is_dir() and not is_begun(path):
        others = sorted(own.name for own in path.iterdir() if own.name[0] != "." and own.name not in _BEFORE_SETTINGS)
        if others:
            raise ValueError(
                f"Expected {path} to be empty or a labelling's, but it has {others[0]}. Name another by `--into DIR`."
            )
    path.mkdir(parents=True, exist_ok=True)
    with held(path):
        yield


def begin(path: Path, folder: Path, settings: LabellingSettings, state: State) -> Labelling:
    """Reads a folder, finds its features and writes the directory, its settings last.

    Raises:
        DataError: If the folder cannot be read.
        ValueError: If all images are the same.
    """
    read = read_unlabelled_folder(folder, side=settings.side, channels=settings.channels)
    embedder = EMBEDDERS[settings.features].learn(read.images, settings.seed, _working_in(path, read.images, settings))
    features_ND = embedder(read.images)
    labelling = Labelling(
        path=path,
        settings=settings,
        state=state,
        pool=PoolFiles.of(read),
        embedder=embedder,
        features_ND=features_ND,
        loop=_loop(features_ND, settings),
        said=read.said,
    )
    write_json(path / "pool.json", to_json(labelling.pool))
    kept = {f"embedder.{name}": own for name, own in embedder.tensors().items()}
    save_tensors(path / "features.safetensors", {"features_ND": features_ND, **kept}, {"kind": settings.features})
    labelling.loop.save(path / "answers.json")
    labelling.change()
    write_json(path / "settings.json", {"format": _FORMAT, **to_json(settings)})
    shutil.rmtree(path / _LEARNING, ignore_errors=True)
    return labelling


def _working_in(path: Path, images: Tensor, settings: LabellingSettings) -> Work:
    """Does a job in a record of its own in the directory; who stops it and gives the same command goes on with it."""
    digest = hashlib.sha256(images.contiguous().cpu().numpy().tobytes()).hexdigest()
    learning = _Learning(settings=settings, images=digest)

    def work(job: Rounds) -> RoundsState:
        begun = path / _LEARNING
        if not (begun / "config.json").is_file() or RunRecord(begun).config["settings"] != to_json(learning):
            # Of other images or settings, or left by who was killed while making it; nothing has been asked yet.
            shutil.rmtree(begun, ignore_errors=True)
            RunRecord.create(path.parent, path.name, _LEARNING, learning)
        try:
            return run_job(RunRecord(begun), job, Console(stderr=True))
        except Interrupted as error:
            raise Interrupted("Stopped while features were learned. Give the same command again to go on.") from error

    return work


def opened(path: Path) -> Labelling:
    """Opens a labelling; of its folder nothing is read.

    Raises:
        FileError: If there is none, or one of its files is missing, damaged, or of another version.
    """
    if not is_begun(path):
        raise FileError(f"Expected a labelling in {path}, but it has no settings.json. {_hint(path)}")
    try:
        facts = _read_json(path / "settings.json")
        if facts.pop("format") != _FORMAT:
            raise FileError(f"Expected settings of format {_FORMAT} in {path}, but got those of another version.")
        settings = from_json(LabellingSettings, facts)
        state = from_json(State, _read_json(path / "state.json"))
        pool = from_json(PoolFiles, _read_json(path / "pool.json"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"Expected files of a labelling in {path}, but one cannot be read: {error}") from error
    tensors = load_tensors(path / "features.safetensors").tensors
    features_ND = tensors.pop("features_ND")
    embedder = EMBEDDERS[settings.features].restore(
        {name.removeprefix("embedder."): own for name, own in tensors.items()}
    )
    loop = _loop(features_ND, settings)
    loop.restore(path / "answers.json")
    return Labelling(
        path=path,
        settings=settings,
        state=state,
        pool=pool,
        embedder=embedder,
        features_ND=features_ND,
        loop=loop,
    )


def _hint(path: Path) -> str:
    beside = path.resolve().with_name(f"{path.resolve().name}-labels")
    if is_begun(beside):
        return f"Did you mean {beside}?"
    return "`hyperlearning label FOLDER --budget N` begins one, in FOLDER-labels."


def _loop(features_ND: Tensor, settings: LabellingSettings) -> ActiveLoop:
    return ActiveLoop(
        features_ND.to(torch.float32),
        strategy=settings.strategy,
        first=settings.first,
        classes=settings.classes,
        policy=settings.policy,
        learns_rejects=not settings.ignore_rejects,
        seed=settings.seed,
    )


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))
