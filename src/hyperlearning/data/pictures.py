"""Data sets that come as one picture file an image: Omniglot and mini-ImageNet."""

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from hyperlearning.data.archives import Member, read_zip
from hyperlearning.data.errors import DataError, reading
from hyperlearning.data.readers import Arrays

_OMNIGLOT_SIZE, _SMALL_SIZE = 105, 28
_NUM_BACKGROUND_ALPHABETS = 30
_OMNIGLOT_NAME = re.compile(r"(?:^|/)([^/]+)/(character\d+)/(\d{4})_(\d{2})\.png$")
_MINI_SIZE, _MAX_SIDE = 84, 8192


def read_omniglot(paths: tuple[Path, ...], split: str) -> Arrays:
    """Reads a zip of Omniglot's 105 x 105 drawings, sorted by alphabet, character and drawer.

    Args:
        paths: The zip archive, with `ALPHABET/characterNN/CCCC_DD.png` inside.
        split: `background` or `evaluation`.

    Returns:
        `images` (N, 28, 28): the drawing in grey, shrunk bilinearly with antialiasing and inverted, so that ink is high.
        `images105_packed` (N, 1379): the drawing itself, eight pixels a byte, ink 1. `labels` within the split,
        `character_id` and `alphabet_id` over both splits, `drawer_id` from 1, `alphabet_names` and `character_names`.

    Raises:
        DataError: If it is not such an archive.
    """
    path = paths[0]
    keys, small, packed = [], [], []
    for name, content in read_zip(path, lambda member: not _is_hidden(member) and member.endswith(".png")):
        match = _OMNIGLOT_NAME.search(name)
        if match is None:
            raise DataError(f"Expected ALPHABET/characterNN/CCCC_DD.png in {path}, but got '{name}'.")
        keys.append(match.groups())
        drawing = _omniglot_drawing(path, name, content)
        small.append(255 - np.asarray(drawing.resize((_SMALL_SIZE, _SMALL_SIZE), Image.Resampling.BILINEAR)))
        packed.append(np.packbits(np.asarray(drawing).reshape(-1) < 128))
    if not keys:
        raise DataError(f"Expected pictures of characters in {path}, but got none.")
    order = sorted(range(len(keys)), key=lambda i: keys[i])
    facts = _omniglot_facts([keys[i] for i in order], split)
    return {"images": np.stack(small)[order], "images105_packed": np.stack(packed)[order], **facts}


def _omniglot_drawing(path: Path, name: str, content: bytes) -> Image.Image:
    drawing = _decode(path, name, content, "PNG", (_OMNIGLOT_SIZE, _OMNIGLOT_SIZE))
    if drawing.mode not in ("1", "L"):
        raise DataError(f"Expected black on white in '{name}' of {path}, but got a picture of mode {drawing.mode}.")
    return drawing.convert("L")


def _omniglot_facts(keys: list[tuple[str, ...]], split: str) -> Arrays:
    alphabets = sorted({alphabet for alphabet, *_ in keys})
    characters = sorted({(alphabet, character) for alphabet, character, *_ in keys})
    label_of, place_of = {c: i for i, c in enumerate(characters)}, {a: i for i, a in enumerate(alphabets)}
    first = _NUM_BACKGROUND_ALPHABETS if split == "evaluation" else 0
    return {
        "labels": np.array([label_of[k[0], k[1]] for k in keys], np.int64),
        "character_id": np.array([int(k[2]) - 1 for k in keys], np.int64),
        "alphabet_id": np.array([first + place_of[k[0]] for k in keys], np.int64),
        "drawer_id": np.array([int(k[3]) for k in keys], np.int64),
        "alphabet_names": np.array(alphabets),
        "character_names": np.array(["/".join(c) for c in characters]),
    }


def read_mini_imagenet(paths: tuple[Path, ...], split: str) -> Arrays:
    """Reads mini-ImageNet's pictures by class: `train`, `val` and `test`, in each a folder a class, in that its JPEGs.

    Pictures of another size than 84 x 84 are resized to it (Lanczos), as is usual for this data set.

    Args:
        paths: A folder or a zip archive with the three folders in it.
        split: `train`, `val` or `test`.

    Returns:
        `images` (N, 84, 84, 3), `labels` in the order of the classes' names, `wnids` (those names) and `filenames`.

    Raises:
        DataError: If there is no such split or a picture cannot be decoded.
    """
    path = paths[0]
    inside = re.compile(rf"(?:^|/){split}/([^/]+)/([^/]+\.jpe?g)$", re.IGNORECASE)
    keys, images = [], []
    for name, content in _pictures_of(path, inside):
        match = inside.search(name)
        assert match is not None
        keys.append(match.groups())
        picture = _decode(path, name, content, "JPEG", None).convert("RGB")
        if picture.size != (_MINI_SIZE, _MINI_SIZE):
            picture = picture.resize((_MINI_SIZE, _MINI_SIZE), Image.Resampling.LANCZOS)
        images.append(np.asarray(picture))
    if not keys:
        raise DataError(f"Expected pictures in {split}/CLASS/*.jpg of {path}, but got none.")
    wnids = sorted({wnid for wnid, _ in keys})
    labels = np.array([wnids.index(wnid) for wnid, _ in keys], np.int64)
    names = np.array([filename for _, filename in keys])
    return {"images": np.stack(images), "labels": labels, "wnids": np.array(wnids), "filenames": names}


def _pictures_of(path: Path, inside: re.Pattern[str]) -> Iterator[Member]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            if not _is_hidden(name) and inside.search(name) and file.is_file():
                yield name, file.read_bytes()
    else:
        yield from read_zip(path, lambda member: not _is_hidden(member) and inside.search(member) is not None)


def decode_jpegs(path: Path, content: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Decodes pictures that lie one after another in an array.

    Args:
        path: Where they come from, for the error.
        content: uint8, all files.
        offsets: int64 (N + 1), where each begins and the last ends.

    Returns:
        uint8 (N, 84, 84, 3).

    Raises:
        DataError: If the offsets do not fit or a picture is not an 84 x 84 JPEG.
    """
    one_row = content.ndim == 1 and content.dtype == np.uint8 and offsets.ndim == 1 and offsets.dtype.kind in "iu"
    if not one_row or len(offsets) < 2 or offsets[0] < 0 or offsets[-1] > len(content) or (np.diff(offsets) <= 0).any():
        raise DataError(
            f"Expected growing offsets into the {content.size} bytes of pictures in {path}, but got others."
        )
    pieces = (content[a:b].tobytes() for a, b in itertools.pairwise(offsets))
    size = (_MINI_SIZE, _MINI_SIZE)
    return np.stack(
        [np.asarray(_decode(path, f"picture {i}", p, "JPEG", size).convert("RGB")) for i, p in enumerate(pieces)]
    )


def _decode(path: Path, name: str, content: bytes, form: str, size: tuple[int, int] | None) -> Image.Image:
    with reading(path, f"a {form} file in '{name}'"):
        # The header is looked at before a pixel is decoded: a picture of a few bytes can claim gigabytes.
        picture = Image.open(io.BytesIO(content), formats=(form,))
        if (size is not None and picture.size != size) or max(picture.size) > _MAX_SIDE:
            wanted = f"{size[0]} x {size[1]}" if size else f"at most {_MAX_SIDE} a side"
            raise DataError(
                f"Expected {wanted} pixels in '{name}' of {path}, but got {picture.size[0]} x {picture.size[1]}."
            )
        picture.load()
    return picture


def _is_hidden(name: str) -> bool:
    """Whether a path is what a desktop leaves in archives."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
