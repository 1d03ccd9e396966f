"""A folder of a user's own pictures, one subfolder a class, as tensors of a run's form: ink 1 on a ground of 0.

Shape suffixes: N pictures, C channels, H height, W width, S side.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import isdir  # Unlike Path's, false where it may not look.
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64
from PIL import UnidentifiedImageError
from torch import Tensor

from hyperlearning.core.params import on_default_device
from hyperlearning.data.errors import DataError
from hyperlearning.data.picture_files import Picture, read_picture

GroundOption = Literal["light", "dark", "each"]
"""What all pictures' ink stands on, or "each": of every picture by itself."""

_FAINT = 0.3
_NAMED = 5
"""Files named in a sentence; the others are counted."""

_DROPPINGS = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}


class UnreadFile(NamedTuple):
    """A file that is no picture, or not one that can be read.

    Attributes:
        name: Its path in the folder, with slashes.
        reason: What was wrong with it.
    """

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class UserImages:
    """Pictures of a user's own, class by class.

    Attributes:
        images: (N, C, S, S), from 0 (ground) to 1 (ink).
        labels: (N,), each picture's class as an index into `class_names`.
        class_names: Names of the subfolders, in natural order: `2` before `10`.
        file_names: Each picture's path in the folder, with slashes.
        unread: Files that could not be read, and why.
        said: What was found and done, a sentence each, for people.
    """

    images: Float32[Tensor, "N C S S"]
    labels: Int64[Tensor, " N"]
    class_names: tuple[str, ...]
    file_names: tuple[str, ...]
    unread: tuple[UnreadFile, ...]
    said: tuple[str, ...]

    def of(self, name: str) -> Float32[Tensor, "some C S S"]:
        """The pictures of a class.

        Raises:
            ValueError: If there is no such class.
        """
        if name not in self.class_names:
            raise ValueError(f"Expected a class among {', '.join(self.class_names)}, but got '{name}'.")
        return self.images[self.labels == self.class_names.index(name)]


class _ReadClass(NamedTuple):
    """What a class's folder holds: pictures, files that are none, and folders."""

    pictures: list[Picture]
    unread: list[UnreadFile]
    inner: list[str]


def read_image_folder(
    folder: Path | str, *, side: int = 28, channels: int = 1, ground: GroundOption | None = None
) -> UserImages:
    """Reads a folder with one subfolder a class, and brings the pictures in it to a run's form.

    Anything that Pillow reads, of any size and colour, is turned as its EXIF says, made grey (by its luma, for one channel),
    shrunk or enlarged to the side with its shape kept (bilinear, antialiased, the ground continued), and inverted where its
    ground is light, as on paper. Transparent pixels become a ground that what is visible stands out from. Hidden files are
    skipped; what else is not read is listed.

    Args:
        folder: The folder.
        side: Height and width to bring pictures to, S, as the run's.
        channels: 1 or 3, as the run's.
        ground: "light": all pictures are inverted. "dark": none is, as for photographs. "each": those whose edge is light. If
            absent, it is recognised for all of them together.

    Returns:
        The pictures, their classes, and sentences that say what was found and done.

    Raises:
        DataError: If there is no such folder, it has no subfolder, a class has no picture that can be read, two classes have one
            name, or pictures have different grounds and `ground` is absent.
        ValueError: If an option is none of these.
    """
    _check_options(side, channels, ground)
    folder = Path(folder)
    class_folders, beside = _class_folders(folder)
    read = [_read_class(path, folder, side, channels) for path in class_folders]
    pictures = [picture for each in read for picture in each.pictures]
    names = tuple(_class_name(path) for path in class_folders)
    unread = tuple(file for each in read for file in each.unread)
    chosen, found = _choose_ground(pictures, ground)
    images = [on_dark_ground(picture, side, _is_light(picture, chosen)) for picture in pictures]
    read_in_all = (
        f"Read {counted(len(pictures), 'picture')} of {counted(len(names), 'class', 'classes')} from {folder}."
    )
    return UserImages(
        images=on_default_device(torch.stack(images)),
        labels=torch.arange(len(read)).repeat_interleave(torch.tensor([len(each.pictures) for each in read])),
        class_names=names,
        file_names=tuple(picture.name for picture in pictures),
        unread=unread,
        said=(
            read_in_all,
            found,
            *_about_pictures(pictures, side),
            *_about_drawings(pictures, images),
            *_about_what_is_left(unread, [name for each in read for name in each.inner], beside),
        ),
    )


