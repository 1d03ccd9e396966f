"""The page: complete in itself, safe whatever it is told."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperlearning.reports import (
    Page,
    Picture,
    Section,
    Table,
    error_matrix_figure,
    life_animation,
    picture_files,
    png_bytes,
    render_page,
    to_markdown,
)

PNG = png_bytes(error_matrix_figure(np.ones((3, 2))))
GIF = life_animation([0, 1, 2], [0, 1, 0], [[0, [0, 0, 0], []]], num_tasks=2, title="")
HOSTILE = "</code></title><script>alert('x')</script><img src=x onerror=\"y\">{{ 7 * 7 }}&\"'"
TABLE = Table(title="Scores", header=("method", "error"), rows=(("DAN", "0.1 ± 0.01"), ("MLP", "−0.2")), highlight=(0,))
PICTURES = (
    Picture(title="Matrix", caption="After `num_tasks`.", content=PNG, kind="png", alt="A matrix"),
    Picture(title="Life", caption="", content=GIF, kind="gif", alt="A life"),
)
PAGE = Page(
    title="A run",
    lead="It worked.",
    facts={"total error": "0.0043 ± 0.0003"},
    sections=(
        Section(title="How well", paragraphs=("Well.",), pictures=PICTURES, tables=(TABLE,)),
        Section(title="How well"),
    ),
    command="hyperlearning run incremental-regression",
    footer={"torch": "2.12"},
)


class Elements(HTMLParser):
    """Collects a page's tags with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_page_fetches_nothing() -> None:
    html = render_page(PAGE)
    tags = {name for name, _ in Elements(html).tags}
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"base64,[A-Za-z0-9+/=]+", "", html))
    assert not tags & {"script", "link", "iframe", "object", "embed", "base"}


def test_a_pages_pictures_are_inside_it_unchanged() -> None:
    sources = [str(image["src"]).partition(",") for image in Elements(render_page(PAGE)).all("img")]
    assert [head for head, _, _ in sources] == ["data:image/png;base64", "data:image/gif;base64"]
    assert [base64.b64decode(content) for _, _, content in sources] == [PNG, GIF]


def test_a_picture_is_shown_at_its_own_shape_with_its_description() -> None:
    image = Elements(render_page(PAGE)).all("img")[0]
    width, height = (int.from_bytes(PNG[start : start + 4], "big") for start in (16, 20))
    assert (image["width"], image["height"], image["alt"]) == (
        str(round(width / 1.5)),
        str(round(height / 1.5)),
        "A matrix",
    )


def test_the_first_section_is_open_and_the_others_are_folded() -> None:
    folds = Elements(render_page(PAGE)).all("details")
    assert ["open" in fold for fold in folds] == [True, False]


def test_every_link_leads_to_one_place_on_the_page() -> None:
    elements = Elements(render_page(PAGE))
    places = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    links = {str(link["href"]) for link in elements.all("a")}
    assert len(places) == len(set(places)) == 3
    assert links == {f"#{place}" for place in places}


def test_a_page_adapts_to_dark_rooms_small_screens_and_paper() -> None:
    html = render_page(PAGE)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in Elements(html).all("meta")


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    picture = replace(PICTURES[0], title=HOSTILE, caption=HOSTILE, alt=HOSTILE)
    table = Table(title=HOSTILE, header=(HOSTILE,), rows=((HOSTILE,),), caption=HOSTILE)
    section = Section(title=HOSTILE, paragraphs=(HOSTILE,), pictures=(picture,), tables=(table,))
    page = Page(
        title=HOSTILE,
        lead=HOSTILE,
        facts={HOSTILE: HOSTILE},
        sections=(section,),
        command=HOSTILE,
        footer={HOSTILE: HOSTILE},
    )
    elements = Elements(render_page(page))
    assert not elements.all("script")
    assert len(elements.all("img")) == 1
    assert elements.all("img")[0]["alt"] == HOSTILE
    assert elements.text.count(HOSTILE) == 17


@settings(max_examples=30)
@given(st.text())
def test_no_text_changes_the_pages_structure(text: str) -> None:
    plain = [name for name, _ in Elements(render_page(PAGE)).tags]
    changed = replace(PAGE, title=text, command=text, footer={text: text})
    assert [name for name, _ in Elements(render_page(changed)).tags] == plain


def test_backquoted_words_are_code() -> None:
    assert "After <code>num_tasks</code>." in render_page(PAGE)


def test_columns_of_numbers_are_told_from_columns_of_words() -> None:
    table = Table(
        title="",
        header=("a", "b", "c", "d"),
        rows=(("x", "1", "2e−5", "5 of 6"), ("1", "−0.3 ± 0.1", "–", "7"), ("", "", "", "")),
        caption="",
    )
    assert table.numeric == (False, True, True, False)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected 2 cells in row 0 of 'Scores', but got 1"):
        Table(title="Scores", header=("a", "b"), rows=(("1",),))


def test_a_highlight_beyond_the_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected `highlight` to be rows of 'Scores' .* but got \[2\]"):
        replace(TABLE, highlight=(2,))


def test_a_picture_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected `content` to be a gif file, but got bytes beginning"):
        replace(PICTURES[0], kind="gif")


def test_markdown_has_the_tables_and_links_to_the_pictures() -> None:
    text = to_markdown(PAGE.sections, picture_folder="figures")
    assert text.startswith(
        "### How well\n\nWell.\n\n![A matrix](figures/how-well-matrix.png)\n\n**Matrix.** After `num_tasks`.\n"
    )
    assert "| method | error |\n| :-- | --: |\n| **DAN** | **0.1 ± 0.01** |\n| MLP | −0.2 |\n" in text


def test_markdown_links_to_exactly_the_picture_files() -> None:
    twice = Section(title="How well", pictures=PICTURES * 2)
    links = re.findall(r"!\[[^]]*\]\(figures/([^)]+)\)", to_markdown([twice], picture_folder="figures"))
    files = picture_files([twice])
    assert links == list(files)
    assert list(files.values()) == [PNG, GIF, PNG, GIF]


def test_markdown_keeps_hostile_cells_in_their_cells() -> None:
    table = Table(title="t", header=("a", "b"), rows=(("x | y\n| z", "`p|q` <b> *s* [l](m) `"),))
    row = to_markdown([Section(title="s", tables=(table,))], picture_folder="f").splitlines()[-1]
    assert row == "| x \\| y \\| z | `p\\|q` &lt;b&gt; \\*s\\* \\[l\\](m) \\` |"


def test_folded_markdown_has_a_fold_a_section_and_keeps_hostile_titles_in_their_summaries() -> None:
    sections = (Section(title="`num_tasks` < 3 & more", paragraphs=("Text.",)), Section(title=HOSTILE))
    text = to_markdown(sections, picture_folder="f", frame="folds")
    assert text.startswith(
        "<details markdown>\n<summary><code>num_tasks</code> &lt; 3 &amp; more</summary>\n\nText.\n\n</details>\n"
    )
    assert "<script>" not in text
    assert text.count("<details markdown>") == text.count("</details>") == 2


def test_bare_markdown_has_no_title() -> None:
    assert to_markdown((Section(title="T", paragraphs=("Text.",)),), picture_folder="f", frame="bare") == "Text.\n"
