"""What the catalogue says of a data set."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hyperlearning.data.errors import DataError
from hyperlearning.data.readers import Arrays

Reader = Callable[[tuple[Path, ...], str], Arrays]


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file as its authors publish it.

    Attributes:
        name: Its name, also under the data root.
        urls: Where it is, in the order in which they are tried; none where it has to be placed by hand.
        md5: Its published MD5; where there is none, the file is verified by its format alone.
        megabytes: About how large it is. One that grows to twice as much is not downloaded further.
    """

    name: str
    urls: tuple[str, ...] = ()
    md5: str | None = None
    megabytes: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Split:
    """What a part of a data set holds.

    Attributes:
        num_images: Images in the whole split.
        num_classes: Classes in it.
        files: Names of the source files it is read from, in the reader's order.
    """

    num_images: int
    num_classes: int
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """An entry of the catalogue.

    Attributes:
        name: Its name on the command line and of its folder under the data root.
        title: Its name in prose.
        licence: As its source gives it.
        homepage: Where it is described.
        shape: Channels, height and width of an image.
        splits: Names and contents of its parts.
        reader: From source files to arrays.
        files: What is downloaded or placed by hand; none for a data set that is built in.
        class_names: Names of the classes, where the files do not have them.
        by_hand: How to place it by hand, where it cannot be downloaded.
    """

    name: str
    title: str
    licence: str
    homepage: str
    shape: tuple[int, int, int]
    splits: tuple[tuple[str, Split], ...]
    reader: Reader
    files: tuple[SourceFile, ...] = ()
    class_names: tuple[str, ...] = ()
    by_hand: str = ""

    @property
    def is_built_in(self) -> bool:
        """Whether it needs no file."""
        return not self.files

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of its parts."""
        return tuple(name for name, _ in self.splits)

    def split(self, name: str) -> Split:
        """Finds a part by name.

        Args:
            name: The part's name.

        Returns:
            What it holds.

        Raises:
            DataError: If there is no such part.
        """
        parts = dict(self.splits)
        if name not in parts:
            raise DataError(f"Expected a split of {self.title} among {', '.join(parts)}, but got '{name}'.")
        return parts[name]

    def file(self, name: str) -> SourceFile:
        """Finds a source file by name.

        Args:
            name: One of the names in `Split.files`.

        Returns:
            The file.
        """
        return {file.name: file for file in self.files}[name]