def _check_options(side: int, channels: int, ground: str | None) -> None:
    if side < 1 or channels not in (1, 3):
        raise ValueError(f"Expected a positive `side` and 1 or 3 `channels`, but got {side} and {channels}.")
    if ground not in (None, "light", "dark", "each"):
        raise ValueError(f'Expected `ground` to be "light", "dark", "each" or absent, but got {ground!r}.')


def _class_folders(folder: Path) -> tuple[list[Path], list[str]]:
    """The classes' folders, and files that lie beside them."""
    if not isdir(folder):
        state = "that is a file" if folder.exists() else "there is none"
        raise DataError(f"Expected a folder of pictures at {folder}, but {state}.")
    there = list(visible_entries(folder))
    class_folders = [path for path in there if isdir(path)]
    beside = [shown_path(path, folder) for path in there if not isdir(path)]
    if not class_folders:
        holds = f"{counted(len(beside), 'file')} and no subfolder" if beside else "nothing"
        raise DataError(
            f"Expected one subfolder a class in {folder}, but it holds {holds}. Put the pictures of each class into a folder "
            "that has the class's name."
        )
    names = Counter(_class_name(path) for path in class_folders)
    if twice := [name for name, count in names.items() if count > 1]:
        raise DataError(f"Expected classes of different names in {folder}, but '{twice[0]}' is there twice.")
    return class_folders, beside


def _read_class(class_folder: Path, folder: Path, side: int, channels: int) -> _ReadClass:
    read = _ReadClass([], [], [])
    for path in visible_entries(class_folder):
        name = shown_path(path, folder)
        if isdir(path):
            read.inner.append(name)
            continue
        try:
            read.pictures.append(read_picture(path, name, side=side, channels=channels))
        except DataError as error:
            read.unread.append(UnreadFile(name, reason_unread(error)))
    if not read.pictures:
        raise _no_picture(class_folder, read)
    return read


def visible_entries(folder: Path) -> Iterator[Path]:
    """What a folder holds, in natural order, but for what is hidden."""
    try:
        paths = [path for path in folder.iterdir() if not _is_hidden(path.name)]
    except OSError as error:
        raise DataError(f"Expected a folder that can be read at {folder}, but got: {error.strerror}.") from error
    yield from sorted(paths, key=lambda path: _natural(path.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _DROPPINGS


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)], name


def _class_name(path: Path) -> str:
    return unicodedata.normalize("NFC", _printable(path.name))


def shown_path(path: Path, folder: Path) -> str:
    """A file's path in the folder, with slashes, as it can be written anywhere."""
    return _printable(path.relative_to(folder).as_posix())


