"""What is there: the data sets under a root, what they hold, and whether that is what it should be."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hyperlearning.data import prepared
from hyperlearning.data.data_set import DataSet
from hyperlearning.data.errors import DataError
from hyperlearning.data.fetch import has_published_md5
from hyperlearning.data.images import read_split

HEADER = ("data set", "splits", "image", "classes", "download", "licence", "here")
"""What the columns of `rows` are."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one split, or of a file it was made from.

    Attributes:
        name: The data set's name.
        part: The split's or the file's name.
        state: In words, such as `complete`.
        is_good: Whether nothing is wrong; a split that is absent is not good.
        is_absent: Whether nothing was found.
    """

    name: str
    part: str
    state: str
    is_good: bool
    is_absent: bool = False


def survey(data_set: DataSet, *, root: Path | None = None) -> Iterator[Finding]:
    """Looks quickly at the splits of a data set: headers only.

    Args:
        data_set: An entry of the catalogue.
        root: The data root; else `HYPERLEARNING_DATA`, else the user's cache.

    Yields:
        A finding for each split.
    """
    folder = prepared.data_root(root)
    for split in data_set.split_names:
        path = prepared.split_path(data_set, split, folder)
        if data_set.is_built_in:
            yield Finding(name=data_set.name, part=split, state="built in", is_good=True)
        elif not path.is_file():
            yield Finding(name=data_set.name, part=split, state="absent", is_good=False, is_absent=True)
        else:
            yield _glance(data_set, split, path)


def verify(data_set: DataSet, *, root: Path | None = None) -> Iterator[Finding]:
    """Reads every image and label of a data set, and hashes the files they were made from where those are kept.

    Args:
        data_set: An entry of the catalogue.
        root: The data root; else `HYPERLEARNING_DATA`, else the user's cache.

    Yields:
        A finding for each split and each kept file.
    """
    folder = prepared.data_root(root)
    for finding in survey(data_set, root=root):
        if finding.is_absent:
            yield finding
        else:
            yield _examine(data_set, finding.part, prepared.split_path(data_set, finding.part, folder))
    for file in data_set.files:
        path = prepared.source_folder(data_set, folder) / file.name
        if path.is_file():
            is_good = has_published_md5(file, path)
            known = "as published" if file.md5 else "no MD5 is published"
            state = known if is_good else f"not as published: its MD5 is not {file.md5}"
            yield Finding(name=data_set.name, part=file.name, state=state, is_good=is_good)


def rows(data_sets: Iterable[DataSet], root: Path | None = None) -> tuple[tuple[str, ...], ...]:
    """Describes data sets, one a row.

    Args:
        data_sets: Entries of the catalogue.
        root: As for `survey`.

    Returns:
        Words for each column of `HEADER`.
    """
    return tuple(_row(data_set, list(survey(data_set, root=root))) for data_set in data_sets)


def _row(data_set: DataSet, found: Sequence[Finding]) -> tuple[str, ...]:
    splits = [split for _, split in data_set.splits]
    states = [re.split("[,:]", finding.state)[0] for finding in found]
    parts = [f"{finding.part} {state}" for finding, state in zip(found, states, strict=True)]
    megabytes = sum(file.megabytes for file in data_set.files)
    return (
        data_set.name,
        ", ".join(f"{name} {split.num_images:,}" for name, split in data_set.splits),
        " x ".join(map(str, data_set.shape)),
        " + ".join(dict.fromkeys(str(split.num_classes) for split in splits)),
        "by hand" if data_set.by_hand else f"{megabytes:.0f} MB" if megabytes else "-",
        data_set.licence,
        states[0] if len(set(states)) == 1 else ", ".join(parts),
    )


def findings(
    data_sets: Iterable[DataSet], root: Path | None = None, *, quickly: bool = False, with_absent: bool = True
) -> tuple[Finding, ...]:
    """Looks at several data sets.

    Args:
        data_sets: Entries of the catalogue.
        root: As for `survey`.
        quickly: Whether to look at headers only.
        with_absent: Whether to tell of splits that are not there.

    Returns:
        What was found.
    """
    look = survey if quickly else verify
    found = (finding for data_set in data_sets for finding in look(data_set, root=root))
    return tuple(finding for finding in found if with_absent or not finding.is_absent)


def check(found: Iterable[Finding], root: Path | None = None) -> None:
    """Checks that nothing is wrong.

    Args:
        found: What was found.
        root: The data root that was given, if one was.

    Raises:
        DataError: If a split or a file is absent, damaged or not as published; the message says what to do.
    """
    bad = [finding for finding in found if not finding.is_good]
    if bad:
        parts = ", ".join(f"{finding.name}/{finding.part}" for finding in bad)
        where = "" if root is None else f" --data-root {root}"
        names = dict.fromkeys(finding.name for finding in bad)
        commands = " and ".join(f"`hyperlearning data fetch {name}{where}`" for name in names)
        raise DataError(
            f"Expected every part to be there and whole, but got {len(bad)} of which that is not so: {parts}. Delete what "
            f"is damaged and run {commands}."
        )


def _glance(data_set: DataSet, split: str, path: Path) -> Finding:
    try:
        shape, _ = prepared.read_headers(path).get("labels", ((0,), None))
        return Finding(name=data_set.name, part=split, state=_share(data_set, split, shape[0]), is_good=True)
    except (DataError, OSError, IndexError) as error:
        return Finding(name=data_set.name, part=split, state=f"damaged: {error}", is_good=False)


def _examine(data_set: DataSet, split: str, path: Path) -> Finding:
    try:
        labels = read_split(data_set, split, path)["labels"]
    except (DataError, OSError) as error:
        return Finding(name=data_set.name, part=split, state=f"damaged: {error}", is_good=False)
    num_classes = len(set(labels.tolist()))
    state = f"{_share(data_set, split, len(labels))}, {num_classes} classes"
    return Finding(name=data_set.name, part=split, state=state, is_good=True)


def _share(data_set: DataSet, split: str, count: int) -> str:
    whole = data_set.split(split).num_images
    return f"complete, {count:,} images" if count == whole else f"subset, {count:,} of {whole:,} images"
