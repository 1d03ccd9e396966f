"""One self-contained HTML page a run: what was run, how well it went, the pictures, the tables, the command.

Nothing on it comes from elsewhere: pictures are inlined, fonts are the reader's own, and a content policy in the page's
head forbids the browser to fetch anything.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

_SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF8"}

# A picture is drawn at 150 dots an inch and shown at 100, to be sharp on dense screens; an animation, 1 to 1.
_PIXELS_PER_UNIT = {"png": 1.5, "gif": 1.0}

_COMMAND_TITLE = "Run it again"

_NUMBER = re.compile(r"[+\-−]?(\d[\d,. ]*)(e[+\-−]?\d+)?\s*(%|s|ms|×|x)?(\s*±.*)?|[–—-]", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture with its words.

    Attributes:
        title: A few words.
        caption: What to see in it; `code` in backquotes.
        content: The file's bytes.
        kind: Its format.
        alt: What it shows, for those who cannot see it.
    """

    title: str
    caption: str
    content: bytes
    kind: Literal["png", "gif"] = "png"
    alt: str

    def __post_init__(self) -> None:
        """Checks that the content is of its kind."""
        if not self.content.startswith(_SIGNATURES[self.kind]):
            raise ValueError(
                f"Expected `content` to be a {self.kind} file, but got bytes beginning {self.content[:8]!r}."
            )

    @property
    def source(self) -> str:
        """The picture as an address that holds all of it."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode('ascii')}"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page."""
        wide, high = (16, 20) if self.kind == "png" else (6, 8)
        length, order = (4, "big") if self.kind == "png" else (2, "little")
        pixels = [int.from_bytes(self.content[start : start + length], order) for start in (wide, high)]
        return round(pixels[0] / _PIXELS_PER_UNIT[self.kind]), round(pixels[1] / _PIXELS_PER_UNIT[self.kind])


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of words and numbers, already written as they are to be read.

    Attributes:
        title: A few words.
        header: Names of the columns.
        rows: Cells, as many a row as there are columns.
        caption: What to see in it; may be empty.
        highlight: Indices of the rows to set apart.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    highlight: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Checks that rows fit the header."""
        for index, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise ValueError(
                    f"Expected {len(self.header)} cells in row {index} of {self.title!r}, but got {len(row)}."
                )
        if missing := [index for index in self.highlight if not 0 <= index < len(self.rows)]:
            raise ValueError(
                f"Expected `highlight` to be rows of {self.title!r} (0 to {len(self.rows) - 1}), but got {missing}."
            )

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers only, or nothing, and are to be aligned at the right."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.header)
        filled = [[cell.strip() for cell in column if cell.strip()] for column in columns]
        return tuple(bool(cells) and all(_NUMBER.fullmatch(cell) for cell in cells) for cells in filled)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: first the words, then pictures, then tables.

    Attributes:
        title: Its heading, also in the navigation.
        paragraphs: Plain text; `code` in backquotes.
        pictures: In order.
        tables: In order.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a report says.

    Attributes:
        title: What was run.
        lead: The finding, in one to three sentences.
        facts: Key figures at the top, label to value; what follows a "±" in a value is set small.
        sections: In order; the first is open, the others are folded.
        command: What reproduces the run, in one line or several.
        footer: Versions, device, times and the like, label to value.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    command: str
    facts: Mapping[str, str] = field(default_factory=dict)
    footer: Mapping[str, str] = field(default_factory=dict)


def render_page(page: Page) -> str:
    """Writes a page as HTML that needs nothing else, online or off.

    Args:
        page: What to say. All of it is escaped: no text can become markup.

    Returns:
        A complete HTML document.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["prose"] = _prose
    template = resources.files("hyperlearning.reports").joinpath("page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        page=page,
        anchors=anchors([*(section.title for section in page.sections), _COMMAND_TITLE]),
        command_title=_COMMAND_TITLE,
    )


def anchors(titles: list[str]) -> list[str]:
    """Makes names for headings that are unique and safe in an address.

    >>> anchors(["How well?", "How well!", "…"])
    ['how-well', 'how-well-2', 'part']
    """
    names: list[str] = []
    for title in titles:
        base = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "part"
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base}-{count}"
        names.append(name)
    return names


def _prose(text: str) -> Markup:
    """Escapes text, then sets what stands in backquotes as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
