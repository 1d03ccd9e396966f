"""A folder of a user's own pictures that nobody has labelled, however deep, as tensors; each picture once.

Shape suffixes: N pictures, C channels, S side.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import isdir  # Unlike Path's, false where it may not look.
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor

from hyperlearning.core.params import on_default_device
from hyperlearning.data.errors import DataError, reading
from hyperlearning.data.image_folders import (
    UnreadFile,
    counted,
    on_dark_ground,
    reason_unread,
    shown_path,
    some_of,
    visible_entries,
)
from hyperlearning.data.picture_files import Picture, read_picture


class DuplicateFile(NamedTuple):
    """A file with the very bytes of one before it.

    Attributes:
        name: Its path in the folder, with slashes.
        original: The first file with these bytes.
    """

    name: str
    original: str


@dataclass(frozen=True, kw_only=True)
class UnlabelledImages:
    """Pictures of a user's own, none of them twice.

    Attributes:
        images: (N, C, S, S), from 0 (black) to 1 (white).
        file_names: Each picture's path in the folder, with slashes, in natural order: `2` before `10`.
        digests: SHA-256 of each picture's file.
        duplicates: Files that hold the bytes of another, and are left out.
        unread: Files that could not be read, and why.
        said: What was found and done, a sentence each, for people.
    """

    images: Float32[Tensor, "N C S S"]
    file_names: tuple[str, ...]
    digests: tuple[str, ...]
    duplicates: tuple[DuplicateFile, ...]
    unread: tuple[UnreadFile, ...]
    said: tuple[str, ...]


def read_unlabelled_folder(folder: Path | str, *, side: int = 32, channels: int = 3) -> UnlabelledImages:
    """Reads all pictures of a folder and of the folders in it.

    Anything that Pillow reads is turned as its EXIF says, shrunk or enlarged to the side with its shape kept (bilinear,
    antialiased, the ground continued), and never inverted. Hidden files are skipped. Of files with the same bytes the first is
    read; what cannot be read is left out and listed.

    Args:
        folder: The folder.
        side: Height and width to bring pictures to, S.
        channels: 1, grey by its luma, or 3.

    Raises:
        DataError: If there is no such folder, or no picture in it that can be read.
        ValueError: If an option is none of these.
    """
    if side < 1 or channels not in (1, 3):
        raise ValueError(f"Expected a positive `side` and 1 or 3 `channels`, but got {side} and {channels}.")
    folder, first = Path(folder), dict[str, str]()
    pictures, digests, duplicates, unread = list[Picture](), list[str](), list[DuplicateFile](), list[UnreadFile]()
    for name, path in files_in(folder).items():
        try:
            digest = file_digest(path)
            if digest in first:
                duplicates.append(DuplicateFile(name, first[digest]))
                continue
            pictures.append(read_picture(path, name, side=side, channels=channels))
            digests.append(digest)
            first[digest] = name
        except DataError as error:
            unread.append(UnreadFile(name, reason_unread(error)))
    if not pictures:
        holds = (
            f"none of its {counted(len(unread), 'file')} can be read: {_reasons(unread)}" if unread else "it is empty"
        )
        raise DataError(f"Expected pictures in {folder}, but {holds}.")
    return UnlabelledImages(
        images=on_default_device(torch.stack([on_dark_ground(picture, side, False) for picture in pictures])),
        file_names=tuple(picture.name for picture in pictures),
        digests=tuple(digests),
        duplicates=tuple(duplicates),
        unread=tuple(unread),
        said=tuple(_said(folder, len(pictures), duplicates, unread)),
    )


def files_in(folder: Path) -> dict[str, Path]:
    """All files of a folder and of the folders in it but hidden ones, by path in it, in natural order.

    A folder that a link leads to again is not entered twice.

    Raises:
        DataError: If there is no such folder, it may not be read, or two files cannot be told apart by a printed name.
    """
    if not isdir(folder):
        state = "that is a file" if folder.exists() else "there is none"
        raise DataError(f"Expected a folder of pictures at {folder}, but {state}.")
    found: dict[str, Path] = {}
    for path in _walk(folder, {folder.resolve()}):
        name = shown_path(path, folder)
        if name in found:
            raise DataError(f"Expected files whose names can be told apart, but '{name}' is there twice in {folder}.")
        found[name] = path
    return found


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        DataError: If it cannot be read.
    """
    with reading(path, "a picture"):
        if not path.is_file():
            raise DataError("it is neither a file nor a folder")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _walk(folder: Path, entered: set[Path]) -> Iterator[Path]:
    for path in visible_entries(folder):
        if not isdir(path):
            yield path
        elif (real := path.resolve()) not in entered:
            entered.add(real)
            yield from _walk(path, entered)


def _said(folder: Path, num: int, duplicates: Sequence[DuplicateFile], unread: Sequence[UnreadFile]) -> Iterator[str]:
    yield f"Read {counted(num, 'picture')} from {folder}."
    if duplicates:
        pairs = some_of([f"{name} (as {original})" for name, original in duplicates])
        yield f"{counted(len(duplicates), 'file')} left out, with the very bytes of another: {pairs}."
    if unread:
        yield f"{counted(len(unread), 'file')} could not be read: {_reasons(unread)}."


def _reasons(unread: Sequence[UnreadFile]) -> str:
    return some_of([f"{file.name} ({file.reason})" for file in unread])
