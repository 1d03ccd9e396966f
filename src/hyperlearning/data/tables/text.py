"""From a file or standard input to text: the encoding is recognised and said, and what is not text is refused."""

import codecs
import re
import sys
from pathlib import Path

from hyperlearning.data.errors import DataError

STANDARD_INPUT = "standard input"
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # Before UTF-16, whose mark it begins with.
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNATURES = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet: unpack it, or save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of an old kind: save it as CSV"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"PAR1", "a Parquet table: let its name end in .parquet"),
    (b"\x89HDF", "an HDF5 file: write its table as CSV"),
    (b"SQLite format 3", "an SQLite database: write its table as CSV"),
)
_OTHER_TEXTS = re.compile(r"\s*(<!doctype|<html|<\?xml|\[\s*[\[{]|\{\s*\")", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def source_name(source: str | Path) -> str:
    """What messages call a source: its path, or `standard input` for `-`."""
    return STANDARD_INPUT if str(source) == "-" else str(source)


def read_text(source: str | Path, encoding: str | None) -> tuple[str, tuple[str, ...]]:
    """Reads a text file whole, with every line end turned into a line feed.

    Args:
        source: A path, or `-` for standard input.
        encoding: Any that Python knows. By default it is recognised: a byte order mark, UTF-16 without one, UTF-8, and
            else Windows-1252, which holds Latin-1's letters.

    Returns:
        The text, and a sentence about its encoding unless that is UTF-8 or was given.

    Raises:
        DataError: If it is absent, a folder, empty, binary or in another encoding.
    """
    name, content = source_name(source), _content(source)
    codec, said = (encoding, ()) if encoding is not None else _recognised(content)
    text = _decoded(content, codec, name).lstrip("\ufeff").rstrip("\x1a")  # Old programs end a file with Ctrl-Z.
    if not text:
        raise DataError(f"Expected a table, but {name} is empty.")
    _check_printable(text, content, name)
    if (found := _OTHER_TEXTS.match(text)) is not None:
        kind = "a web page or XML" if found[0].lstrip().startswith("<") else "JSON"
        raise DataError(f"Expected a table as text, but {name} looks like {kind}: write its table as CSV.")
    return text.replace("\r\n", "\n").replace("\r", "\n"), said


def check_is_file(path: Path) -> None:
    """Raises a `DataError` if nothing is there, or a folder is."""
    if path.is_dir():
        raise DataError(f"Expected a table, but {path} is a folder.")
    if not path.exists():
        raise DataError(f"Expected a table, but got {path}, which does not exist.")


def _content(source: str | Path) -> bytes:
    if source_name(source) == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    check_is_file(Path(source))
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise DataError(f"Expected a table, but {source} cannot be read: {error.strerror}.") from error


def _recognised(content: bytes) -> tuple[str, tuple[str, ...]]:
    for mark, codec in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return codec, () if codec == "utf-8" else (f"The encoding is {codec.upper()}, by its byte order mark.",)
    # Digits and delimiters in UTF-16 have a zero in one byte of two.
    even, odd = content[0::2].count(0), content[1::2].count(0)
    if max(even, odd) > len(content) / 8 and max(even, odd) > 4 * min(even, odd):
        codec = "utf-16-le" if odd > even else "utf-16-be"
        return codec, (f"The encoding is {codec.upper()}, by its zeros (`--encoding` names another).",)
    try:
        content.decode()
    except UnicodeDecodeError:
        return "cp1252", (
            "It is not UTF-8 and is read as Windows-1252, which holds Latin-1 (`--encoding` names another).",
        )
    return "utf-8", ()


def _decoded(content: bytes, codec: str, name: str) -> str:
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the bytes {content[error.start : error.end][:8].hex()} in line {line}"
        # What is neither UTF-8 nor Windows-1252 is more often no text than a text in a rarer encoding.
        binary = f" It looks like {what}." if (what := _kind(content)) else ""
        raise DataError(
            f"Expected text in the encoding '{codec}' in {name}, but got {found}.{binary} Name the encoding by `--encoding`, "
            "such as `--encoding latin-1`, or save the file as UTF-8."
        ) from error
    except (LookupError, ValueError) as error:
        raise DataError(
            f"Expected an encoding of text that Python knows, such as 'latin-1', but got '{codec}'."
        ) from error


def _check_printable(text: str, content: bytes, name: str) -> None:
    found = _CONTROL.search(text)
    if found is None:
        return
    kind = _kind(content) or "binary or damaged"
    line = text.count("\n", 0, found.start()) + 1
    raise DataError(
        f"Expected a table as text, but {name} is {kind} (it has the character {ord(found[0]):#04x} in line {line})."
    )


def _kind(content: bytes) -> str | None:
    return next((kind for signature, kind in _SIGNATURES if content.startswith(signature)), None)