def _printable(name: str) -> str:
    """A name that can be written anywhere: control characters and bytes that are no UTF-8 are marked."""
    return "".join("\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in name)


def reason_unread(error: DataError) -> str:
    """What was wrong with a file, in a few words."""
    cause = error.__cause__ or error
    return "no picture" if isinstance(cause, UnidentifiedImageError) else _printable(str(cause)).rstrip(". ")


def _no_picture(folder: Path, read: _ReadClass) -> DataError:
    if read.inner and not read.unread:
        return DataError(
            f"Expected pictures in {folder}, but it holds folders alone ({some_of(read.inner)}). Are they the classes? "
            "Then give this folder."
        )
    num_files = counted(len(read.unread), "file")
    reason = f"none of its {num_files} can be read: {_reasons(read.unread)}" if read.unread else "it is empty"
    return DataError(f"Expected pictures of class '{_class_name(folder)}' in {folder}, but {reason}.")


def _choose_ground(pictures: Sequence[Picture], ground: GroundOption | None) -> tuple[GroundOption, str]:
    """What all pictures' ink stands on, and the sentence that says so."""
    if ground is not None:
        inverted = sum(_is_light(picture, ground) for picture in pictures)
        return ground, f"Ground as given ({ground}): {inverted} of {len(pictures)} pictures were inverted."
    by_ground = {kind: [p.name for p in pictures if p.ground == kind] for kind in ("light", "dark")}
    light, dark = by_ground["light"], by_ground["dark"]
    if light and dark:
        raise DataError(
            f"Expected pictures of one ground, but {len(light)} have a light one ({some_of(light)}) and {len(dark)} a dark one "
            f'({some_of(dark)}). Give `ground`: "each" inverts those with a light edge, "light" all, "dark" none.'
        )
    if 2 * max(len(light), len(dark)) < len(pictures):
        return "dark", (
            f"No even ground was recognised in {len(pictures) - len(light) - len(dark)} of {len(pictures)} pictures, as in "
            "photographs: brightness was left as it is (the option `ground`, set to light, inverts)."
        )
    if light:
        return "light", (
            "The ground is light, so all pictures were inverted: ink is 1 on a ground of 0 (the option `ground`, set to dark, "
            "leaves them)."
        )
    return (
        "dark",
        "The ground is dark, so no picture was inverted: ink is 1 on a ground of 0 (the option `ground`, set to light, inverts).",
    )


def _is_light(picture: Picture, chosen: GroundOption) -> bool:
    return picture.level > 0.5 if chosen == "each" else chosen == "light"


def on_dark_ground(picture: Picture, side: int, is_light: bool) -> Float[Tensor, "C S S"]:
    """A picture of the side, inverted if its ground is light, in the middle of its own ground continued."""
    small, level = (1 - picture.small, 1 - picture.level) if is_light else (picture.small, picture.level)
    height, width = small.shape[1:]
    top, left = (side - height) // 2, (side - width) // 2
    return F.pad(small, (left, side - width - left, top, side - height - top), value=level)


def _about_pictures(pictures: Sequence[Picture], side: int) -> Iterator[str]:
    sizes = sorted({picture.size for picture in pictures}, key=lambda size: (size[0] * size[1], size))
    if sizes != [(side, side)]:
        span = " to ".join(f"{width} x {height}" for width, height in dict.fromkeys((sizes[0], sizes[-1])))
        yield f"Pictures of {span} pixels were brought to {side} x {side}."
    sentences = {
        "oblong": "not square: their shape was kept and their ground continued",
        "colour": "in colour",
        "turned": "turned as their EXIF says",
        "transparent": "transparent: a ground was put where nothing is visible",
        "frames": "of several frames: the first was taken",
    }
    for fact, sentence in sentences.items():
        if count := sum(fact in picture.facts for picture in pictures):
            yield f"{count} of {len(pictures)} pictures: {sentence}."


def _about_drawings(pictures: Sequence[Picture], images: Sequence[Tensor]) -> Iterator[str]:
    blank = [picture.name for picture in pictures if "blank" in picture.facts]
    faint = [p.name for p, image in zip(pictures, images, strict=True) if image.max() - image.min() < _FAINT]
    faint = [name for name in faint if name not in set(blank)]
    if blank:
        yield f"{counted(len(blank), 'picture')} blank: {some_of(blank)}."
    if faint:
        yield f"{counted(len(faint), 'picture')} faint once resized (lines too thin?): {some_of(faint)}. Crop what is drawn."


def _about_what_is_left(unread: Sequence[UnreadFile], inner: Sequence[str], beside: Sequence[str]) -> Iterator[str]:
    if unread:
        yield f"{counted(len(unread), 'file')} could not be read: {_reasons(unread)}."
    if inner:
        yield f"{counted(len(inner), 'folder')} inside classes not looked into: {some_of(inner)}."
    if beside:
        yield f"{counted(len(beside), 'file')} beside the classes' folders not read: {some_of(beside)}."


def _reasons(unread: Sequence[UnreadFile]) -> str:
    return some_of([f"{file.name} ({file.reason})" for file in unread])


def some_of(names: Sequence[str]) -> str:
    """The first names; the others are counted."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number and what it is of, in the singular or the plural."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
