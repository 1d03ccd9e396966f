"""The same results as a block of Markdown, for pages of documentation that are generated from records."""

import re
from collections.abc import Sequence
from html import escape
from typing import Literal

from hyperlearning.reports.page import Picture, Section, Table, anchors

Frame = Literal["headings", "folds", "bare"]

_SPECIAL = re.compile(r"([\\`*_\[\]#|~])")


def to_markdown(sections: Sequence[Section], *, picture_folder: str, frame: Frame = "headings") -> str:
    """Writes sections as Markdown: text, links to pictures, tables.

    Args:
        sections: What to write.
        picture_folder: Where the page finds the files of `picture_files`, relative to itself; no trailing slash.
        frame: What a section stands in: "headings", below one; "folds", in a `<details>` that opens on a click; "bare".

    Returns:
        Markdown that ends in a newline. Text is escaped, so none of it becomes markup; `code` in backquotes stays code.
    """
    names = iter(picture_files(sections))
    blocks: list[str] = []
    for section in sections:
        content = [_escaped(paragraph) for paragraph in section.paragraphs]
        for picture in section.pictures:
            content.append(f"![{_escaped(picture.alt)}]({picture_folder}/{next(names)})")
            content.append(_captioned(picture.title, picture.caption))
        for table in section.tables:
            content += [_captioned(table.title, table.caption), _table(table)]
        blocks += _framed(section.title, content, frame)
    return "\n\n".join(block for block in blocks if block) + "\n"


def picture_files(sections: Sequence[Section]) -> dict[str, bytes]:
    """Names the pictures' files, in the order of their links: from section and title, safe and unique.

    Returns:
        Content by file name.
    """
    pictures: list[tuple[str, Picture]] = [
        (f"{section.title} {picture.title}", picture) for section in sections for picture in section.pictures
    ]
    stems = anchors([title for title, _ in pictures])
    return {f"{stem}.{picture.kind}": picture.content for stem, (_, picture) in zip(stems, pictures, strict=True)}


def _framed(title: str, content: list[str], frame: Frame) -> list[str]:
    if frame == "bare":
        return content
    if frame == "headings":
        return [f"### {_escaped(title)}", *content]
    # GitHub reads Markdown in it after an empty line; Python's Markdown asks for the attribute.
    return [f"<details markdown>\n<summary>{_as_html(title)}</summary>", *content, "</details>"]


def _as_html(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _captioned(title: str, caption: str) -> str:
    words = [f"**{_escaped(title)}.**" if title else "", _escaped(caption)]
    return " ".join(word for word in words if word)


def _table(table: Table) -> str:
    rules = ["--:" if numeric else ":--" for numeric in table.numeric]
    rows = [
        [f"**{_cell(cell)}**" if index in table.highlight and cell.strip() else _cell(cell) for cell in row]
        for index, row in enumerate(table.rows)
    ]
    lines = [[_cell(name) for name in table.header], rules, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return _escaped(text).strip()


def _escaped(text: str) -> str:
    """Escapes what Markdown or HTML would take for markup, but for code in backquotes."""
    pieces = re.split(r"(`[^`]+`)", " ".join(text.split()))
    return "".join(_code(piece) if index % 2 else _plain(piece) for index, piece in enumerate(pieces))


def _plain(text: str) -> str:
    escaped = _SPECIAL.sub(r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str) -> str:
    return text.replace("|", "\\|")
