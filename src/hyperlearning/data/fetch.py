"""From the network, or files placed by hand, to the prepared form."""

import hashlib
import logging
from pathlib import Path

import pooch
import requests
from rich.console import Console

from hyperlearning.data import prepared
from hyperlearning.data.data_set import DataSet, SourceFile
from hyperlearning.data.download_progress import DownloadProgress
from hyperlearning.data.errors import DataError, DownloadError

_CHUNK = 1 << 16
_LEAST_LIMIT = 1 << 20


def fetch(
    data_set: DataSet, *, root: Path | None = None, console: Console | None = None, timeout_seconds: float = 30.0
) -> tuple[Path, ...]:
    """Downloads what a data set lacks, verifies it, and writes its prepared form.

    Files that lie in the data set's `raw` folder are used as they are, and splits that are prepared are left alone: a fetch
    that was interrupted goes on with the file at which it stopped.

    Args:
        data_set: An entry of the catalogue.
        root: The data root; else `HYPERLEARNING_DATA`, else the user's cache.
        console: Where progress is shown; nowhere if absent.
        timeout_seconds: How long a server may be silent.

    Returns:
        The prepared files that were written.

    Raises:
        DownloadError: If a file can be downloaded from none of its addresses, or is not the published one.
        DataError: If a file is not what the catalogue says, or has to be placed by hand and is not there.
        OSError: If the data root cannot be written.
    """
    folder = prepared.data_root(root)
    if folder.exists() and not folder.is_dir():
        raise DataError(f"Expected a folder as data root, but {folder} is a file.")
    written = []
    for split in data_set.split_names:
        target = prepared.split_path(data_set, split, folder)
        if data_set.is_built_in or target.exists():
            continue
        paths = _sources(data_set, split, folder, console, timeout_seconds)
        _say(console, f"Reading the {split} split.")
        arrays = data_set.reader(paths, split)
        prepared.check_arrays(data_set, split, arrays, paths[0])
        prepared.write_arrays(target, arrays)
        written.append(target)
    return tuple(written)


def has_published_md5(file: SourceFile, path: Path) -> bool:
    """Says whether a file is the published one, as far as that is known.

    Args:
        file: What the catalogue says of it.
        path: The file.

    Returns:
        Whether its MD5 is the published one, or none is published.

    Raises:
        OSError: If it cannot be read.
    """
    if file.md5 is None:
        return True
    with path.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest() == file.md5


def _sources(
    data_set: DataSet, split: str, root: Path, console: Console | None, timeout_seconds: float
) -> tuple[Path, ...]:
    folder = prepared.source_folder(data_set, root)
    if data_set.by_hand:
        return (_by_hand(data_set, split, folder, root),)
    files = [data_set.file(name) for name in data_set.split(split).files]
    return tuple(_ensure(file, folder, console, timeout_seconds) for file in files)


def _by_hand(data_set: DataSet, split: str, folder: Path, root: Path) -> Path:
    archive = folder / data_set.files[0].name
    if archive.is_file():
        return archive
    if (folder / split).is_dir():
        return folder
    raise prepared.absent(data_set, split, root, is_default_root=prepared.data_root() == root)


def _ensure(file: SourceFile, folder: Path, console: Console | None, timeout_seconds: float) -> Path:
    path = folder / file.name
    if path.is_file():
        if not has_published_md5(file, path):
            raise DataError(f"Expected the MD5 {file.md5} of {path}, but got another. Delete it, and fetch again.")
        return path
    failures = []
    for url in file.urls:
        _say(console, f"Downloading {url}")
        try:
            return _download(file, url, folder, console, timeout_seconds)
        except DownloadError as error:
            failures.append(str(error))
    raise DownloadError(" ".join([*failures, f"To go on without a network, put {file.name} into {folder}."]))


def _download(file: SourceFile, url: str, folder: Path, console: Console | None, timeout_seconds: float) -> Path:
    limit = max(_LEAST_LIMIT, int(2e6 * file.megabytes))
    # Pooch tells of every file at the level of information; the console says it already.
    pooch.get_logger().setLevel(logging.WARNING)
    with DownloadProgress(console, file.name, max_bytes=limit) as progress:
        downloader = pooch.HTTPDownloader(
            progressbar=progress,  # pyright: ignore[reportArgumentType] - pooch's documentation allows it
            chunk_size=_CHUNK,
            timeout=timeout_seconds,
            # A server that announces a .gz as an encoding would have it unpacked on the way, and its hash changed.
            headers={"Accept-Encoding": "identity"},
        )
        known_hash = f"md5:{file.md5}" if file.md5 else None
        try:
            found = pooch.retrieve(
                url,
                known_hash,
                fname=file.name,
                path=folder,
                downloader=downloader,  # pyright: ignore[reportArgumentType] - one of pooch's own
            )
        except (requests.RequestException, ValueError) as error:
            raise DownloadError(f"Expected {file.name} from {url}, but {_reason(error, timeout_seconds)}.") from error
    return Path(found)


def _reason(error: Exception, timeout_seconds: float) -> str:
    if isinstance(error, DownloadError):
        return str(error)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"the server was silent for {timeout_seconds:g} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the download broke off"
    if isinstance(error, requests.ConnectionError):
        # Silence in the middle of a body comes as a ConnectionError that wraps a timeout.
        is_silence = "timed out" in str(error).lower()
        return (
            f"the server was silent for {timeout_seconds:g} seconds"
            if is_silence
            else f"there is no connection ({error})"
        )
    if isinstance(error, requests.RequestException):
        return f"it cannot be downloaded ({error})"
    return "what came has another MD5 than the published one: it is incomplete, altered or an error page"


def _say(console: Console | None, text: str) -> None:
    if console is not None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
