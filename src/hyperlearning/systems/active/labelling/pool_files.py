"""Which files a labelling is of, by path and hash, and whether they are still there.

Shape suffixes: N images.
"""

import difflib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hyperlearning.core.errors import AnswerError
from hyperlearning.data.errors import DataError
from hyperlearning.data.image_folders import UnreadFile, some_of
from hyperlearning.data.unlabelled_folders import DuplicateFile, UnlabelledImages, file_digest, files_in


@dataclass(frozen=True, kw_only=True)
class PoolFiles:
    """Files that can be asked about, and those that cannot.

    Attributes:
        images: Paths in the folder, by place.
        digests: SHA-256 of each.
        duplicates: Files that hold the bytes of another.
        unread: Files that could not be read.
    """

    images: tuple[str, ...]
    digests: tuple[str, ...]
    duplicates: tuple[DuplicateFile, ...]
    unread: tuple[UnreadFile, ...]

    @classmethod
    def of(cls, read: UnlabelledImages) -> "PoolFiles":
        """The files of a folder that was read."""
        return cls(images=read.file_names, digests=read.digests, duplicates=read.duplicates, unread=read.unread)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Places of images by path, those of duplicates included."""
        own = {name: place for place, name in enumerate(self.images)}
        return own | {copy.name: own[copy.original] for copy in self.duplicates}

    @cached_property
    def _composed(self) -> Mapping[str, int]:
        return {unicodedata.normalize("NFC", name): place for name, place in self.places.items()}

    def place(self, name: str, where: str) -> int:
        """The place of a path.

        Args:
            name: The path; letters with accents may be written as one character or two.
            where: Where it stands, for the message.

        Raises:
            AnswerError: If there is no such image.
        """
        found = self.places.get(name, self._composed.get(unicodedata.normalize("NFC", name)))
        if found is None:
            near = difflib.get_close_matches(name, self.places, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise AnswerError(f"Expected the path of an image of the folder in {where}, but got '{name}'.{hint}")
        return found

    def check(self, folder: Path, directory: Path) -> None:
        """Raises if the folder does not hold what it held.

        Raises:
            DataError: If so; the message says what is new, gone or altered, and what to do.
        """
        there = files_in(folder)
        known = {*self.places, *(file.name for file in self.unread)}
        found = {
            "new": [name for name in there if name not in known],
            "gone": [name for name in self.places if name not in there],
            "altered": [
                name
                for name, digest in zip(self.images, self.digests, strict=True)
                if name in there and file_digest(there[name]) != digest
            ],
        }
        if any(found.values()):
            differing = "; ".join(f"{len(names)} {kind}: {some_of(names)}" for kind, names in found.items() if names)
            raise DataError(
                f"Expected {folder} as it was when {directory} was begun, but it differs ({differing}). Put it back, or begin "
                f"another labelling with `--into DIR --import {directory}/labels.csv`, which takes what was answered."
            )
